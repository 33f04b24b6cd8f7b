//! The arguments of the commands for authors of packs.

use std::path::PathBuf;

use clap::{Args, ValueHint, builder::PossibleValuesParser};
use rig_host::author::new::languages;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rig new weather && cd weather && rig test")]
pub struct New {
    /// The pack's id: a lower-case letter, then lower-case letters, digits and hyphens. The folder is named so too
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The language
    #[arg(long, value_name = "LANGUAGE", default_value = "rust", value_parser = PossibleValuesParser::new(languages()))]
    pub lang: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is sent without --record. The pack is built first; its cases stand in tests/*.toml, *.yaml and *.json.\n\nExamples:\n  \
rig test\n  rig test . stars\n  GITHUB_TOKEN=… rig test --record"
)]
pub struct Test {
    /// The pack's folder, with rig-pack.toml
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Only cases with this in their name or their tool
    #[arg(value_name = "FILTER")]
    pub filter: Option<String>,
    /// Make the requests, with your secrets, and record them; of cases that do not say themselves what HTTP there is
    #[arg(long)]
    pub record: bool,
    /// Test this component instead of building the pack
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub component: Option<PathBuf>,
    /// Where packs are found that this one needs
    #[arg(long, value_name = "URL")]
    pub index_url: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Whoever has the folder installs from it: rig install NAME --index-url FOLDER/pack_index.json\n\nExamples:\n  \
rig publish --to ~/packs\n  rig publish ./weather-0.1.0.wasm --to ~/packs --dry-run\n  \
rig publish --to oci://registry.example.com/weather --tag latest"
)]
pub struct Publish {
    /// The pack's folder, which is built first, or a built pack (*.wasm)
    #[arg(value_name = "DIR|FILE", default_value = ".", value_hint = ValueHint::AnyPath)]
    pub source: PathBuf,
    /// The folder with pack_index.json, made when there is none; or a repository of an OCI registry, oci://registry/name
    #[arg(long, value_name = "FOLDER|OCI", value_hint = ValueHint::DirPath)]
    pub to: PathBuf,
    /// In a registry: a tag beside the version, for example latest. May be repeated
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Who answers for the pack; kept when the index says it already
    #[arg(long, value_name = "NAME")]
    pub publisher: Option<String>,
    /// Withdraw this version: it stays for projects that have it and is chosen no more. Nothing is built or added
    #[arg(long)]
    pub yank: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
