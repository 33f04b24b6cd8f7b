//! The project's rules for calls. Pure: it looks at a tool's name and risk class and at `policy` in rig.yaml, and nothing else.

use std::{collections::BTreeMap, time::Duration};

use rig_specs::{Sha256, config, config::Config, rtp::RiskClass};
use serde_json::{Map, Value, json};

/// The rules, ready to be asked.
#[derive(Debug, Clone)]
pub struct Policy {
    allowed: Option<Vec<String>>,
    denied: Vec<String>,
    approval: Vec<RiskClass>,
    raised: Vec<(String, RiskClass)>,
    tenants: BTreeMap<String, Tenant>,
    digest: Sha256,
    /// Wall clock of one call with all its attempts.
    pub timeout: Duration,
    /// How often a retryable error of a repeatable tool is tried again.
    pub retries: u32,
}

/// What holds for one tenant beside the project's rules.
#[derive(Debug, Clone)]
struct Tenant {
    allowed: Option<Vec<String>>,
    secrets: Option<BTreeMap<String, String>>,
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
    /// From rig.yaml, which has been checked.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let policy = &config.policy;
        let tenant =
            |tenant: &config::Tenant| Tenant { allowed: tenant.allowed_tools.clone(), secrets: tenant.secrets.clone() };
        // Tokens may come and go without changing what was approved; who may do what may not.
        let rules: BTreeMap<&String, Value> = config
            .tenants
            .iter()
            .map(|(id, tenant)| (id, json!({ "tools": tenant.allowed_tools, "secrets": tenant.secrets })))
            .collect();
        Self {
            allowed: policy.allowed_tools.clone(),
            denied: policy.denied_tools.clone(),
            approval: policy.require_approval_for.clone(),
            raised: policy.raise_risk.iter().map(|(glob, risk)| (glob.clone(), *risk)).collect(),
            tenants: config.tenants.iter().map(|(id, config)| (id.clone(), tenant(config))).collect(),
            digest: Sha256::of_json(&json!({ "policy": policy, "tenants": rules })),
            timeout: Duration::from_secs(policy.timeout_seconds.into()),
            retries: policy.retries,
        }
    }

    /// The risk class that counts: the pack's own, raised where the project says so, never lowered.
    #[must_use]
    pub fn risk(&self, tool: &str, claimed: RiskClass) -> RiskClass {
        let raised = self.raised.iter().filter(|(glob, _)| matches(glob, tool)).map(|(_, risk)| *risk);
        raised.fold(claimed, RiskClass::max)
    }

    /// Denials win over everything; a call that is allowed may still need a person. `defaults` are what the pack suggests: it can
    /// ask for more care than the project does, and never for less.
    #[must_use]
    pub fn decide(&self, tool: &str, risk: RiskClass, defaults: &Map<String, Value>, tenant: Option<&str>) -> Decision {
        if let Some(pattern) = self.denied.iter().find(|pattern| matches(pattern, tool)) {
            return Decision::Deny(format!("`policy.denied_tools` in rig.yaml denies `{pattern}`"));
        }
        if !names(self.allowed.as_deref(), tool) {
            return Decision::Deny("`policy.allowed_tools` in rig.yaml does not name it".into());
        }
        match tenant.filter(|tenant| !tenant.is_empty()).map(|tenant| (tenant, self.tenants.get(tenant))) {
            Some((_, Some(rules))) if !names(rules.allowed.as_deref(), tool) => {
                return Decision::Deny("the tenant's `allowed_tools` in rig.yaml does not name it".into());
            }
            // With tenants set up, a name that is none of them is a mistake or an attempt to slip past their rules.
            Some((_, None)) if !self.tenants.is_empty() => {
                return Decision::Deny("`tenants` in rig.yaml does not name this tenant".into());
            }
            _ => {}
        }
        let asked = defaults.get("require_approval").and_then(Value::as_bool).unwrap_or_default();
        if asked || self.approval.contains(&risk) { Decision::Approve } else { Decision::Allow }
    }

    /// The name that the value of a slot is looked up by for a tenant; none when the slot is out of the tenant's reach.
    #[must_use]
    pub fn secret_name<'a>(&'a self, slot: &'a str, tenant: Option<&str>) -> Option<&'a str> {
        match tenant.and_then(|tenant| self.tenants.get(tenant)).and_then(|tenant| tenant.secrets.as_ref()) {
            Some(secrets) => secrets.get(slot).map(String::as_str),
            None => Some(slot),
        }
    }

    /// Over everything here: an approval holds only under the rules that asked for it.
    #[must_use]
    pub const fn digest(&self) -> Sha256 {
        self.digest
    }
}

