//! Reads the body of an answer, and gives up on one that stands still or comes so slowly that it may as well. How long it takes in all does
//! not matter: files are large and lines slow.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use tokio::time::{Instant, timeout};
use url::Url;

use super::{Download, NetError};

/// How long nothing may come. Less than the gate waits, so that it is told here.
const STALL: Duration = Duration::from_secs(20);
/// The time over which the pace is judged: long enough for a line that drops out for a moment.
const WINDOW: Duration = Duration::from_secs(30);
/// What must come in that time: 1 KiB a second. Whoever sends less keeps a download from ever ending.
const LEAST: u64 = 30 << 10;
/// What one wait counts for at most, so that a machine that slept does not take its sleep for a slow line.
const LONGEST: Duration = Duration::from_secs(10);

/// The body of an answer.
pub(in crate::install) struct Body {
    url: Url,
    stream: BoxStream<'static, Result<Bytes, String>>,
    pace: Pace,
}

/// What came in the present window.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    received: u64,
}

impl Body {
    /// Of an answer to a request for `url`.
    pub(in crate::install) fn new(url: &Url, download: Download) -> Self {
        Self { url: url.clone(), stream: download.body, pace: Pace::default() }
    }

    /// The next piece, or nothing at the end.
    pub(in crate::install) async fn next(&mut self) -> Option<Result<Bytes, NetError>> {
        let slow = |why| NetError::Slow { url: self.url.clone(), why };
        let began = Instant::now();
        let piece = match timeout(STALL, self.stream.next()).await {
            Err(_) => return Some(Err(slow(format!("nothing came for {} seconds", STALL.as_secs())))),
            Ok(None) => return None,
            Ok(Some(Err(why))) => {
                return Some(Err(NetError::Failed { url: self.url.clone(), why, hint: None }));
            }
            Ok(Some(Ok(piece))) => piece,
        };
        match self.pace.add(began.elapsed(), piece.len()) {
            Ok(()) => Some(Ok(piece)),
            Err(received) => Some(Err(slow(format!("only {received} bytes came in {} seconds", WINDOW.as_secs())))),
        }
    }
}

impl Pace {
    /// Counts a piece and what it was waited for. The bytes of a window in which too little came are the error.
    fn add(&mut self, waited: Duration, bytes: usize) -> Result<(), u64> {
        self.waited += waited.min(LONGEST);
        self.received += bytes as u64;
        if self.waited < WINDOW {
            return Ok(());
        }
        let received = std::mem::take(self).received;
        if received < LEAST { Err(received) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_drip_is_given_up_and_a_slow_line_is_not() {
        let mut drip = Pace::default();
        let pieces: Vec<Result<(), u64>> = (0..8).map(|_| drip.add(seconds(4), 100)).collect();
        assert_eq!(pieces[7], Err(800));
        assert!(pieces[..7].iter().all(Result::is_ok));

        let mut line = Pace::default();
        for _ in 0..1000 {
            assert_eq!(line.add(seconds(5), 6 << 10), Ok(()));
        }
        // What came in one window does not excuse the next.
        assert_eq!(line.add(Duration::ZERO, 10 << 20), Ok(()));
        while line.waited > Duration::ZERO {
            line.add(seconds(5), 0).unwrap();
        }
        assert_eq!((0..6).map(|_| line.add(seconds(5), 1)).last(), Some(Err(6)));
    }

    #[test]
    fn a_machine_that_slept_goes_on() {
        let mut pace = Pace::default();
        assert_eq!(pace.add(seconds(100_000), 10), Ok(()));
        assert_eq!(pace.add(seconds(100_000), 64 << 10), Ok(()));
        assert_eq!(pace.add(seconds(100_000), 10), Ok(()));
    }
}
