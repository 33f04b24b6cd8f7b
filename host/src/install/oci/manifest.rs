//! What registries say of an artifact: manifests of images, indexes of several of them, and the manifest that rig writes. Pure.
//!
//! A manifest is believed about one thing: which layer is the component. What the component is and asks for is read from itself.

use std::collections::BTreeMap;

use rig_specs::Sha256;
use serde::{Deserialize, Serialize};

use crate::{install::store::MAX_COMPONENT, words::plain};

/// A manifest of one artifact.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index of several.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The same by docker's older names.
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// What is asked for.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// A description of a component.
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// A component.
const LAYER: &str = "application/wasm";
/// What older tools called a component.
const OLD_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// What architecture and system of an entry in an index say of a component.
const WASM: &str = "wasm";

/// Something that a registry keeps under its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(flatten)]
    of: Descriptor,
    artifact_type: Option<String>,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
}

/// The component that a manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) sha256: Sha256,
    pub(super) size: u64,
}

/// What a document of a registry leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leads {
    /// A component.
    To(Layer),
    /// The manifest of one.
    On(Sha256),
}

/// Reads a manifest or an index. `content_type` is what the registry said of it.
///
/// # Errors
/// A sentence about what it is instead.
pub(super) fn read(bytes: &[u8], content_type: Option<&str>) -> Result<Leads, String> {
    let message = |error: serde_json::Error| {
        let text = error.to_string();
        format!("what the registry answered is not a manifest: {}", plain(&text).chars().take(200).collect::<String>())
    };
    let document: Document = serde_json::from_slice(bytes).map_err(message)?;
    if document.schema_version != Some(2) {
        return Err("its manifest has a version that rig does not know".into());
    }
    // A document that is both can be read in two ways, and others would read it in the other.
    if document.manifests.is_some() && (document.layers.is_some() || document.config.is_some()) {
        return Err("its manifest is ambiguous: it names both layers and manifests".into());
    }
    let said = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
    let known = |kind: &&str| matches!(*kind, MANIFEST | INDEX | DOCKER_MANIFEST | DOCKER_INDEX);
    let kind = document.media_type.as_deref();
    if let (Some(kind), Some(said)) = (kind, said.filter(known))
        && kind != said
    {
        return Err(format!("its manifest is ambiguous: it calls itself `{}`, and the registry `{said}`", plain(kind)));
    }
    match kind.or(said.filter(known)) {
        Some(INDEX | DOCKER_INDEX) => entry(&document.manifests.unwrap_or_default()),
        Some(MANIFEST | DOCKER_MANIFEST) => layer(&document),
        None if document.manifests.is_some() => entry(&document.manifests.unwrap_or_default()),
        None if document.layers.is_some() => layer(&document),
        other => Err(format!("it is no artifact that rig knows (`{}`)", plain(other.unwrap_or("no media type")))),
    }
}

/// The one component of a manifest.
fn layer(document: &Document) -> Result<Leads, String> {
    let layers = document.layers.as_deref().unwrap_or_default();
    let wasm: Vec<&Descriptor> =
        layers.iter().filter(|layer| matches!(layer.media_type.as_str(), LAYER | OLD_LAYER)).collect();
    let one = match wasm.as_slice() {
        [one] => *one,
        [] => {
            let config = document.config.as_ref().map_or("none", |config| config.media_type.as_str());
            let what = if config.contains("image.config") || config.contains("container.image") {
                "a container image".to_owned()
            } else {
                format!("an artifact of another kind (`{}`)", plain(config))
            };
            return Err(format!("it is {what}, and not a WebAssembly component"));
        }
        many => return Err(format!("it holds {} WebAssembly files, and a pack is one", many.len())),
    };
    let sha256 = digest(&one.digest)?;
    if one.size > MAX_COMPONENT {
        return Err(format!(
            "its component has {} bytes, more than the {} MiB that rig installs",
            one.size,
            MAX_COMPONENT >> 20
        ));
    }
    Ok(Leads::To(Layer { sha256, size: one.size }))
}

/// The one entry of an index that is a component: by its kind, by its platform, or because there is no other.
fn entry(entries: &[Entry]) -> Result<Leads, String> {
    let is_manifest = |entry: &&Entry| matches!(entry.of.media_type.as_str(), MANIFEST | DOCKER_MANIFEST);
    let entries: Vec<&Entry> = entries.iter().filter(is_manifest).collect();
    let is_wasm = |entry: &&&Entry| {
        entry.artifact_type.as_deref() == Some(CONFIG)
            || entry.platform.as_ref().is_some_and(|platform| platform.architecture == WASM)
    };
    let wasm: Vec<&&Entry> = entries.iter().filter(is_wasm).collect();
    let one = match (wasm.as_slice(), entries.as_slice()) {
        ([one], _) => one,
        ([], [one]) if one.platform.is_none() && one.artifact_type.is_none() => one,
        ([], _) => return Err(format!("it is an index of {} artifacts, and none is for WebAssembly", entries.len())),
        (many, _) => {
            return Err(format!("it is an index of {} WebAssembly artifacts: name one by its digest", many.len()));
        }
    };
    digest(&one.of.digest).map(Leads::On)
}

fn digest(text: &str) -> Result<Sha256, String> {
    let hex = text.strip_prefix("sha256:").filter(|hex| !hex.starts_with("sha256:"));
    hex.and_then(|hex| hex.parse().ok()).ok_or_else(|| {
        format!(
            "its manifest names `{}`, which is not a sha256 digest",
            plain(text).chars().take(80).collect::<String>()
        )
    })
}

/// What a config says about a component.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [String; 1],
    component: Interfaces<'a>,
}

#[derive(Serialize)]
struct Interfaces<'a> {
    exports: &'a [String],
    imports: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 1],
    annotations: BTreeMap<&'static str, String>,
}

/// An artifact to be pushed: config and manifest. The same component makes the same bytes, wherever and whenever it is pushed.
pub(super) fn write(
    layer: Layer,
    exports: &[String],
    imports: &[String],
    annotations: BTreeMap<&'static str, String>,
) -> Result<(Vec<u8>, Vec<u8>), serde_json::Error> {
    let config = serde_json::to_vec(&Config {
        // The layout wants a time. The one of the build would make another artifact of the same component.
        created: "1970-01-01T00:00:00Z",
        architecture: WASM,
        os: "wasip2",
        layer_digests: [layer.sha256.to_string()],
        component: Interfaces { exports, imports },
    })?;
    let described = |media_type: &str, digest: Sha256, size| Descriptor {
        media_type: media_type.into(),
        digest: digest.to_string(),
        size,
    };
    let manifest = serde_json::to_vec(&Written {
        schema_version: 2,
        media_type: MANIFEST,
        config: described(CONFIG, Sha256::of(&config), config.len() as u64),
        layers: [described(LAYER, layer.sha256, layer.size)],
        annotations,
    })?;
    Ok((config, manifest))
}
