//! From a reference to a component: the manifest is fetched and checked here, the component streams on to whoever stages and hashes it.

use futures_util::StreamExt as _;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
};
use rig_specs::Sha256;
use url::Url;

use super::{
    OciError, Reference, Tried,
    error::Told,
    manifest::{self, Layer, Leads},
};
use crate::{
    egress::RegistryRequest,
    install::net::{Download, Downloader, FromRegistry},
};

/// The largest manifest. Registries take no larger ones.
const MAX_MANIFEST: u64 = 4 << 20;
/// How much of an error is looked at.
const MAX_ERROR: u64 = 64 << 10;

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The reference with the digest of what it named when it was asked for.
    pub reference: Reference,
    /// Of the component.
    pub sha256: Sha256,
    /// Of the component, in bytes.
    pub size: u64,
}

/// A document of a registry, whose digest is that of its bytes.
pub(super) struct Raw {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Sha256,
    pub(super) leads: Result<Leads, String>,
}

/// One request to the repository of a reference. An answer that is no success is an error.
pub(super) async fn ask(
    net: &dyn Downloader,
    tried: Tried,
    reference: &Reference,
    request: RegistryRequest,
) -> Result<FromRegistry, OciError> {
    let home = request.repository.base.host_str().map(str::to_owned);
    let answer = net.registry(&request).await.map_err(|answer| OciError::no_answer(tried, reference, answer))?;
    if (200..300).contains(&answer.download.status) {
        return Ok(answer);
    }
    let FromRegistry { headers, strayed, known, download } = answer;
    let status = download.status;
    let host = download.url.host_str().filter(|host| strayed || Some(*host) != home.as_deref()).map(str::to_owned);
    // What cannot be read of an error is not missed.
    let body = take(download, MAX_ERROR).await.ok().flatten().unwrap_or_default();
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let told = Told { status, strayed: host.as_deref(), known, retry_after, body: &body };
    Err(OciError::refused(tried, reference, &told))
}

/// A request that fetches something.
pub(super) fn get(reference: &Reference, url: Url, accept: Option<&'static str>) -> RegistryRequest {
    let mut headers = HeaderMap::new();
    if let Some(accept) = accept {
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
    }
    RegistryRequest { repository: reference.repository(false), method: Method::GET, url, headers, body: None }
}

/// A whole body; none when it is larger than allowed.
pub(super) async fn take(mut download: Download, limit: u64) -> Result<Option<Vec<u8>>, String> {
    if download.content_length.is_some_and(|length| length > limit) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = download.body.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() as u64 > limit {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// The document that stands under a tag or a digest. By digest, it is that document or an error.
pub(super) async fn document(
    net: &dyn Downloader,
    tried: Tried,
    reference: &Reference,
    under: &str,
    digest: Option<Sha256>,
) -> Result<Raw, OciError> {
    let request = get(reference, reference.api(&format!("manifests/{under}")), Some(manifest::ACCEPT));
    let answer = ask(net, tried, reference, request).await?;
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // A registry that names another digest than that of what it sent does not know itself what it has.
    let promised = header("docker-content-digest").and_then(|text| text.parse::<Sha256>().ok());
    let content_type = header(CONTENT_TYPE.as_str());
    let broken = |why| OciError::NoAnswer { tried, reference: reference.to_string(), why, hint: None };
    let bytes = take(answer.download, MAX_MANIFEST).await.map_err(broken)?;
    let bytes = bytes.ok_or_else(|| OciError::TooLarge {
        tried,
        reference: reference.to_string(),
        what: "manifest",
        limit: MAX_MANIFEST,
    })?;
    let found = Sha256::of(&bytes);
    if let Some(expected) = digest.or(promised).filter(|expected| *expected != found) {
        return Err(OciError::Digest { reference: reference.to_string(), expected, found });
    }
    let leads = manifest::read(&bytes, content_type.as_deref());
    Ok(Raw { bytes, digest: found, leads })
}

/// What a reference with a tag or a digest names now. The digest that is pinned is that of the document under the tag, also when it is
/// an index of several artifacts.
///
/// # Errors
/// When the registry does not say, or it is no component.
pub(in crate::install) async fn resolve(net: &dyn Downloader, reference: &Reference) -> Result<Found, OciError> {
    let tried = Tried::Pull;
    let unfit = |why| OciError::unfit(tried, reference, why);
    let raw = match (reference.digest, &reference.tag) {
        (Some(digest), _) => document(net, tried, reference, &digest.to_string(), Some(digest)).await?,
        (None, Some(tag)) => document(net, tried, reference, tag, None).await?,
        (None, None) => return Err(unfit("it names neither a tag nor a digest".into())),
    };
    let layer = component(net, reference, raw.leads).await?;
    Ok(Found { reference: reference.pinned(raw.digest), sha256: layer.sha256, size: layer.size })
}

/// The component that a document leads to, over one index at most.
pub(super) async fn component(
    net: &dyn Downloader,
    reference: &Reference,
    leads: Result<Leads, String>,
) -> Result<Layer, OciError> {
    let unfit = |why| OciError::unfit(Tried::Pull, reference, why);
    match leads.map_err(unfit)? {
        Leads::To(layer) => Ok(layer),
        Leads::On(digest) => {
            let raw = document(net, Tried::Pull, reference, &digest.to_string(), Some(digest)).await?;
            match raw.leads.map_err(unfit)? {
                Leads::To(layer) => Ok(layer),
                Leads::On(_) => Err(unfit("it is an index of indexes".into())),
            }
        }
    }
}

/// The digest of what a tag names now.
pub(in crate::install) async fn digest_of(
    net: &dyn Downloader,
    reference: &Reference,
    tag: &str,
) -> Result<Sha256, OciError> {
    let reference = reference.tagged(tag);
    document(net, Tried::Pull, &reference, tag, None).await.map(|raw| raw.digest)
}

/// The component that a reference names, on its way. Its URL is the reference with the digest; who reads it checks the bytes.
///
/// # Errors
/// As [`resolve`], and when the registry does not have the component.
pub(in crate::install) async fn open(net: &dyn Downloader, reference: &Reference) -> Result<Download, OciError> {
    let found = resolve(net, reference).await?;
    let request = get(reference, reference.api(&format!("blobs/{}", found.sha256)), None);
    let answer = ask(net, Tried::Pull, reference, request).await?;
    let unfit = |why| OciError::unfit(Tried::Pull, reference, why);
    let length = answer.download.content_length;
    if let Some(length) = length.filter(|length| *length != found.size) {
        return Err(unfit(format!("its manifest says that the component has {} bytes, and {length} come", found.size)));
    }
    let url = found.reference.url().ok_or_else(|| unfit("it is no usable URL".into()))?;
    Ok(Download {
        status: 200,
        content_length: Some(found.size),
        content_type: None,
        content_range: None,
        validator: None,
        url,
        body: answer.download.body,
    })
}
