//! Between the interface's types and those of the wire formats.

use rig_specs::rtp;

use super::{ErrorKind, RiskClass};

impl From<RiskClass> for rtp::RiskClass {
    fn from(class: RiskClass) -> Self {
        match class {
            RiskClass::Read => Self::Read,
            RiskClass::Write => Self::Write,
            RiskClass::Infra => Self::Infra,
            RiskClass::Money => Self::Money,
            RiskClass::Destructive => Self::Destructive,
        }
    }
}

impl From<ErrorKind> for rtp::ErrorKind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::ValidationError => Self::ValidationError,
            ErrorKind::AuthError => Self::AuthError,
            ErrorKind::PermissionError => Self::PermissionError,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::Transient => Self::Transient,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::UpstreamError => Self::UpstreamError,
            ErrorKind::PolicyBlocked => Self::PolicyBlocked,
            ErrorKind::ApprovalRequired => Self::ApprovalRequired,
            ErrorKind::InternalError => Self::InternalError,
        }
    }
}

impl From<rtp::ErrorKind> for ErrorKind {
    fn from(kind: rtp::ErrorKind) -> Self {
        match kind {
            rtp::ErrorKind::ValidationError => Self::ValidationError,
            rtp::ErrorKind::AuthError => Self::AuthError,
            rtp::ErrorKind::PermissionError => Self::PermissionError,
            rtp::ErrorKind::NotFound => Self::NotFound,
            rtp::ErrorKind::Conflict => Self::Conflict,
            rtp::ErrorKind::RateLimited => Self::RateLimited,
            rtp::ErrorKind::Transient => Self::Transient,
            rtp::ErrorKind::Timeout => Self::Timeout,
            rtp::ErrorKind::UpstreamError => Self::UpstreamError,
            rtp::ErrorKind::PolicyBlocked => Self::PolicyBlocked,
            rtp::ErrorKind::ApprovalRequired => Self::ApprovalRequired,
            rtp::ErrorKind::InternalError => Self::InternalError,
        }
    }
}
