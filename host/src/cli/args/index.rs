//! The arguments of `rig index`, for the maintainers of an index, and of what users do with the keys that they trust.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use rig_host::index::sign::MAX_TIMESTAMP_DAYS;
use rig_specs::tuf::{PublicKey, RoleName};

#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  rig index init packs --keys ~/keys\n  rig index add packs echo-0.1.0.wasm --keys ~/keys\n  \
rig index serve packs"
)]
pub enum Index {
    /// Begin a signed index in a folder
    Init(Init),
    /// Make a key, or show the public key of one that is there
    Key(Key),
    /// Put built packs into the index, and sign it
    Add(Add),
    /// Take a pack or one of its versions out of the index, and sign it
    Remove(Remove),
    /// Sign what changed, and renew the signatures
    Sign(Sign),
    /// Change the keys of a role
    Rotate(Rotate),
    /// Look for what is wrong in an index, as a change to it must pass
    Check(Check),
    /// Serve an index on this machine, to try it out
    Serve(Serve),
    /// Show the signed indexes that this machine knows, and the keys that they are trusted by
    Show(Show),
    /// Forget what is known of an index: the next use is the first one again
    Forget(Forget),
}

/// Where private keys are.
#[derive(Debug, Args)]
pub struct KeysArg {
    /// A folder with private keys (*.pem), or one key; may be repeated
    #[arg(long, value_name = "PATH", required = true, env = "RIG_INDEX_KEYS", value_delimiter = ':', value_hint = ValueHint::AnyPath)]
    pub keys: Vec<PathBuf>,
}

/// How long the timestamp is good.
#[derive(Debug, Args)]
pub struct DaysArg {
    /// After how many days users refuse the index if it was not signed again [default: 14]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_TIMESTAMP_DAYS)))]
    pub days: Option<u16>,
}

#[derive(Debug, Args)]
pub struct Init {
    /// The folder; made when there is none
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    /// The folder for private keys, outside of what is served; keys that are missing are made
    #[arg(long, value_name = "FOLDER", env = "RIG_INDEX_KEYS", value_hint = ValueHint::DirPath)]
    pub keys: PathBuf,
    /// A root key that was made elsewhere (`rig index key`); may be repeated
    #[arg(long, value_name = "KEY")]
    pub root_key: Vec<PublicKey>,
    /// How many root keys must sign [default: more than half]
    #[arg(long, value_name = "NUMBER")]
    pub threshold: Option<u32>,
    #[command(flatten)]
    pub days: DaysArg,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Key {
    /// The file of the private key; made when there is none
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Add {
    /// The index
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    /// Built packs (*.wasm)
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub components: Vec<PathBuf>,
    /// Who answers for the packs; kept when the index says it already
    #[arg(long, value_name = "NAME")]
    pub publisher: Option<String>,
    #[command(flatten)]
    pub keys: KeysArg,
    #[command(flatten)]
    pub days: DaysArg,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Remove {
    /// The index
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    /// NAME, or NAME@VERSION. To keep a version for those who have it, withdraw it instead: rig publish --yank
    #[arg(value_name = "PACK")]
    pub pack: String,
    #[command(flatten)]
    pub keys: KeysArg,
    #[command(flatten)]
    pub days: DaysArg,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Sign {
    /// The index
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    #[command(flatten)]
    pub keys: KeysArg,
    #[command(flatten)]
    pub days: DaysArg,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// Says who signs
    Root,
    /// Signs often, so that nobody can hide a newer index for long
    Timestamp,
    /// Signs which files belong together
    Snapshot,
    /// Signs the index and the packs
    Targets,
}

impl From<RoleArg> for RoleName {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Root => Self::Root,
            RoleArg::Timestamp => Self::Timestamp,
            RoleArg::Snapshot => Self::Snapshot,
            RoleArg::Targets => Self::Targets,
        }
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without --add, --remove and --threshold one new key takes the place of all of the role's. It is made in the first \
folder of --keys.\n\nExamples:\n  rig index rotate packs timestamp --keys ~/keys\n  rig index rotate packs root --add ed25519:… --threshold 2 --keys ~/keys"
)]
pub struct Rotate {
    /// The index
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    /// Whose keys change
    #[arg(value_enum, value_name = "ROLE")]
    pub role: RoleArg,
    /// A key that signs from now on; may be repeated
    #[arg(long, value_name = "KEY")]
    pub add: Vec<PublicKey>,
    /// A key that signs no more; may be repeated
    #[arg(long, value_name = "KEY")]
    pub remove: Vec<PublicKey>,
    /// How many must sign from now on
    #[arg(long, value_name = "NUMBER")]
    pub threshold: Option<u32>,
    #[command(flatten)]
    pub keys: KeysArg,
    #[command(flatten)]
    pub days: DaysArg,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 1 when anything is wrong; warnings do not count.\n\nExample, for a change to a community index:\n  \
rig index check packs --base packs-of-main --json"
)]
pub struct Check {
    /// The index
    #[arg(value_name = "FOLDER", default_value = ".", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    /// The index before the change: what is released in it must be the same
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub base: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// The index
    #[arg(value_name = "FOLDER", default_value = ".", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8788)]
    pub port: u16,
}

#[derive(Debug, Args)]
pub struct Show {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Forget {
    /// The index: a URL, or a path as rig.yaml or --index-url has it
    #[arg(value_name = "URL")]
    pub url: String,
}
