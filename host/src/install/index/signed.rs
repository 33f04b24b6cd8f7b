//! Reads a signed index: the copy when it is the one that was seen last and its signatures are still good, else from its place.

use super::{Cache, Found, IndexError, Mode, is_passing, parse, stale};
use crate::install::trust::{Standing, client::Client};

/// The index with its standing. `cache` is nothing for a file, of which no copy is kept.
pub(super) async fn load(client: &Client<'_>, cache: Option<&Cache<'_>>, mode: Mode) -> Result<Found, IndexError> {
    let url = client.url;
    let copy = match cache.filter(|_| mode != Mode::Refresh) {
        Some(cache) => cache.read(url)?,
        None => None,
    };
    // A copy is in the project, where others may write: only what rig's home knows of it makes it the index.
    let known = match &copy {
        Some(copy) => client.recognise(&copy.bytes)?,
        None => None,
    };
    let copy = copy.zip(known);
    let found = |bytes: &[u8], signed, warning| {
        let index = parse(bytes, url)?;
        Ok(Found { index, base: url.clone(), warning, standing: Standing::Signed(signed) })
    };
    match (mode, copy) {
        (Mode::Cached | Mode::Offline, Some((copy, (signed, true)))) if copy.is_fresh() => {
            found(&copy.bytes, signed, None)
        }
        (Mode::Offline, Some((copy, (signed, good)))) => {
            let expired = format!(" and whose signatures expired at {}", signed.expires);
            let expired = if good { "" } else { &expired };
            let of = copy.fetched_at;
            let warning = format!("working offline with the index of {of}, which may be out of date{expired}");
            found(&copy.bytes, signed, Some(warning))
        }
        (Mode::Offline, None) if cache.is_some() => Err(IndexError::NoCopy { url: url.clone() }),
        (_, copy) => match (client.update().await, copy) {
            (Ok(verified), _) => {
                let fetched = found(&verified.bytes, verified.signed, None)?;
                verified.targets.check(url, &fetched.index)?;
                if let Some(cache) = cache {
                    cache.write(url, url, &verified.bytes);
                }
                Ok(fetched)
            }
            // Only while its signatures are good: a network that fails for ever must not be a way to hide what is new.
            (Err(IndexError::Net(error)), Some((copy, (signed, true)))) if is_passing(&error) => {
                let warning = stale(&error, &copy);
                found(&copy.bytes, signed, Some(warning))
            }
            (Err(error), _) => Err(error),
        },
    }
}
