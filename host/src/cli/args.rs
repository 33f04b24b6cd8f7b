//! The command line as clap reads it. Only shapes and help texts; what they mean is decided by the commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use rig_host::build::lint::Lint;

mod author;
pub mod index;
mod install;
mod versions;

pub use author::{New, Publish, Test};
pub use install::{Info, Install, Packs, RuntimeArg, TrustArgs};
pub use versions::{Canary, CanaryWhat, Gc, Outdated, Rollback, Update, Verify};

/// Install packs of tools for AI agents, and run every call in a sandbox.
#[derive(Debug, Parser)]
#[command(name = "rig", version, about, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Start with `rig init`, then `rig install NAME`, then `rig call TOOL '{…}'`.\n\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the tool answered with an error, 4 approval required.")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Global {
    /// Print results and errors only
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Print more: logs of packs, requests, timings
    #[arg(long, short, global = true, conflicts_with = "quiet", help_heading = "Global options")]
    pub verbose: bool,
    /// Use nothing but what is on this machine
    #[arg(long, global = true, help_heading = "Global options")]
    pub offline: bool,
    /// Answer every question with yes
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub yes: bool,
    /// Start looking for rig.yaml here instead of the current folder
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Global options")]
    pub project: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a project: write a commented rig.yaml in the current folder
    Init(Init),
    /// Install packs, or without names exactly what rig.lock says
    Install(Install),
    /// Remove packs from the project
    Uninstall(Uninstall),
    /// Bring packs up to date, after showing what is different
    Update(Update),
    /// Show the update that is on trial in the gateway, promote it, or end the trial
    Canary(Canary),
    /// List packs that have a newer version
    Outdated(Outdated),
    /// Return to an earlier state of the installed packs
    Rollback(Rollback),
    /// List installed packs, or the packs that the index offers
    Packs(Packs),
    /// Show one pack: version, origin, tools, and what it may reach
    Info(Info),
    /// List the tools that can be called
    List(List),
    /// Call a tool
    Call(Call),
    /// List the calls that wait for a person
    Approvals(Approvals),
    /// Approve a waiting call: it runs as it was stored
    Approve(Decide),
    /// Deny a waiting call: it will not run
    Deny(Decide),
    /// Serve the project's tools over HTTP and MCP
    Serve(Serve),
    /// Print the tools in the form that a model API takes
    Export(Export),
    /// Check that everything installed is what rig.lock says
    Verify(Verify),
    /// Remove what no project needs any more from rig's folder
    Gc(Gc),
    /// Show what a component or an installed pack is and asks for, without running it
    Inspect(Inspect),
    /// Make the folder of a new pack
    New(New),
    /// Build a pack from its source
    Build(Build),
    /// Run the cases of a pack in the sandbox, with recorded HTTP
    Test(Test),
    /// Put a built pack into an index that is a folder
    Publish(Publish),
    /// Keep a signed index, check it, serve it; or see which indexes this machine trusts
    #[command(subcommand)]
    Index(index::Index),
    /// Make tokens for tenants of the gateway, or list the tenants
    Tenant(Tenant),
    /// Ask the audit log who called what, check that nobody changed it, or write it out
    #[command(subcommand)]
    Audit(Audit),
    /// Look for problems with this machine and this project
    Doctor(Doctor),
    /// Print a completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
pub struct Init {
    /// The pack index to install from: a URL or a path
    #[arg(long, value_name = "URL")]
    pub index_url: Option<String>,
}

#[derive(Debug, Args)]
pub struct Uninstall {
    /// The packs to remove
    #[arg(value_name = "PACK", required = true)]
    pub packs: Vec<String>,
    /// Take packages that no other pack needs out of the environment of Python or Node too
    #[arg(long)]
    pub remove_package: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// List packs with the number of their tools
    #[arg(long, conflicts_with = "url")]
    pub packs: bool,
    /// Print JSON: the tool definitions, or with --packs the packs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The answer is printed as JSON on stdout.\n\nExamples:\n  rig call echo.message.send '{\"message\":\"hello\"}'\n  \
rig call github.issues.create @issue.json\n  generate-args | rig call github.issues.create -"
)]
pub struct Call {
    /// The tool: pack.noun.verb
    #[arg(value_name = "TOOL")]
    pub tool: String,
    /// The arguments: a JSON object, @FILE, or - for stdin
    #[arg(value_name = "ARGS", default_value = "{}")]
    pub args: String,
    /// The tenant that the call is made for
    #[arg(long, value_name = "ID")]
    pub tenant: Option<String>,
    /// Who makes the call
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Your own id of the call
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
    /// Stop the call after so many seconds, if the policy or the grant does not stop it sooner
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "url")]
    pub timeout: Option<u32>,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
