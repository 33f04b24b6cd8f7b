//! The project's rules for calls. Pure: it looks at a tool's name and risk class and at `policy` in rig.yaml, and nothing else.

use std::time::Duration;

use rig_specs::{config, rtp::RiskClass};

/// The rules, ready to be asked.
#[derive(Debug, Clone)]
pub struct Policy {
    allowed: Option<Vec<String>>,
    denied: Vec<String>,
    approval: Vec<RiskClass>,
    /// Wall clock of one call with all its attempts.
    pub timeout: Duration,
    /// How often a retryable error of a repeatable tool is tried again.
    pub retries: u32,
}

/// What the rules say about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may run.
    Allow,
    /// A person must approve it first.
    Approve,
    /// It may not run; the text names the rule.
    Deny(String),
}

impl Policy {
    /// From `policy` in rig.yaml, which has been checked.
    #[must_use]
    pub fn new(config: &config::Policy) -> Self {
        Self {
            allowed: config.allowed_tools.clone(),
            denied: config.denied_tools.clone(),
            approval: config.require_approval_for.clone(),
            timeout: Duration::from_secs(config.timeout_seconds.into()),
            retries: config.retries,
        }
    }

    /// Denials win over everything; a call that is allowed may still need a person.
    #[must_use]
    pub fn decide(&self, tool: &str, risk: RiskClass) -> Decision {
        if let Some(pattern) = self.denied.iter().find(|pattern| matches(pattern, tool)) {
            return Decision::Deny(format!("`policy.denied_tools` in rig.yaml denies `{pattern}`"));
        }
        if let Some(allowed) = &self.allowed
            && !allowed.iter().any(|pattern| matches(pattern, tool))
        {
            return Decision::Deny("`policy.allowed_tools` in rig.yaml does not name it".into());
        }
        if self.approval.contains(&risk) { Decision::Approve } else { Decision::Allow }
    }
}

/// Whether a glob matches a whole name: `*` stands for any run of characters, dots included.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    let mut rest = rest;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a.*", "a.b.c", true),
            ("*", "anything.at.all", true),
            ("*.list", "github.pulls.list", true),
            ("*.list", "github.pulls.lists", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("ab*ba", "aba", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn denials_win_and_risk_asks() {
        let config = config::Policy {
            allowed_tools: Some(vec!["stripe.*".into()]),
            denied_tools: vec!["*.delete".into()],
            ..config::Policy::default()
        };
        let policy = Policy::new(&config);
        let denied = |why: &str| Decision::Deny(why.into());
        for (tool, risk, expected) in [
            ("stripe.customers.search", RiskClass::Read, Decision::Allow),
            ("stripe.refunds.create", RiskClass::Money, Decision::Approve),
            ("stripe.customers.delete", RiskClass::Read, denied("`policy.denied_tools` in rig.yaml denies `*.delete`")),
            ("github.pulls.list", RiskClass::Read, denied("`policy.allowed_tools` in rig.yaml does not name it")),
        ] {
            assert_eq!(policy.decide(tool, risk), expected, "{tool}");
        }
    }
}
