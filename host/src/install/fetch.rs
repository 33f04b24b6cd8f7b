//! Fetches components to staging, several at once, and hashes them in flight. What has another hash or size than expected is never kept.
//!
//! A place that fails is followed by the next one. What an interruption left is gone on with, here and by the next command ([`part`]); what
//! turns out not to belong together is thrown away and fetched anew ([`attempt`]).

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rig_specs::Sha256;
use url::Url;

use super::{
    net::{Downloader, NetError},
    store::{MAX_COMPONENT, Staged, StoreError},
};
use crate::home::Home;

mod attempt;
mod part;
mod range;

use attempt::Attempt;
use part::Part;

/// How many components are fetched at once. Enough to hide the round trips of small ones; more would only share the same line, and take
/// more than a fair part of a server.
pub(super) const AT_ONCE: usize = 6;

/// What the bytes must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Their hash.
    pub sha256: Sha256,
    /// Their number, when the index says so.
    pub size: Option<u64>,
}

/// Why a component was not fetched. What came of it and may still be right waits in staging for the next attempt; nothing else is left.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There are no bytes.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The bytes have another hash.
    #[error("{url} is not what it should be: it should have {expected}, but has {found}")]
    Hash {
        /// Where the bytes came from.
        url: Url,
        /// The hash that they should have.
        expected: Sha256,
        /// The hash that they have.
        found: Sha256,
    },
    /// There are more or fewer bytes than there should be. They are not fetched to the end only to be hashed.
    #[error("{url} is not what it should be: it should have {sha256} and {expected} bytes, but has {found} bytes")]
    Size {
        /// Where the bytes came from.
        url: Url,
        /// The hash that they should have.
        sha256: Sha256,
        /// How many there should be.
        expected: u64,
        /// How many there are, or how many had come when the rest was refused.
        found: u64,
    },
    /// There are more bytes than any component has.
    #[error("{url} is larger than {} MiB, the most that rig installs", MAX_COMPONENT >> 20)]
    TooLarge {
        /// Where the bytes came from.
        url: Url,
    },
    /// The server says that it sends what is missing, or is asked for all again, and sends something else.
    #[error("cannot fetch {url}: the server was asked for the bytes from {from} on and sent others")]
    OtherPart {
        /// Where the bytes came from.
        url: Url,
        /// The first byte that was missing.
        from: u64,
    },
    /// No place has it.
    #[error("none of its {} places has it:{}", .0.len(), listed(.0))]
    Everywhere(Vec<FetchError>),
    /// There is no place to fetch from.
    #[error("the index names no place to fetch the component from")]
    NoPlace,
    /// The bytes cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes cannot be written.
    #[error("cannot write the download of {url}: {why}")]
    Write {
        /// Where the bytes came from.
        url: Url,
        /// Why.
        why: String,
    },
}

fn listed(errors: &[FetchError]) -> String {
    errors.iter().fold(String::new(), |listed, error| listed + "\n  " + &error.to_string())
}

impl FetchError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Net(error) => error.hint(),
            Self::Hash { .. } | Self::Size { .. } => {
                Some("nothing was installed; run it again with `--refresh`, and if it stays so, tell the publisher of the pack".into())
            }
            Self::OtherPart { .. } => Some("run it again; if it stays so, tell whoever keeps the server".into()),
            // Wrong bytes matter more than a server that is down.
            Self::Everywhere(errors) => errors.iter().find(|e| e.is_wrong()).or(errors.first()).and_then(Self::hint),
            Self::Store(error) => error.hint(),
            Self::Write { .. } => Some("check that there is space on the disk".into()),
            Self::TooLarge { .. } => Some("check what the URL names, and tell the publisher of the pack".into()),
            Self::NoPlace => Some("tell whoever keeps the index".into()),
        }
    }

    /// Whether a place has bytes, and they are not the right ones.
    fn is_wrong(&self) -> bool {
        matches!(self, Self::Hash { .. } | Self::Size { .. } | Self::TooLarge { .. })
    }

    /// Whether another place cannot help.
    pub(super) fn is_of_this_machine(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Write { .. })
    }

    /// One error for all the places that were tried.
    pub(super) fn all_of(errors: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for error in errors {
            match error {
                Self::Everywhere(errors) => all.extend(errors),
                Self::NoPlace => {}
                other => all.push(other),
            }
        }
        let offline = |error: &Self| matches!(error, Self::Net(NetError::Offline { .. }));
        if all.iter().all(offline) {
            all.truncate(1);
        }
        if all.len() > 1 { Self::Everywhere(all) } else { all.pop().unwrap_or(Self::NoPlace) }
    }
}