pub struct Remote {
    /// Ask this running gateway instead of the project here; RIG_TOKEN in the environment is its bearer token
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

#[derive(Debug, Args)]
pub struct Approvals {
    /// Only this tenant's
    #[arg(long, value_name = "ID")]
    pub tenant: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
pub struct Decide {
    /// The token that `rig approvals` shows; may be left out when one call waits
    #[arg(value_name = "TOKEN")]
    pub token: Option<String>,
    /// Who decides, for the audit log; your user name when absent
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without a subcommand the HTTP API (/v1/…) and MCP (/mcp) are served.\n\nExamples:\n  rig serve\n  rig serve --port 0\n  \
rig serve mcp          (MCP over stdio, for clients that start their servers)"
)]
pub struct Serve {
    #[command(subcommand)]
    pub what: Option<ServeWhat>,
    #[command(flatten)]
    pub listen: Listen,
}

#[derive(Debug, Args)]
pub struct Listen {
    /// The address to listen on; server.host of rig.yaml when absent
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub host: Option<String>,
    /// The port to listen on, 0 for a free one; server.port of rig.yaml when absent
    #[arg(long, value_name = "PORT", global = true)]
    pub port: Option<u16>,
    /// Write the log as JSON lines
    #[arg(long, global = true)]
    pub log_json: bool,
    /// Send a span of every call to this OpenTelemetry collector, for example http://127.0.0.1:4318
    #[cfg(feature = "otlp")]
    #[arg(long, value_name = "URL", global = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ServeWhat {
    /// Serve MCP alone: over stdio, or over HTTP at /mcp
    Mcp(ServeMcp),
}

#[derive(Debug, Args)]
pub struct ServeMcp {
    /// How clients reach it
    #[arg(long, value_enum, value_name = "TRANSPORT", default_value = "stdio")]
    pub transport: Transport,
    /// The tenant that calls over stdio are made for
    #[arg(long, value_name = "ID")]
    pub tenant: Option<String>,
    /// Who makes the calls over stdio
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Standard input and output of this process
    Stdio,
    /// Streamable HTTP
    Http,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The names are portable (stripe_customers_create); `rig call` takes them too.\n\nExamples:\n  rig export --format openai\n  \
rig export --format gemini -o tools.json"
)]
pub struct Export {
    /// Whose form
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// Only what this tenant may call
    #[arg(long, value_name = "ID")]
    pub tenant: Option<String>,
    /// Where to write the list; stdout when absent
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Functions for OpenAI's chat completions and services like it
    Openai,
    /// Tools for Anthropic's messages
    Anthropic,
    /// Function declarations for Gemini
    Gemini,
    /// The result of MCP's tools/list
    Mcp,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// A component file, the id of an installed pack, or oci://registry/name:tag
    #[arg(value_name = "FILE|PACK|OCI", value_hint = ValueHint::FilePath)]
    pub target: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Build {
    /// The pack's folder, with rig-pack.toml
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Where to write the component; DIR/ID-VERSION.wasm when absent
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Write nothing and fail when there is a warning
    #[arg(long)]
    pub deny_warnings: bool,
    /// Do not warn of this, for example wide-path; may be repeated
    #[arg(long, value_name = "LINT")]
    pub allow: Vec<Lint>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Show calls, newest first
    Query(AuditQuery),
    /// Check that no row was changed, added or removed
    Verify(AuditVerify),
    /// Write the log out, oldest row first
    Export(AuditExport),
}

/// Which rows; everything that is given must match.
#[derive(Debug, Args)]
pub struct AuditFilter {
    /// From this time on: RFC 3339, or how long ago, such as 90s, 30m, 2h, 7d, 2w
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this time: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Calls of this tenant
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Calls of this actor
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Calls of this tool
    #[arg(long, value_name = "TOOL")]
    pub tool: Option<String>,
    /// Calls that succeeded
    #[arg(long, conflicts_with = "failed")]
    pub ok: bool,
    /// Calls that did not
    #[arg(long)]
    pub failed: bool,
    /// Rows that are no calls too: intents of risky calls, and what retention removed
    #[arg(long)]
    pub intents: bool,
    /// How many rows at most
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u32>,
}

#[derive(Debug, Args)]
pub struct AuditQuery {
    #[command(flatten)]
    pub filter: AuditFilter,
    /// Print JSON, with every column
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct AuditVerify {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct AuditExport {
    #[command(flatten)]
    pub filter: AuditFilter,
    /// JSON lines, or CSV for a spreadsheet
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = AuditFormat::Jsonl)]
    pub format: AuditFormat,
    /// Where to write; stdout when absent. A file that is there is not overwritten
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a heading
    Csv,
}

#[derive(Debug, Args)]
pub struct Tenant {
    #[command(subcommand)]
    pub command: TenantCommand,
}

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a token, and print it with the lines of rig.yaml that let it in
    New(TenantNew),
    /// List the tenants in rig.yaml
    List(TenantList),
}

#[derive(Debug, Args)]
pub struct TenantNew {
    /// The tenant: 1 to 64 lower-case letters, digits, `_`, `.` and `-`
    #[arg(value_name = "ID")]
    pub id: String,
    /// Let the token also see and decide the tenant's approvals, and read its audit log
    #[arg(long)]
    pub approver: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct TenantList {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}
