//! Whether a request is granted. Pure: text in, a decision out; nothing is looked up or sent.

use std::collections::BTreeSet;

use rig_specs::manifest::Scheme;

pub(super) mod pattern;
pub(super) mod url;

use self::{
    pattern::{HostPattern, PathPattern, Settings, TemplateProblem},
    url::Target,
};

/// The network rules of a pack, ready to match.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    /// Rules that are granted but cannot be used now, and why: a setting is missing.
    unusable: Vec<String>,
}

#[derive(Debug)]
struct Rule {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
    methods: Vec<String>,
    paths: Vec<PathPattern>,
    follow: bool,
}

/// What a granted request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Permit {
    /// Whether the host follows a redirect.
    pub follow: bool,
}

impl Rules {
    /// # Errors
    /// A sentence about a host that cannot be read, with the setting it comes from.
    pub(super) fn compile(settings: &Settings<'_>) -> Result<Self, String> {
        let mut compiled = Self::default();
        for rule in &settings.granted.network {
            let expanded = match settings.host(&rule.host) {
                Ok(expanded) => expanded,
                Err(TemplateProblem::Unset(name)) => {
                    compiled.unusable.push(format!("`{}` needs the setting {name}, which has no value", rule.host));
                    continue;
                }
                Err(TemplateProblem::Bad(why)) => return Err(why),
            };
            let port = rule.port.or(expanded.port).unwrap_or_else(|| rule.scheme.default_port());
            // A setting that is a URL says how the host is reached; a rule for another way is not for it.
            if expanded.scheme.is_some_and(|scheme| scheme != rule.scheme)
                || expanded.port.is_some_and(|wanted| wanted != port)
            {
                compiled.unusable.push(format!(
                    "`{}` is granted as {} on port {port}, and the setting names another scheme or port",
                    rule.host,
                    rule.scheme.as_str(),
                ));
                continue;
            }
            compiled.rules.push(Rule {
                scheme: rule.scheme,
                host: expanded.pattern,
                port,
                methods: rule.methods.clone(),
                paths: rule.paths.iter().map(|path| PathPattern::new(path)).collect(),
                follow: rule.follow,
            });
        }
        Ok(compiled)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.unusable.is_empty()
    }

    /// The ports of all rules.
    pub(super) fn ports(&self) -> BTreeSet<u16> {
        self.rules.iter().map(|rule| rule.port).collect()
    }

    /// Whether anything is granted at that host.
    pub(super) fn names(&self, host: &str) -> bool {
        self.rules.iter().any(|rule| rule.host.matches(host))
    }

    /// Whether a connection may be passed through as it is. What is asked inside of it, with which method, cannot be seen: host and port
    /// are all that counts.
    ///
    /// # Errors
    /// What was asked, and what is granted.
    pub(super) fn permit_tunnel(&self, target: &Target) -> Result<(), String> {
        let ports: BTreeSet<u16> =
            self.rules.iter().filter(|rule| rule.host.matches(target.host())).map(|rule| rule.port).collect();
        if ports.contains(&target.port()) {
            return Ok(());
        }
        if ports.is_empty() {
            return Err(self.host_not_granted(target));
        }
        let ports = listed(ports.iter().map(ToString::to_string));
        Err(format!(
            "{} is granted to this pack on port {ports} only; it asked for port {}",
            target.host(),
            target.port()
        ))
    }

    /// # Errors
    /// What was asked, which part of it is not granted, and what is.
    pub(super) fn permit(&self, method: &str, target: &Target) -> Result<Permit, String> {
        let of_host: Vec<&Rule> = self.rules.iter().filter(|rule| rule.host.matches(target.host())).collect();
        let at_port: Vec<&Rule> = of_host
            .iter()
            .copied()
            .filter(|rule| rule.scheme == target.scheme() && rule.port == target.port())
            .collect();
        let by_method: Vec<&Rule> =
            at_port.iter().copied().filter(|rule| rule.methods.iter().any(|m| m == method)).collect();
        let mut granted =
            by_method.iter().filter(|rule| rule.paths.iter().any(|p| p.matches(target.path()))).peekable();
        if granted.peek().is_some() {
            return Ok(Permit { follow: granted.any(|rule| rule.follow) });
        }
        let why = if of_host.is_empty() {
            self.host_not_granted(target)
        } else if at_port.is_empty() {
            let ways = of_host.iter().map(|rule| format!("{} on port {}", rule.scheme.as_str(), rule.port));
            format!(
                "{} is granted to this pack over {} only; it asked for {} on port {}",
                target.host(),
                listed(ways),
                target.scheme().as_str(),
                target.port()
            )
        } else if by_method.is_empty() {
            let methods = at_port.iter().flat_map(|rule| rule.methods.iter().cloned());
            format!("the method {method} is not granted to this pack for {}; {} is", target.host(), listed(methods))
        } else {
            let paths = by_method.iter().flat_map(|rule| rule.paths.iter().map(ToString::to_string));
            format!(
                "the path is not granted to this pack for {method} requests to {}; {} is",
                target.host(),
                listed(paths)
            )
        };
        Err(format!("{method} {}: {why}", target.shown()))
    }

