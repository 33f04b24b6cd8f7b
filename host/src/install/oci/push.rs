//! Puts a component into a registry: its bytes and its config first, then the manifest under each tag, so that no tag ever names what is
//! not there. A tag that is a version never gets another component; other tags move.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{CONTENT_TYPE, LOCATION},
};
use rig_specs::Sha256;
use serde::Serialize;
use url::Url;

use super::{
    OciError, Reference, Tried,
    manifest::{self, Layer},
    pull::{self, Raw, ask, document},
    tags,
};
use crate::{
    egress::RegistryRequest,
    install::{inspect::Inspected, net::Downloader},
};

/// What pushing came to, or would come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The first tag, with the digest of the manifest.
    pub reference: Reference,
    /// Of the manifest.
    pub manifest: Sha256,
    /// The tags, in the order in which they were named.
    pub tags: Vec<Tag>,
}

/// A tag that names the manifest now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// Whether it is new, or named something else before.
    pub changed: bool,
}

/// Pushes a component under the tag of a reference, or under its version, and under more tags.
///
/// # Errors
/// When a version is there with another component, a tag is the name of another version, or the registry does not take it.
pub async fn push(
    net: &dyn Downloader,
    reference: &Reference,
    more: &[String],
    component: (&Inspected, Vec<u8>),
    publisher: Option<&str>,
    dry_run: bool,
) -> Result<Pushed, OciError> {
    let (inspected, bytes) = component;
    let info = &inspected.pack.manifest.pack;
    let mut names = vec![reference.tag.clone().unwrap_or_else(|| tags::tag_of(&info.version))];
    for name in more {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let layer = Layer { sha256: inspected.sha256, size: inspected.size };
    let (config, mut written) = describe(inspected, publisher, layer)
        .map_err(|error| OciError::unfit(Tried::Push, reference, error.to_string()))?;
    let mut there: BTreeMap<&str, Option<Raw>> = BTreeMap::new();
    for name in &names {
        let tagged = reference.tagged(name);
        let unfit = |why| OciError::unfit(Tried::Push, &tagged, why);
        super::reference::check_tag(name).map_err(unfit)?;
        let version = tags::version_of(name);
        if version.as_ref().is_some_and(|version| *version != info.version) {
            return Err(unfit(format!("the tag is a version, and {} is version {}", info.id, info.version)));
        }
        let mut raw = match document(net, Tried::Push, &tagged, name, None).await {
            Ok(raw) => Some(raw),
            Err(error) if error.is_absent() => None,
            Err(error) => return Err(error),
        };
        if let (Some(found), Some(_)) = (&mut raw, version) {
            // What cannot be told apart from another component is one.
            let found_layer =
                pull::component(net, &tagged, std::mem::replace(&mut found.leads, Err(String::new()))).await?;
            if found_layer.sha256 != layer.sha256 {
                return Err(OciError::Taken { reference: tagged.to_string(), found: found_layer.sha256 });
            }
            // Somebody may have pushed the same component with another config. What is there stays.
            written.clone_from(&found.bytes);
        }
        there.insert(name, raw);
    }
    let digest = Sha256::of(&written);
    let changed = |name: &String| there[name.as_str()].as_ref().is_none_or(|raw| raw.digest != digest);
    let tags: Vec<Tag> = names.iter().map(|name| Tag { name: name.clone(), changed: changed(name) }).collect();
    if !dry_run && tags.iter().any(|tag| tag.changed) {
        let known = there.values().flatten().any(|raw| raw.digest == digest);
        if !known {
            blob(net, reference, layer.sha256, bytes).await?;
            blob(net, reference, Sha256::of(&config), config).await?;
        }
        for tag in tags.iter().filter(|tag| tag.changed) {
            put(net, &reference.tagged(&tag.name), &tag.name, &written, digest).await?;
        }
    }
    Ok(Pushed { reference: reference.tagged(&names[0]).pinned(digest), manifest: digest, tags })
}

/// Config and manifest of a pack.
fn describe(
    inspected: &Inspected,
    publisher: Option<&str>,
    layer: Layer,
) -> Result<(Vec<u8>, Vec<u8>), serde_json::Error> {
    let info = &inspected.pack.manifest.pack;
    let mut notes = BTreeMap::from([
        ("org.opencontainers.image.title", info.id.to_string()),
        ("org.opencontainers.image.version", info.version.to_string()),
        ("org.opencontainers.image.description", info.description.clone()),
    ]);
    let optional = [
        ("org.opencontainers.image.licenses", info.license.as_deref()),
        ("org.opencontainers.image.url", info.homepage.as_deref()),
        ("org.opencontainers.image.vendor", publisher),
    ];
    notes.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value?.to_owned()))));
    manifest::write(layer, &inspected.exports, &inspected.imports, notes)
}

fn request(reference: &Reference, method: Method, url: Url, kind: &'static str, body: Vec<u8>) -> RegistryRequest {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
    RegistryRequest { repository: reference.repository(true), method, url, headers, body: Some(Bytes::from(body)) }
}

/// Puts bytes under their digest, unless they are there.
async fn blob(net: &dyn Downloader, reference: &Reference, digest: Sha256, bytes: Vec<u8>) -> Result<(), OciError> {
    let tried = Tried::Push;
    let look = RegistryRequest {
        repository: reference.repository(true),
        method: Method::HEAD,
        url: reference.api(&format!("blobs/{digest}")),
        headers: HeaderMap::new(),
        body: None,
    };
    match ask(net, tried, reference, look).await {
        Ok(_) => return Ok(()),
        Err(error) if error.is_absent() => {}
        Err(error) => return Err(error),
    }
    let octets = "application/octet-stream";
    let start = request(reference, Method::POST, reference.api("blobs/uploads/"), octets, Vec::new());
    let started = ask(net, tried, reference, start).await?;
    let place = started.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let place = place.and_then(|place| started.download.url.join(place).ok());
    let unfit = |why: &str| OciError::unfit(tried, reference, why.into());
    let mut place = place.ok_or_else(|| unfit("the registry does not say where to upload to"))?;
    place.query_pairs_mut().append_pair("digest", &digest.to_string());
    ask(net, tried, reference, request(reference, Method::PUT, place, octets, bytes)).await?;
    Ok(())
}

/// Lets a tag name the manifest.
async fn put(
    net: &dyn Downloader,
    reference: &Reference,
    tag: &str,
    manifest: &[u8],
    digest: Sha256,
) -> Result<(), OciError> {
    let url = reference.api(&format!("manifests/{tag}"));
    let request = request(reference, Method::PUT, url, manifest::MANIFEST, manifest.to_vec());
    let answer = ask(net, Tried::Push, reference, request).await?;
    // A registry that rewrites what it is given would give others another artifact.
    let header = answer.headers.get("docker-content-digest").and_then(|value| value.to_str().ok());
    match header.and_then(|text| text.parse::<Sha256>().ok()) {
        Some(found) if found != digest => {
            Err(OciError::Digest { reference: reference.to_string(), expected: digest, found })
        }
        _ => Ok(()),
    }
}
