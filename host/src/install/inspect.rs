//! Reads what a component is and asks for, without running or compiling it: is it a component, does it import only what the host
//! knows, does it export the tools, and what does it say about itself.
//!
//! What it says is taken as it was embedded: `rig build` has put the common error schema in place of an empty one by then, and the
//! hashes of `rig.lock` are taken over the embedded form. Functions of WASI are left to the linker of the sandbox.

use rig_specs::{
    Sha256,
    manifest::{EmbeddedPack, SECTION},
    rtp,
};
use semver::Version;
use serde_json::Value;
use wasmparser::{
    Parser, Payload, Validator, WasmFeatures,
    component_types::{ComponentEntityType, ComponentItem},
    types::Types,
};

pub use crate::sandbox::TOOLS;
use crate::words::plain;

/// The functions of [`TOOLS`].
const TOOLS_FUNCTIONS: [&str; 2] = ["describe", "call"];
/// The largest description that a pack embeds: room for a thousand tools with long schemas.
const MAX_SECTION: usize = 4 << 20;

/// What the host offers in `rig:pack@0.1.x`, with the functions of each interface.
const PACK_INTERFACES: [(&str, &[&str]); 9] = [
    ("client", &["ask", "progress"]),
    ("clock", &["monotonic-ns", "now-ms"]),
    ("config", &["get"]),
    ("http", &["send"]),
    ("invoke", &["call"]),
    ("log", &["write"]),
    ("random", &["bytes"]),
    ("storage", &["list", "read", "remove", "write"]),
    ("types", &[]),
];
/// The packages of WASI 0.2 that the host offers a virtual form of.
const WASI_PACKAGES: [&str; 7] = ["cli", "clocks", "filesystem", "http", "io", "random", "sockets"];

/// What a component is and asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// What the pack says about itself.
    pub pack: EmbeddedPack,
    /// The interfaces that it imports, sorted.
    pub imports: Vec<String>,
    /// The interfaces that it exports, sorted.
    pub exports: Vec<String>,
    /// Of the bytes.
    pub sha256: Sha256,
    /// In bytes.
    pub size: u64,
    /// The hash of the tools' shapes.
    pub interface_hash: Sha256,
    /// The hash of all that a model reads.
    pub tools_hash: Sha256,
}

/// Why a file is not a pack that this rig runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// It is something else.
    #[error("the file is not WebAssembly")]
    NotWasm,
    /// It is a module, not a component.
    #[error("the file is a core WebAssembly module, not a component")]
    CoreModule,
    /// It is damaged.
    #[error("the component is not valid: {message} (at byte {offset})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where.
        offset: usize,
    },
    /// It imports what the host does not have.
    #[error("the component imports what this rig does not offer: {}", .0.join(", "))]
    UnknownImports(Vec<String>),
    /// It exports no tools.
    #[error("the component does not export `{TOOLS}`{}", .found.as_ref().map(|found| format!(", but `{found}`")).unwrap_or_default())]
    NoTools {
        /// Another version that it exports.
        found: Option<String>,
    },
    /// It says nothing about itself.
    #[error("the component has no `{SECTION}` section: it does not say what it is and what it asks for")]
    NoSection,
    /// It says several things about itself.
    #[error("the component has {0} `{SECTION}` sections, and it must be clear which one counts")]
    ManySections(usize),
    /// It says more than anybody would read.
    #[error("the `{SECTION}` section has {0} bytes, more than the {MAX_SECTION} allowed")]
    SectionTooLarge(usize),
    /// What it says is of another version.
    #[error("the `{SECTION}` section has format {0}, and this rig reads {reads}", reads = EmbeddedPack::FORMAT)]
    Format(String),
    /// What it says has another shape.
    #[error("the `{SECTION}` section is malformed: `{path}`: {message}")]
    Malformed {
        /// Where in it.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// What it says contradicts itself.
    #[error("the pack `{pack}` is not sound: {}", .problems.join("; "))]
    Problems {
        /// The pack.
        pack: String,
        /// One sentence each.
        problems: Vec<String>,
    },
    /// It needs a newer rig.
    #[error("the pack `{pack}` needs rig {needs} or later; this is rig {this}")]
    NeedsNewerRig {
        /// The pack.
        pack: String,
        /// The oldest rig that runs it.
        needs: Version,
        /// This rig.
        this: Version,
    },
}