/// Whether a list of globs names a tool; no list names every tool.
fn names(globs: Option<&[String]>, tool: &str) -> bool {
    globs.is_none_or(|globs| globs.iter().any(|glob| matches(glob, tool)))
}

/// Whether a glob matches a whole name: `*` stands for any run of characters, dots included.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, after)) = pattern.split_once('*') else { return pattern == name };
    let (middle, last) = after.rsplit_once('*').unwrap_or(("", after));
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    for part in middle.split('*') {
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

    fn config(policy: config::Policy) -> Config {
        Config { policy, ..Config::default() }
    }

    #[test]
    fn denials_win_and_risk_asks() {
        let policy = Policy::new(&config(config::Policy {
            allowed_tools: Some(vec!["stripe.*".into()]),
            denied_tools: vec!["*.delete".into()],
            ..config::Policy::default()
        }));
        let denied = |why: &str| Decision::Deny(why.into());
        for (tool, risk, expected) in [
            ("stripe.customers.search", RiskClass::Read, Decision::Allow),
            ("stripe.refunds.create", RiskClass::Money, Decision::Approve),
            ("stripe.customers.delete", RiskClass::Read, denied("`policy.denied_tools` in rig.yaml denies `*.delete`")),
            ("github.pulls.list", RiskClass::Read, denied("`policy.allowed_tools` in rig.yaml does not name it")),
        ] {
            assert_eq!(policy.decide(tool, risk, &Map::new(), None), expected, "{tool}");
        }
        let careful = Map::from_iter([("require_approval".to_owned(), Value::Bool(true))]);
        assert_eq!(policy.decide("stripe.a.b", RiskClass::Read, &careful, None), Decision::Approve);
        let careless = Map::from_iter([("require_approval".to_owned(), Value::Bool(false))]);
        assert_eq!(policy.decide("stripe.a.b", RiskClass::Money, &careless, None), Decision::Approve);
    }

    #[test]
    fn risk_is_raised_and_never_lowered() {
        let raise = [("*.create", RiskClass::Money), ("a.*", RiskClass::Write)];
        let policy = Policy::new(&config(config::Policy {
            raise_risk: raise.into_iter().map(|(glob, risk)| (glob.to_owned(), risk)).collect(),
            ..config::Policy::default()
        }));
        for (tool, claimed, expected) in [
            ("a.b.list", RiskClass::Read, RiskClass::Write),
            ("a.b.create", RiskClass::Read, RiskClass::Money),
            ("a.b.delete", RiskClass::Destructive, RiskClass::Destructive),
            ("c.d.list", RiskClass::Read, RiskClass::Read),
        ] {
            assert_eq!(policy.risk(tool, claimed), expected, "{tool}");
        }
    }

    #[test]
    fn a_tenant_has_its_own_tools_and_secrets() {
        let tenant = config::Tenant {
            allowed_tools: Some(vec!["a.*".into()]),
            secrets: Some(BTreeMap::from([("KEY".to_owned(), "ACME_KEY".to_owned())])),
            ..config::Tenant::default()
        };
        let policy = Policy::new(&Config { tenants: [("acme".to_owned(), tenant)].into(), ..Config::default() });
        let decide = |tool, tenant| policy.decide(tool, RiskClass::Read, &Map::new(), tenant);
        let denied = |why: &str| Decision::Deny(why.into());
        assert_eq!(decide("a.b.c", Some("acme")), Decision::Allow);
        assert_eq!(decide("b.b.c", Some("acme")), denied("the tenant's `allowed_tools` in rig.yaml does not name it"));
        assert_eq!(decide("a.b.c", Some("evil")), denied("`tenants` in rig.yaml does not name this tenant"));
        assert_eq!(decide("b.b.c", None), Decision::Allow);
        assert_eq!(policy.secret_name("KEY", Some("acme")), Some("ACME_KEY"));
        assert_eq!(policy.secret_name("OTHER", Some("acme")), None);
        assert_eq!(policy.secret_name("OTHER", None), Some("OTHER"));
    }

    #[test]
    fn the_digest_sees_rules_and_not_tokens() {
        let with = |tokens: Vec<Sha256>, tools: Option<Vec<String>>| {
            let tenant = config::Tenant { tokens, allowed_tools: tools, ..config::Tenant::default() };
            Policy::new(&Config { tenants: [("acme".to_owned(), tenant)].into(), ..Config::default() }).digest()
        };
        let base = with(vec![], None);
        assert_eq!(base, with(vec![Sha256::of(b"x")], None));
        assert_ne!(base, with(vec![], Some(vec!["*".into()])));
    }
}
