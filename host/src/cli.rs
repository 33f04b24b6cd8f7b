//! From the command line to an exit code: parse, set up what all commands share, run one command, show what came of it.

mod args;
mod commands;
mod logs;
mod progress;
mod remote;
mod render;
mod report;
mod session;

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use rig_host::runner::cell;

use args::{Cli, Command};
use report::Failure;
use session::Session;

/// Runs the process's own command line.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == cell::ARGUMENT) {
        return cell::enter(&arguments.collect::<Vec<_>>());
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap decides by itself between stdout (help, version) and stderr (usage), and has the exit code to go with it.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(report::exit::USAGE));
        }
    };
    let ended = Session::new(&cli.global).and_then(|session| run(&session, cli.command));
    let _ = std::io::stdout().flush();
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            anstream::eprintln!("{}", failure.render());
            ExitCode::from(failure.code())
        }
    }
}

fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Init(args) => commands::init::run(session, &args),
        Command::Install(args) => commands::install::run(session, &args),
        Command::Uninstall(args) => commands::uninstall::run(session, &args),
        Command::Update(args) => commands::update::run(session, &args),
        Command::Outdated(args) => commands::outdated::run(session, &args),
        Command::Canary(args) => commands::canary::run(session, &args),
        Command::Rollback(args) => commands::rollback::run(session, &args),
        Command::Packs(args) => commands::packs::run(session, &args),
        Command::Info(args) => commands::info::run(session, &args),
        Command::List(args) => commands::list::run(session, &args),
        Command::Call(args) => commands::call::run(session, args),
        Command::Approvals(args) => commands::approvals::list(session, &args),
        Command::Approve(args) => commands::approvals::approve(session, &args),
        Command::Deny(args) => commands::approvals::deny(session, &args),
        Command::Serve(args) => commands::serve::run(session, &args),
        Command::Export(args) => commands::export::run(session, &args),
        Command::Verify(args) => commands::verify::run(session, &args),
        Command::Gc(args) => commands::gc::run(session, &args),
        Command::Inspect(args) => commands::inspect::run(session, &args),
        Command::New(args) => commands::new::run(session, &args),
        Command::Build(args) => commands::build::run(session, &args),
        Command::Test(args) => commands::test::run(session, &args),
        Command::Publish(args) => commands::publish::run(session, &args),
        Command::Index(command) => commands::index::run(session, &command),
        Command::Tenant(args) => commands::tenant::run(session, &args),
        Command::Audit(args) => commands::audit::run(session, &args),
        Command::Doctor(args) => commands::doctor::run(session, &args),
        Command::Completions(args) => commands::completions::run(&args),
    }
}
