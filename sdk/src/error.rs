//! [`Error`]: why a call failed, in one of the twelve kinds that an agent can act on.

use std::fmt;

use crate::bindings::rig::pack::{http::HttpError, storage::StorageError, types::ToolError};

pub use crate::bindings::rig::pack::types::ErrorKind;

/// What a tool answers, or why it could not.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
///
/// Made with the constructor of its kind and refined by the methods below:
///
/// ```
/// use rig_sdk::Error;
///
/// let error = Error::rate_limited("the service allows 10 calls a minute").upstream_code("429").hint("retry after 12 s");
/// assert!(error.is_retryable());
/// ```
///
/// The message is one sentence that says what happened and why. It is shown to models and people: never put a secret or a stack
/// trace into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    retryable: bool,
    upstream_code: Option<String>,
    hints: Vec<String>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $kind:ident, $text:literal, $retryable:literal;)*) => {
        impl Error {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(message: impl Into<String>) -> Self {
                    Self::new(ErrorKind::$kind, message)
                }
            )*
        }

        /// The kind as it is written in RTP, for example `not_found`.
        pub(crate) const fn kind_name(kind: ErrorKind) -> &'static str {
            match kind {
                $(ErrorKind::$kind => $text,)*
            }
        }

        const fn retryable_by_nature(kind: ErrorKind) -> bool {
            match kind {
                $(ErrorKind::$kind => $retryable,)*
            }
        }

        #[cfg(test)]
        const ALL: &[ErrorKind] = &[$(ErrorKind::$kind),*];
    };
}

kinds! {
    /// The arguments are wrong; calling again with the same arguments fails again.
    validation, ValidationError, "validation_error", false;
    /// A credential is missing, expired or refused.
    auth, AuthError, "auth_error", false;
    /// The credential is good but does not allow this.
    permission, PermissionError, "permission_error", false;
    /// What the arguments name does not exist.
    not_found, NotFound, "not_found", false;
    /// The state of the service forbids it, for example a duplicate.
    conflict, Conflict, "conflict", false;
    /// Too many calls; retryable. Say in a hint how long to wait: `retry after 30 s`.
    rate_limited, RateLimited, "rate_limited", true;
    /// A passing fault; retryable.
    transient, Transient, "transient", true;
    /// No answer in time; retryable.
    timeout, Timeout, "timeout", true;
    /// The service failed or answered something that makes no sense. Add [`Error::retryable`] when it may pass.
    upstream, UpstreamError, "upstream_error", false;
    /// A rule of the project forbids it.
    policy_blocked, PolicyBlocked, "policy_blocked", false;
    /// A person must approve the call first.
    approval_required, ApprovalRequired, "approval_required", false;
    /// A fault of the pack itself.
    internal, InternalError, "internal_error", false;
}

impl Error {
    /// An error of a kind. Rate limits, transient faults and timeouts are retryable, the others are not.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retryable: retryable_by_nature(kind),
            upstream_code: None,
            hints: Vec::new(),
        }
    }

    /// Says that the same call may succeed when made again.
    #[must_use]
    pub const fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Says that making the same call again is of no use.
    #[must_use]
    pub const fn not_retryable(mut self) -> Self {
        self.retryable = false;
        self
    }

    /// The service's own code for the error, for example `422` or `card_declined`.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "a status and a literal are passed as they are")]
    pub fn upstream_code(mut self, code: impl ToString) -> Self {
        self.upstream_code = Some(code.to_string());
        self
    }

    /// Adds what the caller can do next; the most useful comes first.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened and why.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same call may succeed when made again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The service's own code, when one was set.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.upstream_code.as_deref()
    }

    /// What the caller can do next.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", kind_name(self.kind), self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        Self {
            kind: error.kind,
            message: error.message,
            retryable: error.retryable,
            upstream_code: error.upstream_code,
            remediation_hints: error.hints,
        }
    }
}

impl From<ToolError> for Error {
    fn from(error: ToolError) -> Self {
        Self {
            kind: error.kind,
            message: error.message,
            retryable: error.retryable,
            upstream_code: error.upstream_code,
            hints: error.remediation_hints,
        }
    }
}

/// Why there is no response, as an error of a tool.
impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Denied(why) => Self::permission(why),
            // The arguments were checked before, so a malformed request is the pack's own fault.
            HttpError::InvalidRequest(why) => Self::internal(why),
            HttpError::Dns(why) | HttpError::Connect(why) => Self::transient(why),
            HttpError::Tls(why) => Self::upstream(why),
            HttpError::Timeout(why) => Self::timeout(why),
            HttpError::TooLarge(why) => Self::upstream(why).hint("ask for less at once"),
            HttpError::Protocol(why) => Self::upstream(why).retryable(),
        }
    }
}

/// Why a file could not be read or written, as an error of a tool.
impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Denied(why) => Self::permission(why),
            StorageError::NotFound(why) => Self::not_found(why),
            StorageError::InvalidPath(why) => Self::validation(why),
            StorageError::QuotaExceeded(why) => Self::policy_blocked(why),
            StorageError::Io(why) => Self::internal(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_twelve_kinds_and_three_pass_by_themselves() {
        let names: Vec<&str> = ALL.iter().map(|kind| kind_name(*kind)).collect();
        assert_eq!(names.len(), 12);
        let passing: Vec<&str> =
            ALL.iter().filter(|kind| Error::new(**kind, "x").is_retryable()).map(|kind| kind_name(*kind)).collect();
        assert_eq!(passing, ["rate_limited", "transient", "timeout"]);
    }

    #[test]
    fn a_missing_response_maps_to_a_kind() {
        let why = || "why".to_string();
        let cases = [
            (HttpError::Denied(why()), ErrorKind::PermissionError, false),
            (HttpError::InvalidRequest(why()), ErrorKind::InternalError, false),
            (HttpError::Dns(why()), ErrorKind::Transient, true),
            (HttpError::Connect(why()), ErrorKind::Transient, true),
            (HttpError::Tls(why()), ErrorKind::UpstreamError, false),
            (HttpError::Timeout(why()), ErrorKind::Timeout, true),
            (HttpError::TooLarge(why()), ErrorKind::UpstreamError, false),
            (HttpError::Protocol(why()), ErrorKind::UpstreamError, true),
        ];
        for (from, kind, retryable) in cases {
            let error = Error::from(from.clone());
            assert_eq!((error.kind(), error.is_retryable(), error.message()), (kind, retryable, "why"), "{from:?}");
        }
    }

    #[test]
    fn an_error_survives_the_way_over_the_boundary() {
        let error = Error::conflict("exists").upstream_code(409).hint("choose another name");
        assert_eq!(Error::from(ToolError::from(error.clone())), error);
        assert_eq!(error.to_string(), "conflict: exists");
    }
}
