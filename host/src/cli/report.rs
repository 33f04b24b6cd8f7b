//! How errors are shown: what happened, why, what to do next. Every error of the library comes through here, once.

use std::{
    error::Error,
    fmt::{self, Write as _},
};

use owo_colors::OwoColorize;
use serde_json::json;

/// The process's exit codes.
pub mod exit {
    pub const DONE: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const TOOL_ERROR: u8 = 3;
    pub const APPROVAL_REQUIRED: u8 = 4;
}

/// Why a command ended early.
#[derive(Debug)]
pub struct Failure {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// A failure of a command itself.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hint: None, code: exit::FAILED }
    }

    /// A command line that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: exit::USAGE, ..Self::new(message) }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An error of the library, with the errors behind it.
    pub fn of(error: &(dyn Error + 'static), hint: impl Into<String>) -> Self {
        let mut causes = Vec::new();
        let mut shown = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // An error that repeats its cause in its own words says it once.
            if !shown.contains(&text) {
                causes.push(text.clone());
            }
            shown = text;
            next = cause.source();
        }
        let hint = hint.into();
        Self { message: error.to_string(), causes, hint: (!hint.is_empty()).then_some(hint), code: exit::FAILED }
    }

    /// The same failure as one of the command line, not of the work.
    pub fn into_usage(self) -> Self {
        Self { code: exit::USAGE, ..self }
    }

    /// Says what was tried, with what went wrong as its cause.
    pub fn context(self, tried: &str) -> Self {
        let mut causes = vec![self.message];
        causes.extend(self.causes);
        Self { message: tried.to_owned(), causes, ..self }
    }

    pub fn code(&self) -> u8 {
        self.code
    }

    /// As text for stderr. Control characters of foreign texts are made visible.
    pub fn render(&self) -> String {
        let mut text = format!("{} {}", "error:".red().bold(), visible(&self.message));
        for cause in &self.causes {
            let _ = write!(text, "\n  {} {}", "caused by:".bold(), visible(cause));
        }
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\n{} {}", "hint:".cyan().bold(), visible(hint));
        }
        text
    }

    /// As an object, for commands that were asked for JSON.
    pub fn json(&self) -> serde_json::Value {
        json!({ "error": { "message": self.message, "causes": self.causes, "hint": self.hint } })
    }
}

/// A foreign text made safe for a terminal: line breaks stay, other control and direction characters become visible.
pub fn visible(text: &str) -> String {
    text.split('\n').map(rig_host::words::plain).collect::<Vec<_>>().join("\n")
}

/// What happened, without what to do next.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

macro_rules! classified {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let hint = error.hint().into_hint().unwrap_or_default();
                Self::of(&error, hint)
            }
        })*
    };
}

/// The forms in which the library's errors say what to do next.
trait IntoHint {
    fn into_hint(self) -> Option<String>;
}

impl IntoHint for String {
    fn into_hint(self) -> Option<String> {
        Some(self)
    }
}

impl IntoHint for &'static str {
    fn into_hint(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl IntoHint for Option<&'static str> {
    fn into_hint(self) -> Option<String> {
        self.map(str::to_owned)
    }
}

impl IntoHint for Option<String> {
    fn into_hint(self) -> Option<String> {
        self
    }
}

classified!(
    rig_host::approvals::ApprovalError,
    rig_host::audit::AuditError,
    rig_host::author::cases::CasesError,
    rig_host::author::new::NewError,
    rig_host::author::publish::PublishError,
    rig_host::author::sdk::SdkError,
    rig_host::build::BuildError,
    rig_host::egress::Error,
    rig_host::egress::RemoteError,
    rig_host::gateway::GatewayError,
    rig_host::gc::GcError,
    rig_host::index::SignError,
    rig_host::install::InspectError,
    rig_host::install::InstallError,
    rig_host::install::LoadError,
    rig_host::install::SourceError,
    rig_host::install::StoreError,
    rig_host::install::index::IndexError,
    rig_host::project::ProjectError,
    rig_host::sandbox::EngineError,
    rig_host::sandbox::LoadError,
    rig_host::sandbox::Stop,
    rig_host::tenants::TokenError,
    rig_toolchain::Error,
);

#[cfg(feature = "otlp")]
classified!(rig_host::gateway::TraceError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(visible("a\x1b[31mb\u{202e}c\nd"), "a\\u{1b}[31mb\\u{202e}c\nd");
    }

    #[test]
    fn causes_are_said_once() {
        let inner = std::io::Error::other("disk full");
        let outer = std::io::Error::other(inner);
        let failure = Failure::of(&outer, "free some space");
        assert_eq!(
            anstream::adapter::strip_str(&failure.render()).to_string(),
            "error: disk full\nhint: free some space"
        );
    }
}