    fn host_not_granted(&self, target: &Target) -> String {
        let host = target.host();
        let others = if self.rules.is_empty() {
            ", and no other host is".to_owned()
        } else {
            format!("; granted: {}", listed(self.rules.iter().map(|rule| rule.host.to_string())))
        };
        let next = if self.unusable.is_empty() {
            format!("To grant it, its manifest needs a [[network]] entry with host = \"{host}\", accepted on install")
        } else {
            format!("Out of reach now: {}", listed(self.unusable.iter().cloned()))
        };
        format!("{host} is not granted to this pack{others}. {next}")
    }
}

/// Sorted, each once, and not endless.
fn listed(items: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 8;
    let all: BTreeSet<String> = items.collect();
    let mut shown: Vec<String> = all.iter().take(SHOWN).cloned().collect();
    if all.len() > SHOWN {
        shown.push(format!("{} more", all.len() - SHOWN));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rig_specs::manifest::Capabilities;

    use super::*;

    fn rules(toml: &str, config: &[(&str, &str)]) -> Rules {
        let granted: Capabilities = toml::from_str(toml).unwrap();
        let values: BTreeMap<String, String> = config.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Rules::compile(&Settings { granted: &granted, values: &values }).unwrap()
    }

    const GITHUB: &str = r#"
        [[network]]
        host = "api.github.com"
        methods = ["GET", "POST"]
        paths = ["/repos/*/*/issues", "/repos/*/*/pulls*"]
        [[network]]
        host = "*.githubusercontent.com"
        follow = true
        [[network]]
        host = "plain.example.com"
        scheme = "http"
        port = 8080
    "#;

    #[test]
    fn granted() {
        let rules = rules(GITHUB, &[]);
        for (method, url, follow) in [
            ("GET", "https://api.github.com/repos/o/r/issues", false),
            ("POST", "https://api.github.com/repos/o/r/issues?x=1", false),
            ("GET", "https://api.github.com:443/repos/o/r/pulls/1/files", false),
            ("GET", "https://raw.githubusercontent.com/o/r/main/README.md", true),
            ("GET", "http://plain.example.com:8080/", false),
        ] {
            assert_eq!(rules.permit(method, &Target::parse(url).unwrap()), Ok(Permit { follow }), "{method} {url}");
        }
    }

    #[test]
    fn denied_says_which_part() {
        let rules = rules(GITHUB, &[]);
        for (method, url, why) in [
            (
                "GET",
                "https://example.com/v1?token=x",
                "GET https://example.com/v1: example.com is not granted to this pack; granted: *.githubusercontent.com, \
                 api.github.com, plain.example.com. To grant it, its manifest needs a [[network]] entry with host = \
                 \"example.com\", accepted on install",
            ),
            (
                "GET",
                "http://api.github.com/repos/o/r/issues",
                "GET http://api.github.com/repos/o/r/issues: api.github.com is granted to this pack over https on port 443 \
                 only; it asked for http on port 80",
            ),
            (
                "GET",
                "https://api.github.com:8443/repos/o/r/issues",
                "GET https://api.github.com:8443/repos/o/r/issues: api.github.com is granted to this pack over https on port \
                 443 only; it asked for https on port 8443",
            ),
            (
                "DELETE",
                "https://api.github.com/repos/o/r/issues",
                "DELETE https://api.github.com/repos/o/r/issues: the method DELETE is not granted to this pack for \
                 api.github.com; GET, POST is",
            ),
            (
                "POST",
                "https://api.github.com/user/keys",
                "POST https://api.github.com/user/keys: the path is not granted to this pack for POST requests to \
                 api.github.com; /repos/*/*/issues, /repos/*/*/pulls* is",
            ),
            (
                "POST",
                "https://raw.githubusercontent.com/",
                "POST https://raw.githubusercontent.com/: the method POST is not granted to this pack for \
                 raw.githubusercontent.com; GET is",
            ),
        ] {
            assert_eq!(rules.permit(method, &Target::parse(url).unwrap()).unwrap_err(), why);
        }
        let none = Rules::default();
        let denied = none.permit("GET", &Target::parse("https://a.example/").unwrap()).unwrap_err();
        assert!(denied.contains("a.example is not granted to this pack, and no other host is"), "{denied}");
        assert!(none.is_empty());
    }

    #[test]
    fn settings_choose_the_host() {
        const SUPABASE: &str = r#"
            [[network]]
            host = "{config.SUPABASE_URL}"
            [[network]]
            host = "{config.SUPABASE_URL}"
            scheme = "http"
        "#;
        let cloud = rules(SUPABASE, &[("SUPABASE_URL", "https://xyz.supabase.co")]);
        assert!(cloud.permit("GET", &Target::parse("https://xyz.supabase.co/rest/v1/t").unwrap()).is_ok());
        assert!(cloud.permit("GET", &Target::parse("http://xyz.supabase.co/rest/v1/t").unwrap()).is_err());
        assert!(cloud.permit("GET", &Target::parse("https://abc.supabase.co/").unwrap()).is_err());
        let local = rules(SUPABASE, &[("SUPABASE_URL", "http://127.0.0.1:54321/")]);
        assert!(local.permit("GET", &Target::parse("http://127.0.0.1:54321/rest").unwrap()).is_ok());
        assert!(local.permit("GET", &Target::parse("http://127.0.0.1:54322/rest").unwrap()).is_err());
        let unset = rules(SUPABASE, &[]);
        let denied = unset.permit("GET", &Target::parse("https://xyz.supabase.co/").unwrap()).unwrap_err();
        assert!(denied.contains("needs the setting SUPABASE_URL, which has no value"), "{denied}");
        assert!(!unset.is_empty());
    }
}
