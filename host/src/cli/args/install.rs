//! The arguments of the commands that read an index.

use clap::{Args, ValueEnum};
use rig_specs::{PackId, tuf::PublicKey};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rig install stripe\n  rig install stripe@1.2.0\n  rig install ./build/weather-0.1.0.wasm\n  \
rig install 'https://example.com/weather.wasm#sha256=…'\n  rig install oci://registry.example.com/weather:1.2.0\n  rig install            (restores exactly what rig.lock says)"
)]
pub struct Install {
    /// Names (NAME or NAME@VERSION), component files (*.wasm), https://…#sha256=… addresses, or oci://registry/name:tag
    #[arg(value_name = "PACK")]
    pub packs: Vec<String>,
    /// The version to install; for one pack
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Show what would be installed and what it asks for, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Use this index instead of the project's
    #[arg(long, value_name = "URL")]
    pub index_url: Option<String>,
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Install this pack though its name is close to that of another; --yes alone does not
    #[arg(long, value_name = "PACK")]
    pub accept: Vec<PackId>,
    /// Install without offering the tools yet
    #[arg(long)]
    pub no_enable: bool,
    /// Fetch the index again even when the cached one is fresh
    #[arg(long)]
    pub refresh: bool,
    /// How the pack runs
    #[arg(long, value_enum, value_name = "RUNTIME")]
    pub runtime: Option<RuntimeArg>,
}

/// Whether and why an index is trusted.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// Trust this root key of an index that is used for the first time; remembered from then on. May be repeated
    #[arg(long, value_name = "KEY")]
    pub trust_key: Vec<PublicKey>,
    /// Use an index from the network though nobody signed it: whoever can change it decides what is installed
    #[arg(long, conflicts_with = "trust_key")]
    pub allow_unsigned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RuntimeArg {
    /// A component in the sandbox
    Wasm,
    /// A package from PyPI
    Python,
    /// A package from npm
    Node,
}

#[derive(Debug, Args)]
pub struct Packs {
    /// List what the index offers
    #[arg(long)]
    pub available: bool,
    /// Use this index instead of the project's
    #[arg(long, value_name = "URL", requires = "available")]
    pub index_url: Option<String>,
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Fetch the index again even when the cached one is fresh
    #[arg(long, requires = "available")]
    pub refresh: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Info {
    /// An installed pack, or one that the index offers
    #[arg(value_name = "PACK")]
    pub pack: String,
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
