//! The tags of a repository, and which of them are versions of a pack. A tag cannot hold a `+`, so that of `1.0.0+b` is `1.0.0_b`.

use std::collections::BTreeMap;

use semver::Version;
use serde::Deserialize;
use url::Url;

use super::{OciError, Reference, Tried, pull};
use crate::install::{net::Downloader, source::Wanted};

/// The largest page of a list.
const MAX_PAGE: u64 = 1 << 20;
/// How many pages are read. Registries put 100 to 1000 tags on one.
const MAX_PAGES: usize = 100;
/// The tag of what has no version among its tags: what clients take when none is named.
const LATEST: &str = "latest";

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// The version that a tag is, if it is one.
pub(in crate::install) fn version_of(tag: &str) -> Option<Version> {
    let text = tag.replacen('_', "+", 1);
    Version::parse(text.strip_prefix('v').unwrap_or(&text)).ok()
}

/// The tag of a version.
pub(super) fn tag_of(version: &Version) -> String {
    version.to_string().replace('+', "_")
}

/// The versions among the tags of a repository, each with its tag.
///
/// # Errors
/// When the registry does not list them.
pub(in crate::install) async fn list(
    net: &dyn Downloader,
    reference: &Reference,
) -> Result<BTreeMap<Version, String>, OciError> {
    let (tried, bare) = (Tried::List, reference.bare());
    let mut url = bare.api("tags/list");
    url.set_query(Some("n=1000"));
    let mut versions = BTreeMap::new();
    for _ in 0..MAX_PAGES {
        let answer = pull::ask(net, tried, &bare, pull::get(&bare, url.clone(), None)).await?;
        let link = answer.headers.get("link").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let unfit = |why: String| OciError::unfit(tried, &bare, why);
        let bytes = pull::take(answer.download, MAX_PAGE).await.map_err(unfit)?;
        let too_large = || OciError::TooLarge { tried, reference: bare.to_string(), what: "list", limit: MAX_PAGE };
        let page: Page = serde_json::from_slice(&bytes.ok_or_else(too_large)?)
            .map_err(|_| unfit("what the registry answered is not a list of tags".into()))?;
        for tag in page.tags.unwrap_or_default() {
            if let Some(version) = version_of(&tag) {
                // Of `1.0.0` and `v1.0.0` the plain one counts.
                let known = versions.entry(version).or_insert_with(|| tag.clone());
                if known.len() > tag.len() {
                    *known = tag;
                }
            }
        }
        match link.as_deref().and_then(|link| next(&url, link)) {
            // A list that leads elsewhere ends here.
            Some(following) if following.origin() == url.origin() && following != url => url = following,
            _ => return Ok(versions),
        }
    }
    Err(OciError::unfit(tried, &bare, format!("the list has more than {MAX_PAGES} pages")))
}

/// The next page: `<URL>; rel="next"`.
fn next(url: &Url, link: &str) -> Option<Url> {
    let (target, params) = link.trim().strip_prefix('<')?.split_once('>')?;
    params.replace(['"', ' '], "").split(';').any(|param| param == "rel=next").then_some(())?;
    url.join(target).ok()
}

/// The tag that is meant where a person named none: that of the newest version that fits, else `latest`.
///
/// # Errors
/// As [`list`], and when no version fits.
pub(in crate::install) async fn choose(
    net: &dyn Downloader,
    reference: &Reference,
    wanted: Option<&Wanted>,
) -> Result<String, OciError> {
    let versions = list(net, reference).await?;
    let fits = |(version, _): &(&Version, &String)| wanted.is_none_or(|wanted| wanted.matches(version));
    let all: Vec<_> = versions.iter().rev().filter(fits).collect();
    let newest = all.iter().find(|(version, _)| version.pre.is_empty()).or_else(|| all.first());
    match (newest, wanted) {
        (Some((_, tag)), _) => Ok((*tag).clone()),
        (None, None) => Ok(LATEST.into()),
        (None, Some(wanted)) => Err(OciError::NoVersion {
            reference: reference.bare().to_string(),
            wanted: wanted.to_string(),
            available: versions.keys().rev().take(20).map(ToString::to_string).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_versions() {
        for (tag, version) in [
            ("1.0.0", Some("1.0.0")),
            ("v1.0.0", Some("1.0.0")),
            ("1.0.0-rc.1", Some("1.0.0-rc.1")),
            ("1.0.0_b.2", Some("1.0.0+b.2")),
            ("1.0", None),
            ("latest", None),
            ("vv1.0.0", None),
        ] {
            assert_eq!(version_of(tag).map(|version| version.to_string()).as_deref(), version, "{tag}");
        }
        assert_eq!(tag_of(&"1.0.0-a+b.2".parse().unwrap()), "1.0.0-a_b.2");
    }

    #[test]
    fn pages() {
        let url: Url = "https://r.example/v2/a/tags/list?n=2".parse().unwrap();
        let after = |link| next(&url, link).map(String::from);
        assert_eq!(
            after(r#"</v2/a/tags/list?last=b&n=2>; rel="next""#).as_deref(),
            Some("https://r.example/v2/a/tags/list?last=b&n=2")
        );
        assert_eq!(after("<https://evil.example/x>; rel=next").as_deref(), Some("https://evil.example/x"));
        for none in ["", "</x>", r#"</x>; rel="prev""#, "/x; rel=next", "<http://[>; rel=next"] {
            assert_eq!(after(none), None, "{none}");
        }
    }
}
