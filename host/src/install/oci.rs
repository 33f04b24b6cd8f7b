//! Packs in OCI registries: the layout of Wasm artifacts that the CNCF describes, which other clients push and pull too. A manifest names
//! one layer, and that is the component; so the layer's digest is the `integrity` of the lock, and the manifest's is in its `source`.
//!
//! A tag is asked for once, when a person names it. From then on everything is fetched by digest, and every digest is checked here.
//! Bytes of components are not kept here: they go through the same staging as every download. Who the user is at a registry is the
//! gate's business ([`Repository`](crate::egress::Repository)).

mod error;
mod manifest;
mod pull;
mod push;
mod reference;
mod tags;

pub use error::{OciError, Tried};
pub use pull::Found;
pub(super) use pull::{digest_of, open, resolve};
pub use push::{Pushed, Tag, push};
pub use reference::{Reference, SCHEME};
pub(super) use tags::{choose, list, version_of};
