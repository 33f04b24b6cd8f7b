//! The limits of the gate. Each is there for a reason; a pack meets them as errors that name the number.

use std::time::Duration;

/// The body of one request. Enough for the uploads that the APIs of tools take; the guest's copy stands in its memory as well.
pub const REQUEST_BODY: usize = 8 << 20;

/// The body of one response. Answers are buffered whole, so that they can be redacted before the guest sees a byte.
pub const RESPONSE_BODY: usize = 16 << 20;

/// Headers of one message, each way. Servers commonly stop at 100.
pub const HEADERS: usize = 100;

/// The bytes of all headers of one message, names and values. Servers commonly stop between 8 and 64 KiB.
pub const HEADER_BYTES: usize = 64 << 10;

/// The length of a URL. Long enough for filters in a query; servers commonly stop earlier, and the HTTP library at 64 KiB.
pub const URL: usize = 32 << 10;

/// One request with everything that belongs to it: names, connection, TLS, redirects followed, the whole body.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);

/// Reaching the other side. A host that does not answer the handshake by then will not.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// The requests of one call, redirects and refused ones included, so that no call turns into a scanner or a crawler.
pub const REQUESTS: usize = 64;

/// The redirects that are followed for one request. Browsers follow 20, most programs 10.
pub const REDIRECTS: usize = 10;

/// How long an unused connection is kept for the next call. Shorter than the idle time after which common servers close.
pub const IDLE_CONNECTION: Duration = Duration::from_secs(55);

/// The redirects of a download. Registries and release pages need one or two.
pub const DOWNLOAD_REDIRECTS: usize = 5;

/// How long a download may stand still. It may take longer in all: files are large and lines slow.
pub const DOWNLOAD_STALL: Duration = Duration::from_secs(30);

/// The slowest line that something is pushed over, in bytes a second.
const UPLOAD: u64 = 32 << 10;

/// How much longer an answer may take for that many bytes of a request.
#[must_use]
pub const fn upload_time(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / UPLOAD)
}

/// How much of a registry's error, or of a token server's answer, is read: a page of text, a long token.
pub const REGISTRY_ERROR: usize = 64 << 10;

/// How long a token of a registry is kept at most: no command lasts longer.
pub const REGISTRY_TOKEN: Duration = Duration::from_hours(1);

/// How long before it expires such a token is no longer used. Most are good for five minutes.
pub const REGISTRY_MARGIN: Duration = Duration::from_secs(10);

/// The shortest secret that is looked for in answers. Shorter ones occur by chance and would tear ordinary text apart.
pub const REDACTED_SECRET: usize = 8;

/// How long a signed request for an access token is good, and how long a token is kept at most: the hour that Google allows.
pub const ASSERTION_TIME: Duration = Duration::from_hours(1);

/// How long before it expires a token is no longer used: longer than a request that carries it may take.
pub const TOKEN_MARGIN: Duration = Duration::from_mins(1);

/// The tokens that are kept. More secrets than any project has tenants; a token that is dropped is minted again.
pub const TOKENS: usize = 1024;

/// How much of a token endpoint's own words is quoted: a sentence or two.
pub const QUOTED: usize = 300;