impl InspectError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CoreModule => Some("build it with `rig build`, which makes components".into()),
            Self::NoSection => Some("build it with `rig build`, which embeds the pack's rig-pack.toml".into()),
            Self::NeedsNewerRig { .. } | Self::Format(_) => {
                Some("update rig, or choose an older version of the pack".into())
            }
            Self::UnknownImports(_) => Some(
                "a pack may import `rig:pack@0.1` and WASI 0.2; if it was built for a newer rig, update rig".into(),
            ),
            Self::NoTools { .. }
            | Self::Problems { .. }
            | Self::ManySections(_)
            | Self::SectionTooLarge(_)
            | Self::Malformed { .. } => Some("tell the author of the pack".into()),
            Self::Empty | Self::NotWasm | Self::Invalid { .. } => {
                Some("give a component as `rig build` writes it, and fetch it again if it was downloaded".into())
            }
        }
    }
}

/// Checks a component in full. `rig` is the version of this rig.
///
/// # Errors
/// The first check that fails.
pub fn inspect(bytes: &[u8], rig: &Version) -> Result<Inspected, InspectError> {
    check_header(bytes)?;
    let types =
        Validator::new_with_features(WasmFeatures::default()).validate_all(bytes).map_err(|error| invalid(&error))?;
    let parts = parts(bytes)?;
    let mut unknown: Vec<String> = parts.imports.iter().flat_map(|name| unknown_parts(name, &types)).collect();
    if !unknown.is_empty() {
        unknown.sort();
        unknown.dedup();
        return Err(InspectError::UnknownImports(unknown));
    }
    check_tools(&parts.exports, &types)?;
    let pack = embedded_in(&parts)?;
    if let Some(needs) = pack.manifest.pack.min_rig.as_ref().filter(|needs| *needs > rig) {
        let (pack, needs, this) = (pack.manifest.pack.id.to_string(), needs.clone(), rig.clone());
        return Err(InspectError::NeedsNewerRig { pack, needs, this });
    }
    let defs = || pack.tools.iter().map(|tool| &tool.def);
    Ok(Inspected {
        interface_hash: rtp::interface_hash(defs()),
        tools_hash: rtp::tools_hash(defs()),
        imports: parts.imports.iter().map(|name| plain(name)).collect(),
        exports: parts.exports.iter().map(|name| plain(name)).collect(),
        sha256: Sha256::of(bytes),
        size: bytes.len() as u64,
        pack,
    })
}

/// What a component says about itself, for bytes that were inspected in full when they were installed and have the same hash now.
///
/// # Errors
/// When it says nothing sound.
pub fn embedded(bytes: &[u8]) -> Result<EmbeddedPack, InspectError> {
    check_header(bytes)?;
    embedded_in(&parts(bytes)?)
}

fn check_header(bytes: &[u8]) -> Result<(), InspectError> {
    if bytes.is_empty() {
        return Err(InspectError::Empty);
    }
    if !Parser::is_component(bytes) {
        return Err(if Parser::is_core_wasm(bytes) { InspectError::CoreModule } else { InspectError::NotWasm });
    }
    Ok(())
}

fn invalid(error: &wasmparser::BinaryReaderError) -> InspectError {
    InspectError::Invalid {
        message: plain(error.message()),
        offset: usize::try_from(error.offset()).unwrap_or(usize::MAX),
    }
}

/// What stands at the top of a component. What components inside it import or say is not its own.
struct Parts<'a> {
    imports: Vec<String>,
    exports: Vec<String>,
    sections: Vec<&'a [u8]>,
}

