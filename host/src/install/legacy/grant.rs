//! What a pack from PyPI or npm may reach. Its package says nothing about that, so it comes from the index, from flags, or from the
//! person who is asked.

use rig_specs::{
    manifest::{Capabilities, NetworkRule, Scheme, SecretDecl, is_env_name},
    rtp::PackTool,
};

use super::LegacyError;

/// Methods mean nothing where only connections are seen, so a granted host is granted for all.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What flags say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// `--allow-host`: each `HOST` or `HOST:PORT`.
    pub hosts: Vec<String>,
    /// `--slot`: names of secrets.
    pub slots: Vec<String>,
}

impl Grants {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.slots.is_empty()
    }

    /// As it stands in a lock.
    ///
    /// # Errors
    /// When a host or a slot cannot be read.
    pub fn capabilities(&self) -> Result<Capabilities, LegacyError> {
        let mut granted = Capabilities::default();
        for text in &self.hosts {
            let rule = rule(text).ok_or_else(|| LegacyError::Host(text.clone()))?;
            if !granted.network.contains(&rule) {
                granted.network.push(rule);
            }
        }
        granted.network.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
        for slot in &self.slots {
            if !is_env_name(slot) {
                return Err(LegacyError::Slot(slot.clone()));
            }
            // No host and no place: the pack's own code puts it into its requests.
            let decl = SecretDecl { description: String::new(), hosts: Vec::new(), inject: Vec::new() };
            granted.secrets.insert(slot.clone(), decl);
        }
        Ok(granted)
    }
}

fn rule(text: &str) -> Option<NetworkRule> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|port| *port != 0)?)),
        None => (text, None),
    };
    let name = host.strip_prefix("*.").unwrap_or(host);
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    };
    let good = name.split('.').all(label) && (name == host || name.contains('.'));
    good.then(|| NetworkRule {
        host: host.to_owned(),
        scheme: Scheme::Https,
        port: port.filter(|port| *port != 443),
        methods: METHODS.map(str::to_owned).into(),
        paths: vec!["/*".into()],
        follow: false,
    })
}

/// The slots that tools use and that are not granted, each with its tools.
pub(super) fn missing(granted: &Capabilities, tools: &[PackTool]) -> Vec<(String, Vec<String>)> {
    let mut missing = std::collections::BTreeMap::<String, Vec<String>>::new();
    for tool in tools {
        for slot in tool.def.auth_slots.iter().filter(|slot| !granted.secrets.contains_key(*slot)) {
            missing.entry(slot.clone()).or_default().push(tool.def.name.clone());
        }
    }
    missing.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(hosts: &[&str], slots: &[&str]) -> Result<Capabilities, String> {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Grants { hosts: own(hosts), slots: own(slots) }.capabilities().map_err(|error| error.to_string())
    }

    #[test]
    fn hosts_and_slots_are_read() {
        let found =
            granted(&["b.example.com:8443", "a.example.com", "a.example.com:443", "*.example.com"], &["KEY"]).unwrap();
        let hosts: Vec<_> = found.network.iter().map(|rule| (rule.host.as_str(), rule.port)).collect();
        assert_eq!(hosts, [("*.example.com", None), ("a.example.com", None), ("b.example.com", Some(8443))]);
        assert_eq!(found.secrets.keys().collect::<Vec<_>>(), ["KEY"]);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in [
            "",
            "https://a.example.com",
            "a.example.com/",
            "A.example.com",
            "*",
            "*.com",
            "a..b",
            "a:0",
            "a:x",
            "[::1]:80",
        ] {
            let error = granted(&[host], &[]).unwrap_err();
            assert!(error.starts_with(&format!("`{host}` is no host that can be granted")), "{host}: {error}");
        }
        assert!(granted(&[], &["key one"]).unwrap_err().starts_with("`key one` is not the name of a secret"));
    }
}
