//! Portable names: every tool under a name that model APIs and MCP clients take, `^[a-zA-Z0-9_-]{1,64}$`, and the way back.
//!
//! `stripe.customers.create` is `stripe_customers_create`. Where two tools would share a name, or a name would be too long, it ends in
//! the beginning of the hash of the tool's id: the name of a tool depends on its own pack alone, because no pack id holds an underscore.
//! Names are made over all tools of a snapshot, so that a tool has the same name for every tenant.

use std::collections::BTreeMap;

use rig_specs::Sha256;

use crate::call::Snapshot;

/// The longest name that every client takes.
pub const MAX_NAME: usize = 64;

/// How much of the hash a name gets: one in four thousand millions for two tools of one pack to share it, and then it gets more.
const HASH: usize = 8;

/// The names of a snapshot's tools, both ways.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Tool to portable name.
    portable: BTreeMap<String, String>,
    /// Portable name, or name without the pack, to tool.
    tools: BTreeMap<String, String>,
}

impl Names {
    /// The names of all tools of a snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        Self::of(snapshot.tools().map(|tool| tool.tool.def.name.as_str()))
    }

    /// The names of these tools, which are all there are.
    #[must_use]
    pub fn of<'a>(tools: impl IntoIterator<Item = &'a str>) -> Self {
        let mut plain: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut short: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for tool in tools {
            plain.entry(underscored(tool)).or_default().push(tool);
            if let Some((_, rest)) = tool.split_once('.') {
                short.entry(underscored(rest)).or_default().push(tool);
            }
        }
        let mut names = Self::default();
        let (alone, crowded): (Vec<_>, Vec<_>) =
            plain.into_iter().partition(|(name, tools)| tools.len() == 1 && name.len() <= MAX_NAME);
        for (name, tools) in alone {
            names.add(name, tools[0]);
        }
        for (name, tool) in crowded.iter().flat_map(|(name, tools)| tools.iter().map(move |tool| (name, *tool))) {
            let hash = Sha256::of(tool.as_bytes()).hex();
            let hashed = |digits: usize| {
                let kept = name.len().min(MAX_NAME - digits - 1);
                format!("{}_{}", &name[..kept], &hash[..digits])
            };
            let free = (HASH..MAX_NAME - 1).map(hashed).find(|name| !names.tools.contains_key(name));
            names.add(free.unwrap_or_else(|| hash.clone()), tool);
        }
        for (name, tools) in short {
            if let [tool] = tools[..] {
                names.tools.entry(name).or_insert_with(|| tool.to_owned());
            }
        }
        names
    }

    fn add(&mut self, name: String, tool: &str) {
        self.tools.insert(name.clone(), tool.to_owned());
        self.portable.insert(tool.to_owned(), name);
    }

    /// The portable name of a tool.
    #[must_use]
    pub fn portable(&self, tool: &str) -> Option<&str> {
        self.portable.get(tool).map(String::as_str)
    }

    /// The tool that somebody means: by its id, by its portable name, or by its name without the pack when one tool alone has it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        match self.portable.get_key_value(name) {
            Some((tool, _)) => Some(tool),
            None => self.tools.get(name).map(String::as_str),
        }
    }
}

/// Ids hold letters, digits, dots, hyphens and underscores; what is checked elsewhere is not relied on here.
fn underscored(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_portable(name: &str) -> bool {
        (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    }

    #[test]
    fn dots_become_underscores_and_lead_back() {
        let names = Names::of(["stripe.customers.create", "my-pack.a.b"]);
        assert_eq!(names.portable("stripe.customers.create"), Some("stripe_customers_create"));
        assert_eq!(names.portable("my-pack.a.b"), Some("my-pack_a_b"));
        for name in ["stripe.customers.create", "stripe_customers_create", "customers_create"] {
            assert_eq!(names.find(name), Some("stripe.customers.create"), "{name}");
        }
        for name in ["", "stripe", "customers.create", "stripe_customers.create", "STRIPE_customers_create"] {
            assert_eq!(names.find(name), None, "{name}");
        }
        assert_eq!(names.portable("stripe.customers"), None);
    }

    #[test]
    fn a_name_without_its_pack_means_one_tool_or_none() {
        let names = Names::of(["a.items.list", "b.items.list", "b.items.get", "c.a_items.list", "c.b_items.get"]);
        assert_eq!(names.find("items_list"), None, "two packs have it");
        assert_eq!(names.find("items_get"), Some("b.items.get"));
        // Whole names come first.
        assert_eq!(names.find("a_items_list"), Some("a.items.list"));
        assert_eq!(names.find("b_items_get"), Some("b.items.get"));
    }

    #[test]
    fn colliding_and_long_names_end_in_a_hash_of_the_id() {
        let long = format!("pack.{}.get", "x".repeat(100));
        let exact = format!("pack.{}", "y".repeat(59));
        let all = ["p.a_b.c", "p.a.b_c", "p.a.other", long.as_str(), exact.as_str()];
        let names = Names::of(all);
        let portable: Vec<&str> = all.iter().map(|tool| names.portable(tool).unwrap()).collect();
        for (tool, name) in all.iter().zip(&portable) {
            assert!(is_portable(name), "{name}");
            assert_eq!(names.find(name), Some(*tool));
        }
        let hash = |tool: &str| Sha256::of(tool.as_bytes()).hex()[..8].to_owned();
        assert_eq!(portable[0], format!("p_a_b_c_{}", hash("p.a_b.c")));
        assert_eq!(portable[1], format!("p_a_b_c_{}", hash("p.a.b_c")));
        assert_eq!(portable[2], "p_a_other");
        assert_eq!(portable[3], format!("pack_{}_{}", "x".repeat(50), hash(&long)));
        assert_eq!(portable[4].len(), MAX_NAME);
        assert_eq!(names.find("p_a_b_c"), None, "it would mean two tools");
        // The name does not depend on what else is installed, nor on order.
        let more = Names::of(["q.a.b", "p.a.b_c", "p.a_b.c"]);
        assert_eq!(more.portable("p.a_b.c"), Some(portable[0]));
    }

    #[test]
    fn a_tool_that_is_named_like_anothers_hash_keeps_its_name() {
        let hash = Sha256::of(b"p.a.b_c").hex();
        let thief = format!("p.a.b_c_{}", &hash[..8]);
        let names = Names::of(["p.a.b_c", "p.a_b.c", thief.as_str()]);
        assert_eq!(names.portable(&thief), Some(thief.replace('.', "_").as_str()));
        assert_eq!(names.portable("p.a.b_c"), Some(format!("p_a_b_c_{}", &hash[..9]).as_str()));
        assert_eq!(names.find(&format!("p_a_b_c_{}", &hash[..8])), Some(thief.as_str()));
    }
}
