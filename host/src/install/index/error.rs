//! Why there is no index. What is wrong with signatures is said in [`trust`](crate::install::trust).

use std::path::PathBuf;

use rig_specs::{Sha256, index::API_VERSION};
use url::Url;

use super::MAX_INDEX;
use crate::install::{net::NetError, source::SourceError, trust::TrustError};

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The project names none.
    #[error("no pack index is configured")]
    NotConfigured,
    /// Its place cannot be used.
    #[error(transparent)]
    Location(#[from] SourceError),
    /// It cannot be fetched.
    #[error(transparent)]
    Net(#[from] NetError),
    /// There is no copy to work offline with.
    #[error("there is no copy of the index {url} on this machine, and `--offline` was given")]
    NoCopy {
        /// The index.
        url: Url,
    },
    /// It is larger than any index.
    #[error("the index {url} is larger than {} MiB, the most that rig reads", MAX_INDEX >> 20)]
    TooLarge {
        /// The index.
        url: Url,
    },
    /// There is nothing in it.
    #[error("the index {url} is empty")]
    Empty {
        /// The index.
        url: Url,
    },
    /// It is a page for people.
    #[error("the index {url} is an HTML page, not JSON")]
    Html {
        /// The index.
        url: Url,
    },
    /// It is not JSON.
    #[error("the index {url} is not JSON: line {line}: {message}")]
    NotJson {
        /// The index.
        url: Url,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Something in it has the wrong shape.
    #[error("the index {url} is malformed: `{path}` (line {line}): {message}")]
    Shape {
        /// The index.
        url: Url,
        /// Where in the document.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// It is of a version that this rig does not know.
    #[error("the index {url} has api_version {found}; this rig reads {API_VERSION}")]
    ApiVersion {
        /// The index.
        url: Url,
        /// What it says.
        found: String,
    },
    /// The copy on this machine was changed.
    #[error("{} was changed: it should have {expected}, but has {found}", .path.display())]
    CopyChanged {
        /// The copy.
        path: PathBuf,
        /// The hash that it should have.
        expected: Sha256,
        /// The hash that it has.
        found: Sha256,
    },
    /// It is not what its maintainers signed, or nobody signed it.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A URL in it cannot be used.
    #[error("the index names `{text}` as a place to fetch from: {why}")]
    Artifact {
        /// The URL as written.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

impl IndexError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotConfigured => Some(
                "set `index: { url: … }` in rig.yaml, or give `--index-url URL`; this rig carries no packs of its own"
                    .into(),
            ),
            Self::Location(error) => error.hint(),
            Self::Net(error) => error.hint(),
            Self::Trust(error) => Some(error.hint()),
            Self::NoCopy { .. } => Some("run the command once without `--offline`".into()),
            Self::Html { .. } => {
                Some("check `index.url`: it must name the JSON file itself, not a page about it".into())
            }
            Self::Empty { .. } | Self::TooLarge { .. } | Self::NotJson { .. } | Self::Shape { .. } => {
                Some("check `index.url`, and tell whoever keeps the index".into())
            }
            Self::ApiVersion { .. } => Some("update rig".into()),
            Self::CopyChanged { .. } => Some("run the command with `--refresh`, which fetches the index again".into()),
            Self::Artifact { .. } => Some("tell whoever keeps the index".into()),
        }
    }
}
