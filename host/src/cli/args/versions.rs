//! The options of the commands that move packs from version to version, check that they are what they should be, or remove what is
//! left of them.

use std::time::Duration;

use clap::{Args, Subcommand};
use rig_host::project::canary::Share;

use crate::cli::commands::audit::ago;

#[derive(Debug, Args)]
#[command(
    after_help = "What is named may move to the newest version that fits, what it needs may move with it, all others stay.\n\n\
Examples:\n  rig update stripe\n  rig update --all --dry-run\n  rig update stripe --accept stripe   (agrees to what breaks)\n  rig update stripe --canary 10%      (on trial in the gateway)"
)]
pub struct Update {
    /// The packs to bring up to date
    #[arg(value_name = "PACK", required_unless_present = "all")]
    pub packs: Vec<String>,
    /// Bring every pack up to date that comes from the project's index
    #[arg(long, conflicts_with = "packs")]
    pub all: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The version to move to, perhaps an older one; for one pack
    #[arg(long, value_name = "VERSION", conflicts_with = "all")]
    pub version: Option<String>,
    /// Put the update on trial: gateways of this project run this share of the calls on it, and take it back when it does worse
    #[arg(long, value_name = "SHARE", conflicts_with = "dry_run")]
    pub canary: Option<Share>,
    /// Agree to changes of this pack that break or widen what was agreed to before; may be repeated
    #[arg(long, value_name = "PACK")]
    pub accept: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A trial begins with `rig update PACK --canary SHARE`. rig.lock stays as it is until the candidate is promoted.\n\n\
Examples:\n  rig canary\n  rig canary promote\n  rig canary withdraw"
)]
pub struct Canary {
    #[command(subcommand)]
    pub what: Option<CanaryWhat>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum CanaryWhat {
    /// Make the candidate what is installed
    Promote,
    /// End the trial; every call runs on the present versions again
    Withdraw,
}

#[derive(Debug, Args)]
pub struct Outdated {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without a number the project returns to the state before the present one; again, to the state before that.\n\n\
Examples:\n  rig rollback\n  rig rollback --list\n  rig rollback 3"
)]
pub struct Rollback {
    /// The number of the state to return to, as --list shows it
    #[arg(value_name = "ID")]
    pub id: Option<u32>,
    /// List the earlier states, newest first
    #[arg(long, conflicts_with = "id")]
    pub list: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// Inspect each component again, run it once to ask for its tools, and compare the index
    #[arg(long)]
    pub deep: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "What a project needs that rig was used in stays, its earlier states included; so does what runs at this moment.\n\n\
Examples:\n  rig gc --dry-run\n  rig gc --older-than 7d\n  rig gc --snapshots 5   (rig rollback goes back 5 steps at most then)"
)]
pub struct Gc {
    /// Only what was not used for that long, such as 12h, 30d or 8w
    #[arg(long, value_name = "AGE", default_value = "30d", value_parser = age)]
    pub older_than: Duration,
    /// Keep only so many earlier states of this project
    #[arg(long, value_name = "NUMBER")]
    pub snapshots: Option<usize>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn age(text: &str) -> Result<Duration, &'static str> {
    ago(text).ok_or("give an age such as 90s, 30m, 12h, 30d or 8w")
}
