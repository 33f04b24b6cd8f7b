//! One place, until it has brought the component or is given up: asks for what is missing, goes on after an interruption, begins anew when
//! the pieces do not belong together.

use std::{io, time::Duration};

use super::{Event, Expected, FetchError, Fetcher, part::Part, range::ContentRange};
use crate::install::{
    net::{self, Body, Download, NetError, Rest},
    oci,
    store::MAX_COMPONENT,
};
use rig_specs::Sha256;
use url::Url;

/// How often a place is asked again after it broke off. Each time it must have brought something.
const BREAKS: u32 = 5;
/// How long is waited before that, times the number of breaks: a server that restarts needs a moment.
const PAUSE: Duration = Duration::from_millis(100);

/// The attempt to fetch from one place.
pub(super) struct Attempt<'a> {
    pub(super) fetcher: &'a Fetcher<'a>,
    pub(super) url: &'a Url,
    pub(super) expected: Expected,
    /// Whether there is no other place to try.
    pub(super) is_last: bool,
    pub(super) report: &'a (dyn Fn(Event<'_>) + Sync),
}

/// Why an answer did not bring the component.
enum Ended {
    /// The place does not have it.
    For(FetchError),
    /// It broke off after so many bytes, and may have more.
    Early(FetchError, u64),
    /// It does not go on where what is here ends.
    Elsewhere,
}

impl From<FetchError> for Ended {
    fn from(error: FetchError) -> Self {
        Self::For(error)
    }
}

impl Attempt<'_> {
    /// Fetches until `part` is whole and has the right hash. Returns the place as it is noted: what a tag named by its digest, of other
    /// places the name, not where it led.
    pub(super) async fn run(&self, part: &mut Part) -> Result<Url, FetchError> {
        let (mut breaks, mut anew) = (0, false);
        let mut place = self.url.clone();
        // Of a tag, only the registry knows the digest.
        let is_place = self.url.scheme() != oci::SCHEME || self.url.path().contains('@');
        loop {
            let from = part.length();
            // A rig that was killed may have left all of it.
            let ended = match from > 0 && is_place {
                true if part.sha256() == self.expected.sha256 => return Ok(place),
                true if self.expected.size == Some(from) => Ok(()),
                _ => self.ask(part, &mut place).await,
            };
            let error = match ended {
                Ok(()) => {
                    let found = part.sha256();
                    if found == self.expected.sha256 {
                        return Ok(place);
                    }
                    let pieced = part.is_pieced();
                    self.clear(part)?;
                    if !pieced {
                        return Err(self.wrong(found));
                    }
                    self.wrong(found)
                }
                Err(Ended::Elsewhere) => {
                    self.clear(part)?;
                    FetchError::OtherPart { url: self.url.clone(), from }
                }
                Err(Ended::For(error)) => return Err(error),
                Err(Ended::Early(error, received)) => {
                    breaks += 1;
                    let slow = matches!(error, FetchError::Net(NetError::Slow { .. }));
                    if received == 0 || breaks > BREAKS || (slow && !self.is_last) {
                        return Err(error);
                    }
                    tokio::time::sleep(PAUSE * breaks).await;
                    continue;
                }
            };
            // Once: whoever mixes up the same thing again will do so for ever.
            if anew {
                return Err(error);
            }
            anew = true;
        }
    }

    /// Asks for what is missing and takes what comes.
    async fn ask(&self, part: &mut Part, place: &mut Url) -> Result<(), Ended> {
        let Fetcher { downloader, offline, .. } = *self.fetcher;
        let from = part.length();
        let rest = Rest { from, validator: part.validator(self.url).map(str::to_owned) };
        let rest = (from > 0).then_some(rest);
        let download = match net::open_rest(downloader, self.url, offline, rest.as_ref()).await {
            // The server has no such bytes; perhaps it has others.
            Err(NetError::Status { status: 416, .. }) if rest.is_some() => return Err(Ended::Elsewhere),
            other => other.map_err(FetchError::from)?,
        };
        if self.url.scheme() == oci::SCHEME {
            place.clone_from(&download.url);
        }
        let total = if download.status == 206 {
            let total = self.rest(&download, from)?;
            part.go_on();
            (self.report)(Event::Continued(from));
            total
        } else {
            self.check_length(download.content_length)?;
            part.begin(self.url, download.validator.as_deref()).map_err(|error| self.unwritten(&error))?;
            download.content_length
        };
        self.take(part, Body::new(self.url, download), self.expected.size.or(total)).await
    }

    async fn take(&self, part: &mut Part, mut body: Body, total: Option<u64>) -> Result<(), Ended> {
        let from = part.length();
        (self.report)(Event::Received { received: from, total });
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| Ended::Early(error.into(), part.length() - from))?;
            let length = part.length() + piece.len() as u64;
            if length > self.expected.size.unwrap_or(MAX_COMPONENT) {
                self.clear(part)?;
                return Err(self.too_long(length).into());
            }
            part.add(&piece).map_err(|error| self.unwritten(&error))?;
            (self.report)(Event::Received { received: length, total });
        }
        match total {
            Some(total) if part.length() < total => {
                Err(Ended::Early(self.size(total, part.length()), part.length() - from))
            }
            _ => Ok(()),
        }
    }

    /// Whether a part is what is missing. Returns the size of the whole, when it is told.
    fn rest(&self, download: &Download, from: u64) -> Result<Option<u64>, Ended> {
        let range = download.content_range.as_deref().and_then(ContentRange::parse);
        let range = range.filter(|range| range.is_rest(from, self.expected.size)).ok_or(Ended::Elsewhere)?;
        let length = range.last - range.first + 1;
        if download.content_length.is_some_and(|announced| announced != length) {
            return Err(Ended::Elsewhere);
        }
        Ok(Some(range.last + 1))
    }

    /// Refuses a whole of another size before a byte of it comes.
    fn check_length(&self, announced: Option<u64>) -> Result<(), FetchError> {
        match (announced, self.expected.size) {
            (Some(found), Some(size)) if found != size => Err(self.size(size, found)),
            (Some(found), None) if found > MAX_COMPONENT => Err(self.too_long(found)),
            _ => Ok(()),
        }
    }

    fn size(&self, expected: u64, found: u64) -> FetchError {
        FetchError::Size { url: self.url.clone(), sha256: self.expected.sha256, expected, found }
    }

    fn too_long(&self, found: u64) -> FetchError {
        match self.expected.size {
            Some(size) => self.size(size, found),
            None => FetchError::TooLarge { url: self.url.clone() },
        }
    }

    fn wrong(&self, found: Sha256) -> FetchError {
        FetchError::Hash { url: self.url.clone(), expected: self.expected.sha256, found }
    }

    fn clear(&self, part: &mut Part) -> Result<(), FetchError> {
        part.clear().map_err(|error| self.unwritten(&error))
    }

    fn unwritten(&self, error: &io::Error) -> FetchError {
        FetchError::Write { url: self.url.clone(), why: error.to_string() }
    }
}
