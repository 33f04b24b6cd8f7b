//! What is different between two versions of a pack, and whether it breaks what callers of the old one rely on. Pure: two descriptions go
//! in, sentences come out. What is reached (hosts, secrets, settings) is compared with the grant in [`consent`](super::consent).
//!
//! Arguments that were valid must stay valid, and an output must still be one that the old schema allows. What the comparison does not
//! understand counts as breaking ([`schema`]).

use std::collections::{BTreeMap, BTreeSet};

use rig_specs::{
    manifest::EmbeddedPack,
    rtp::{PackTool, RiskClass},
};
use serde::Serialize;

use crate::words::plain;

mod schema;

use schema::Side;

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The tool is new.
    Added,
    /// The tool is gone.
    Removed,
    /// Its arguments.
    Input,
    /// Its output.
    Output,
    /// The shape of its errors.
    Error,
    /// What a call can do to the world.
    Risk,
    /// The secrets that it uses.
    Secrets,
    /// What rig does around a call: retries, defaults of the policy.
    Handling,
    /// What a model or a person reads about it.
    Description,
}

impl Part {
    /// The part as it stands in a list.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Input => "input",
            Self::Output => "output",
            Self::Error => "error",
            Self::Risk => "risk",
            Self::Secrets => "secrets",
            Self::Handling => "handling",
            Self::Description => "description",
        }
    }
}

/// One difference in a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolChange {
    /// The tool.
    pub tool: String,
    /// What it is about.
    pub part: Part,
    /// What is different, without control characters.
    pub what: String,
    /// Whether callers of the old version may fail, or may do more than they could.
    pub breaking: bool,
}

/// Everything that is different between the tools of two versions, by tool.
#[must_use]
pub(super) fn differences(old: &EmbeddedPack, new: &EmbeddedPack) -> Vec<ToolChange> {
    let by_name = |pack: &'_ EmbeddedPack| -> BTreeMap<String, PackTool> {
        pack.tools.iter().map(|tool| (tool.def.name.clone(), tool.clone())).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        let mut add = |part, what: String, breaking| {
            changes.push(ToolChange { tool: plain(name), part, what: plain(&what), breaking });
        };
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => tool(old, new, &mut add),
            (Some(_), None) => add(Part::Removed, "the tool is gone".into(), true),
            (None, Some(new)) => add(Part::Added, format!("a new tool ({})", new.def.risk_class.as_str()), false),
            (None, None) => {}
        }
    }
    changes
}

fn tool(old: &PackTool, new: &PackTool, add: &mut dyn FnMut(Part, String, bool)) {
    let (was, is) = (&old.def, &new.def);
    let schemas = [
        (Part::Input, &was.input_schema, &is.input_schema, Side::Input),
        (Part::Output, &was.output_schema, &is.output_schema, Side::Output),
        (Part::Error, &was.error_schema, &is.error_schema, Side::Output),
    ];
    for (part, was, is, side) in schemas {
        for finding in schema::compare(was, is, side) {
            add(part, finding.text, finding.breaking);
        }
    }
    if was.risk_class != is.risk_class {
        let raised = is.risk_class > was.risk_class;
        let how = if raised { "raised" } else { "lowered" };
        let name = |risk: RiskClass| risk.as_str();
        add(Part::Risk, format!("{how} from {} to {}", name(was.risk_class), name(is.risk_class)), raised);
    }
    for slot in is.auth_slots.iter().filter(|slot| !was.auth_slots.contains(slot)) {
        add(Part::Secrets, format!("uses {slot} now"), true);
    }
    for slot in was.auth_slots.iter().filter(|slot| !is.auth_slots.contains(slot)) {
        add(Part::Secrets, format!("does not use {slot} any more"), false);
    }
    if old.idempotent != new.idempotent {
        let text = if new.idempotent {
            "said to be idempotent now: rig may run a failed call again"
        } else {
            "not idempotent any more: rig does not run a failed call again"
        };
        add(Part::Handling, text.into(), false);
    }
    if was.policy_defaults != is.policy_defaults {
        add(Part::Handling, "other defaults for the policy".into(), false);
    }
    let texts = [
        ("another title", old.title != new.title),
        ("another description", was.description != is.description),
        ("other tags", was.tags != is.tags),
        ("other examples", was.examples != is.examples),
    ];
    for (what, _) in texts.into_iter().filter(|(_, changed)| *changed) {
        add(Part::Description, what.into(), false);
    }
}

#[cfg(test)]
mod tests;
