//! Values of `policy` that make no sense.

use rig_specs::config::{Policy, RateLimit};

use super::{check_globs, invalid};
use crate::{call::constraints, project::config::place::Problem};

/// The longest wall clock of one call that a project may set, in seconds: an agent that waits longer has given up.
const MAX_TIMEOUT_SECONDS: u32 = 3600;
/// More retries than this never help and may harm the service that is called.
const MAX_RETRIES: u32 = 10;

pub(super) fn check(policy: &Policy) -> Result<(), Problem> {
    if !(1..=MAX_TIMEOUT_SECONDS).contains(&policy.timeout_seconds) {
        let why = format!("must be from 1 to {MAX_TIMEOUT_SECONDS}, not {}", policy.timeout_seconds);
        return invalid(&["policy", "timeout_seconds"], why);
    }
    if policy.retries > MAX_RETRIES {
        return invalid(&["policy", "retries"], format!("must be at most {MAX_RETRIES}, not {}", policy.retries));
    }
    check_globs(&["policy", "allowed_tools"], policy.allowed_tools.iter().flatten())?;
    check_globs(&["policy", "denied_tools"], &policy.denied_tools)?;
    check_globs(&["policy", "raise_risk"], policy.raise_risk.keys())?;
    check_globs(&["policy", "rate_limits"], policy.rate_limits.keys())?;
    check_globs(&["policy", "constraints"], policy.constraints.keys())?;
    for (glob, limit) in &policy.rate_limits {
        check_limit(limit).or_else(|why| invalid(&["policy", "rate_limits", glob], why))?;
    }
    for (glob, rules) in &policy.constraints {
        if rules.is_empty() {
            return invalid(&["policy", "constraints", glob], "holds no rule; name an argument, or leave it out");
        }
        for (argument, constraint) in rules {
            constraints::compile(constraint).map_err(|why| {
                Problem::new(&["policy", "constraints", glob, argument, "schema"], format!("cannot be used: {why}"))
            })?;
        }
    }
    Ok(())
}

fn check_limit(limit: &RateLimit) -> Result<(), &'static str> {
    match limit {
        RateLimit { calls: None, concurrent: None, .. } => Err("limits nothing: give `calls`, `concurrent` or both"),
        RateLimit { calls: Some(0), .. } | RateLimit { concurrent: Some(0), .. } => {
            Err("must allow at least 1 call; to forbid a tool, name it in `policy.denied_tools`")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::project::config::parse;

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        const NO_GLOB: &str = "which is not a pattern of tool names such as `github.*`";
        let cases = [
            (
                "policy:\n  timeout_seconds: 0\n",
                "rig.yaml:2: `policy.timeout_seconds` must be from 1 to 3600, not 0".to_owned(),
            ),
            (
                "policy:\n  timeout_seconds: 3601\n",
                "rig.yaml:2: `policy.timeout_seconds` must be from 1 to 3600, not 3601".into(),
            ),
            ("# a\npolicy:\n  # b\n  retries: 11\n", "rig.yaml:4: `policy.retries` must be at most 10, not 11".into()),
            (
                "policy:\n  allowed_tools: ['git hub.*']\n",
                format!("rig.yaml:2: `policy.allowed_tools` holds `git hub.*`, {NO_GLOB}"),
            ),
            (
                "policy:\n  raise_risk:\n    'a/b': money\n",
                format!("rig.yaml:2: `policy.raise_risk` holds `a/b`, {NO_GLOB}"),
            ),
            ("policy:\n  rate_limits: { '': 5 }\n", format!("rig.yaml:2: `policy.rate_limits` holds ``, {NO_GLOB}")),
            ("policy:\n  constraints: { 'ä': {} }\n", format!("rig.yaml:2: `policy.constraints` holds `ä`, {NO_GLOB}")),
            (
                "policy:\n  rate_limits:\n    'b.*': 5\n    'a.*': 0\n",
                "rig.yaml:4: `policy.rate_limits[\"a.*\"]` must allow at least 1 call; to forbid a tool, name it in \
                 `policy.denied_tools`"
                    .into(),
            ),
            (
                "policy:\n  rate_limits:\n    a: { calls: 5, concurrent: 0 }\n",
                "rig.yaml:3: `policy.rate_limits.a` must allow at least 1 call; to forbid a tool, name it in \
                 `policy.denied_tools`"
                    .into(),
            ),
            (
                "policy:\n  rate_limits:\n    a:\n      per: day\n",
                "rig.yaml:3: `policy.rate_limits.a` limits nothing: give `calls`, `concurrent` or both".into(),
            ),
            (
                "policy:\n  constraints: { 'a.*': {} }\n",
                "rig.yaml:2: `policy.constraints[\"a.*\"]` holds no rule; name an argument, or leave it out".into(),
            ),
            (
                "policy:\n  constraints:\n    a.b:\n      amount:\n        optional: true\n        schema: { pattern: '(?=x)' }\n",
                "rig.yaml:6: `policy.constraints[\"a.b\"].amount.schema` cannot be used: ".into(),
            ),
            (
                "policy:\n  constraints:\n    'a.b': { amount: { schema: { type: intger } } }\n",
                "rig.yaml:3: `policy.constraints[\"a.b\"].amount.schema` cannot be used: ".into(),
            ),
        ];
        for (text, message) in cases {
            let found = parse(text, Path::new("rig.yaml")).unwrap_err().to_string();
            if message.ends_with(": ") {
                assert!(found.starts_with(&message) && found.len() > message.len(), "{found}");
                assert_eq!(found.lines().count(), 1, "{found}");
            } else {
                assert_eq!(found, message);
            }
        }
    }

    #[test]
    fn the_forms_of_limits() {
        let text = "policy:\n  rate_limits:\n    '*': 60\n    a.*: { calls: 5, per: day, each: [tenant, tool] }\n    \
                    b.*:\n      concurrent: 2\n";
        let limits = parse(text, Path::new("rig.yaml")).unwrap().policy.rate_limits;
        let shown: Vec<String> = limits.values().map(|limit| serde_json::to_string(limit).unwrap()).collect();
        assert_eq!(
            shown,
            [
                r#"{"calls":60,"per":"minute","concurrent":null,"each":[]}"#,
                r#"{"calls":5,"per":"day","concurrent":null,"each":["tenant","tool"]}"#,
                r#"{"calls":null,"per":"minute","concurrent":2,"each":[]}"#,
            ]
        );
        for (limit, message) in [
            ("{ cals: 5 }", "rig.yaml:3: unknown key `cals`"),
            (
                "-1",
                "rig.yaml:3: `policy.rate_limits.a`: invalid value: integer `-1`, expected a number of calls per minute, or a mapping",
            ),
            (
                "5000000000",
                "rig.yaml:3: `policy.rate_limits.a`: invalid value: integer `5000000000`, expected a number of calls",
            ),
            (
                "many",
                "rig.yaml:3: `policy.rate_limits.a`: invalid type: string \"many\", expected a number of calls per minute",
            ),
            (
                "[5]",
                "rig.yaml:3: `policy.rate_limits.a`: invalid type: sequence, expected a number of calls per minute",
            ),
            ("{ calls: 5, per: week }", "rig.yaml:3: `policy.rate_limits.a.per`: "),
            ("{ calls: 5, each: tool }", "rig.yaml:3: `policy.rate_limits.a.each`: expected a list"),
        ] {
            let text = format!("policy:\n  rate_limits:\n    a: {limit}\n");
            let found = parse(&text, Path::new("rig.yaml")).unwrap_err().to_string();
            assert!(found.starts_with(message), "{limit}: {found}");
        }
    }
}
