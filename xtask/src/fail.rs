//! Why a task ended early.

use std::{fmt, io, path::Path};

/// What went wrong and what to do next. Its `Display` is what the terminal shows.
#[derive(Debug)]
pub(crate) struct Fail {
    message: String,
    hint: Option<String>,
}

impl Fail {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What went wrong, without the hint.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// For a file or folder that cannot be used; made to stand in `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::new(format!("cannot {what} {}: {error}", path.display()))
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n hint: {hint}"))
    }
}

impl From<rig_toolchain::Error> for Fail {
    fn from(error: rig_toolchain::Error) -> Self {
        let hint = match error {
            // The hint of the library does not know where the value came from.
            rig_toolchain::Error::UnknownRoute(_) => format!("{} (in RIG_WASM_TOOLCHAIN)", error.hint()),
            _ => error.hint(),
        };
        Self::new(error.to_string()).hint(hint)
    }
}