/// How far the download of a component is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What is fetched: the id of a pack, or a URL.
    pub what: &'a str,
    /// What happened.
    pub event: Event<'a>,
}

/// What happens in a download.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// It will be fetched, and has that many bytes, when that is known.
    Planned(Option<u64>),
    /// It goes on after that many bytes, which came earlier.
    Continued(u64),
    /// Bytes came.
    Received {
        /// How many are here.
        received: u64,
        /// How many there will be, when that is known.
        total: Option<u64>,
    },
    /// A place failed, and another one is tried.
    NextPlace {
        /// Why.
        error: &'a FetchError,
        /// The other one.
        next: &'a Url,
    },
    /// All of it is here.
    Done,
}

/// What all downloads of a command share.
#[derive(Clone, Copy)]
pub(super) struct Fetcher<'a> {
    pub(super) downloader: &'a dyn Downloader,
    pub(super) home: &'a Home,
    pub(super) offline: bool,
    pub(super) progress: &'a (dyn Fn(Progress<'_>) + Sync),
}

impl Fetcher<'_> {
    /// Fetches from the first place that has the right bytes. Returns the place too.
    ///
    /// # Errors
    /// What went wrong in each place.
    pub(super) async fn fetch(
        &self,
        what: &str,
        urls: &[Url],
        expected: Expected,
    ) -> Result<(Staged, Url), FetchError> {
        let report = |event: Event<'_>| (self.progress)(Progress { what, event });
        let Some(first) = urls.first() else { return Err(FetchError::NoPlace) };
        let most = expected.size.unwrap_or(MAX_COMPONENT);
        if most > MAX_COMPONENT {
            return Err(FetchError::TooLarge { url: first.clone() });
        }
        let mut part = Part::open(self.home, &expected.sha256, most)?;
        let mut errors = Vec::new();
        for (position, url) in urls.iter().enumerate() {
            let next = urls.get(position + 1);
            let attempt = Attempt { fetcher: self, url, expected, is_last: next.is_none(), report: &report };
            match attempt.run(&mut part).await {
                Ok(place) => {
                    let write = |error: std::io::Error| FetchError::Write { url: url.clone(), why: error.to_string() };
                    let staged = part.finish().map_err(write)?;
                    report(Event::Done);
                    return Ok((staged, place));
                }
                Err(error) if error.is_of_this_machine() => return Err(error),
                Err(error) => {
                    if let Some(next) = next {
                        report(Event::NextPlace { error: &error, next });
                    }
                    errors.push(error);
                }
            }
        }
        Err(FetchError::all_of(errors))
    }
}

/// Runs downloads beside each other and returns what they brought, in their order. The first that fails ends all: what came of the others
/// is not lost.
pub(super) async fn all<T, E>(
    downloads: impl IntoIterator<Item = impl Future<Output = Result<T, E>>>,
) -> Result<Vec<T>, E> {
    let numbered = downloads.into_iter().enumerate();
    let numbered = numbered.map(|(number, download)| async move { Ok((number, download.await?)) });
    let mut done: Vec<(usize, T)> = stream::iter(numbered).buffer_unordered(AT_ONCE).try_collect().await?;
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, brought)| brought).collect())
}

#[cfg(test)]
mod tests;
