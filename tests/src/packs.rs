//! Components to install, good and bad, and indexes that name them.
//!
//! Bad components are made from a good one where that can be, so that one thing only is wrong with them.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use rig_specs::{
    Sha256,
    index::{API_VERSION, Index, IndexPack, WasmRelease, WasmReleases},
    manifest::{EmbeddedPack, SECTION},
    rtp::interface_hash,
};
use wasm_encoder::{
    ComponentImportSection, ComponentSection as _, ComponentSectionId, ComponentTypeRef, ComponentTypeSection,
    CustomSection, Encode as _, InstanceType, PrimitiveValType,
};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use crate::artifacts;

/// The name of the index file that [`index_of`] writes.
pub const INDEX: &str = "index.json";

/// The bytes of a pack that was built from `example-packs/`.
#[must_use]
pub fn built(id: &str) -> Vec<u8> {
    let path = artifacts::pack(id);
    fs::read(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}

/// What a component carries about itself.
#[must_use]
pub fn embedded(component: &[u8]) -> EmbeddedPack {
    let (_, data) = section(component).expect("the component has a section about the pack");
    let section = serde_json::from_slice(&component[data]).expect("the section is JSON");
    serde_json::from_value(EmbeddedPack::from_section(section)).expect("the section is an EmbeddedPack")
}

/// The component without the section that describes the pack.
#[must_use]
pub fn without_section(component: &[u8]) -> Vec<u8> {
    let (whole, _) = section(component).expect("the component has a section about the pack");
    [&component[..whole.start], &component[whole.end..]].concat()
}

/// The component with other bytes in the section that describes the pack.
#[must_use]
pub fn with_section(component: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = if section(component).is_some() { without_section(component) } else { component.to_vec() };
    let custom = CustomSection { name: SECTION.into(), data: data.into() };
    bytes.push(ComponentSectionId::CoreCustom.into());
    custom.encode(&mut bytes);
    bytes
}

/// The component with its description of itself changed.
#[must_use]
pub fn repacked(component: &[u8], change: impl FnOnce(&mut EmbeddedPack)) -> Vec<u8> {
    let mut pack = embedded(component);
    change(&mut pack);
    with_section(component, &serde_json::to_vec(&pack).expect("an EmbeddedPack is JSON"))
}

/// The component as another release of the same pack.
#[must_use]
pub fn released(component: &[u8], version: &str) -> Vec<u8> {
    let version = version.parse().expect("a version");
    repacked(component, |pack| pack.manifest.pack.version = version)
}

/// The component as another pack, which works: its id stands in its code and in what it says about itself, so the new one is as long.
#[must_use]
pub fn renamed(component: &[u8], id: &str) -> Vec<u8> {
    let old = embedded(component).manifest.pack.id;
    assert_eq!(old.as_str().len(), id.len(), "an id in the place of another");
    let (from, to) = (format!("{old}."), format!("{id}."));
    let mut bytes = component.to_vec();
    let tools: Vec<String> = embedded(component).tools.into_iter().map(|tool| tool.def.name).collect();
    for name in &tools {
        let new = name.replacen(&from, &to, 1);
        let places: Vec<usize> =
            bytes.windows(name.len()).enumerate().filter(|(_, at)| *at == name.as_bytes()).map(|(at, _)| at).collect();
        for at in places {
            bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
        }
    }
    repacked(&bytes, |pack| pack.manifest.pack.id = id.parse().expect("an id"))
}

/// The component, but importing one more interface: `name`, with a function `take`.
#[must_use]
pub fn importing(component: &[u8], name: &str) -> Vec<u8> {
    let mut instance = InstanceType::new();
    instance.ty().function().params([("what", PrimitiveValType::String)]).result(Some(PrimitiveValType::String.into()));
    instance.export("take", ComponentTypeRef::Func(0));
    let mut types = ComponentTypeSection::new();
    let index = count_types(component);
    types.instance(&instance);
    let mut imports = ComponentImportSection::new();
    imports.import(name, ComponentTypeRef::Instance(index));
    let mut bytes = component.to_vec();
    types.append_to_component(&mut bytes);
    imports.append_to_component(&mut bytes);
    bytes
}

/// A small component with no code: a good file, but no pack. It exports an empty instance.
#[must_use]
pub fn hollow_component() -> Vec<u8> {
    wat::parse_str(r#"(component (instance $none) (export "nothing" (instance $none)))"#).expect("valid text")
}

/// A core module, as an older toolchain makes it.
#[must_use]
pub fn core_module() -> Vec<u8> {
    wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "call") (result i32) i32.const 42))"#)
        .expect("valid text")
}