fn parts(bytes: &[u8]) -> Result<Parts<'_>, InspectError> {
    let mut parts = Parts { imports: Vec::new(), exports: Vec::new(), sections: Vec::new() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| invalid(&error))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    parts.imports.push(import.map_err(|error| invalid(&error))?.name.full_name().into_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    parts.exports.push(export.map_err(|error| invalid(&error))?.name.full_name().into_owned());
                }
            }
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                parts.sections.push(section.data());
            }
            _ => {}
        }
    }
    parts.imports.sort();
    parts.exports.sort();
    Ok(parts)
}

/// What of an import the host does not have: the whole, or single functions of it.
fn unknown_parts(name: &str, types: &Types) -> Vec<String> {
    let whole = || vec![format!("`{}`", plain(name))];
    let Some((interface, version)) = name.split_once('@') else { return whole() };
    let Ok(version) = Version::parse(version) else { return whole() };
    let minor = |minor| version.major == 0 && version.minor == minor && version.pre.is_empty();
    if let Some(package) =
        interface.strip_prefix("wasi:").and_then(|rest| rest.split_once('/')).map(|(package, _)| package)
    {
        return if minor(2) && WASI_PACKAGES.contains(&package) { Vec::new() } else { whole() };
    }
    let known = interface.strip_prefix("rig:pack/").filter(|_| minor(1));
    let Some((_, functions)) = known.and_then(|name| PACK_INTERFACES.iter().find(|(known, _)| *known == name)) else {
        return whole();
    };
    let Some(imported) = functions_of(types.as_ref().component_item_for_import(name), types) else { return whole() };
    let missing = imported.into_iter().filter(|function| !functions.contains(&function.as_str()));
    missing.map(|function| format!("`{}` of `{}`", plain(&function), plain(name))).collect()
}

/// The names of the functions of an instance.
fn functions_of(item: Option<&ComponentItem>, types: &Types) -> Option<Vec<String>> {
    let ComponentEntityType::Instance(id) = item?.ty else { return None };
    let exports = types[id].exports.iter();
    Some(
        exports
            .filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)))
            .map(|(name, _)| name.clone())
            .collect(),
    )
}

fn check_tools(exports: &[String], types: &Types) -> Result<(), InspectError> {
    let functions = functions_of(types.as_ref().component_item_for_export(TOOLS), types).unwrap_or_default();
    if TOOLS_FUNCTIONS.iter().all(|name| functions.iter().any(|function| function == name)) {
        return Ok(());
    }
    let other = exports.iter().find(|name| name.starts_with("rig:pack/tools") && *name != TOOLS);
    Err(InspectError::NoTools { found: other.map(|name| plain(name)) })
}

fn embedded_in(parts: &Parts<'_>) -> Result<EmbeddedPack, InspectError> {
    let section = match parts.sections.as_slice() {
        [] => return Err(InspectError::NoSection),
        [one] if one.len() > MAX_SECTION => return Err(InspectError::SectionTooLarge(one.len())),
        [one] => *one,
        many => return Err(InspectError::ManySections(many.len())),
    };
    let malformed = |path: String, error: &serde_json::Error| InspectError::Malformed {
        path: plain(&path),
        message: plain(&error.to_string()),
    };
    let value: Value = serde_json::from_slice(section).map_err(|error| malformed(".".into(), &error))?;
    // Format first: of another format, everything else may have another shape.
    let format = value.get("format").unwrap_or(&Value::Null);
    if format.as_u64() != Some(EmbeddedPack::FORMAT.into()) {
        return Err(InspectError::Format(plain(&format.to_string()).chars().take(40).collect()));
    }
    let pack: EmbeddedPack = serde_path_to_error::deserialize(EmbeddedPack::from_section(value))
        .map_err(|error| malformed(error.path().to_string(), error.inner()))?;
    let problems = pack.problems();
    if !problems.is_empty() {
        let problems = problems.iter().map(|problem| plain(problem)).collect();
        return Err(InspectError::Problems { pack: pack.manifest.pack.id.to_string(), problems });
    }
    Ok(pack)
}

#[cfg(test)]
mod tests;