/// Writes components into a folder, and an index beside them that names them by relative URLs. Several components may be
/// releases of one pack. The packs' names, versions and hashes are read from the components.
pub fn index_of(dir: &Path, components: &[Vec<u8>]) -> Index {
    let mut packs: BTreeMap<_, IndexPack> = BTreeMap::new();
    for component in components {
        let EmbeddedPack { manifest, tools, .. } = embedded(component);
        let info = manifest.pack;
        let file = format!("{}-{}.wasm", info.id, info.version);
        fs::write(dir.join(&file), component).expect("write a component");
        let release = WasmRelease {
            sha256: Sha256::of(component),
            size: component.len() as u64,
            urls: vec![file],
            min_rig: info.min_rig,
            yanked: false,
            dependencies: manifest.dependencies,
            interface_hash: Some(interface_hash(tools.iter().map(|tool| &tool.def))),
        };
        let pack = packs.entry(info.id).or_insert_with(|| IndexPack {
            display_name: info.display_name,
            description: info.description,
            homepage: info.homepage,
            tags: info.tags,
            publisher: None,
            wasm: Some(WasmReleases { versions: BTreeMap::new() }),
            python: None,
            node: None,
            slots: Vec::new(),
        });
        if let Some(releases) = &mut pack.wasm {
            releases.versions.insert(info.version, release);
        }
    }
    let index = Index {
        api_version: API_VERSION,
        generated_at: "2026-11-01T00:00:00Z".into(),
        packs,
        removed: BTreeMap::new(),
    };
    write_index(dir, &index);
    index
}

/// Writes an index file.
pub fn write_index(dir: &Path, index: &Index) -> PathBuf {
    let path = dir.join(INDEX);
    fs::write(&path, serde_json::to_vec_pretty(index).expect("an index is JSON")).expect("write an index");
    path
}

/// Flips one bit of a file, wherever it lies and even when the file is read-only.
pub fn tamper(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    let offset = offset % bytes.len();
    bytes[offset] ^= 1;
    replace(path, &bytes);
}

/// Puts other bytes in the place of a file, even when it is read-only. The permissions stay.
pub fn replace(path: &Path, bytes: &[u8]) {
    let permissions = fs::metadata(path).expect("the file exists").permissions();
    fs::remove_file(path).expect("remove a file of this test");
    fs::write(path, bytes).expect("write a file of this test");
    fs::set_permissions(path, permissions).expect("set permissions of a file of this test");
}

/// Where the section about the pack lies: with its head, and its data alone.
fn section(component: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    // Sections of nested modules are at greater depth and do not count.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(custom) if depth == 0 && custom.name() == SECTION => {
                let position = |offset| usize::try_from(offset).expect("an offset in memory");
                let (start, end) = (position(custom.range().start), position(custom.range().end));
                // The head is the id and the length, as short as its encoding can be.
                let mut length = Vec::new();
                (end - start).encode(&mut length);
                let head = start - length.len() - 1;
                assert_eq!(component[head], u8::from(ComponentSectionId::CoreCustom), "the head of the section");
                return Some((head..end, position(custom.data_offset())..end));
            }
            _ => {}
        }
    }
    None
}

/// How many types the outermost component has: the next one gets this index.
fn count_types(component: &[u8]) -> u32 {
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(component).expect("a valid component");
    types.as_ref().component_type_count()
}
