//! `rig install`: plan, ask, commit; or restore what rig.lock says.

use std::{io::Write as _, time::Instant};

use rig_host::{
    install::{
        Action, ConsentRequest, InstallError, Installer, Options, Plan, Progress, Request, Restored, TrustError,
        WithBundle,
        legacy::{Grants, Wish},
    },
    project::Project,
};
use rig_specs::{PackId, lock::Runtime};

use super::packs;
use crate::cli::{
    args::{Install, RuntimeArg},
    logs,
    progress::Bars,
    report::{Failure, exit},
    session::{Answer, Session},
};

pub fn run(session: &Session, args: &Install) -> Result<u8, Failure> {
    if args.version.is_some() && args.packs.len() != 1 {
        return Err(Failure::usage("--version goes with exactly one pack"));
    }
    let project = session.project()?;
    let gate = session.gate(&project)?;
    let bundle = session.bundle();
    let way = WithBundle { network: &*gate, bundle: bundle.as_ref() };
    let installer = Installer::new(session.home.clone(), &way);
    let mut options = Options {
        index_url: args.index_url.clone(),
        mode: session.index_mode(args.refresh),
        runtime: args.runtime.map(|runtime| match runtime {
            RuntimeArg::Wasm => Runtime::Wasm,
            RuntimeArg::Python => Runtime::Python,
            RuntimeArg::Node => Runtime::Node,
        }),
        enable: !args.no_enable,
        cwd: session.start.clone(),
        trust: (&args.trust).into(),
        machine: Session::machine(),
    };
    let bars = Bars::new(session.ui);
    let progress = |progress: Progress<'_>| bars.show(progress);
    if args.packs.is_empty() {
        return restore(session, &project, &installer, &options, args.dry_run, &progress);
    }
    let plan = match options.runtime {
        Some(runtime @ (Runtime::Python | Runtime::Node)) => {
            packages(session, &installer, (&project, runtime), &mut options, args, &progress)?
        }
        _ if !args.allow_host.is_empty() || !args.slot.is_empty() => {
            return Err(Failure::usage("--allow-host and --slot are for packs with --runtime python or node"));
        }
        _ => {
            let parse = |text: &String| Request::parse(text, args.version.as_deref(), &session.start);
            let requests = args.packs.iter().map(parse).collect::<Result<Vec<_>, _>>();
            let requests = requests.map_err(|error| Failure::from(error).into_usage())?;
            let plan = |options: &Options| Session::block_on(installer.plan(&project, &requests, options, &progress));
            Session::with_index(&mut options, unconfirmed, plan)??
        }
    };
    bars.clear();
    for warning in &plan.warnings {
        session.ui.warn(warning);
    }
    // With `--yes` the list is a note; otherwise it is the question itself, and is asked even by a quiet rig.
    if !(session.ui.quiet && session.yes) {
        plan.consent().iter().for_each(show);
    }
    if args.dry_run {
        summary(session, &plan);
        session.ui.note("Nothing was changed (--dry-run).");
        return Ok(exit::DONE);
    }
    if !plan.consent().is_empty() {
        agree(session, &plan, &args.accept)?;
    }
    commit(session, &project, plan)
}

/// The plan for packs from PyPI and npm. What they may reach is asked for, when neither the index nor a flag says it and somebody is there.
fn packages(
    session: &Session,
    installer: &Installer<'_>,
    (project, runtime): (&Project, Runtime),
    options: &mut Options,
    args: &Install,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Plan, Failure> {
    logs::details(session.ui);
    let parse = |text: &String| Wish::parse(text, args.version.as_deref(), runtime);
    let wishes = args.packs.iter().map(parse).collect::<Result<Vec<_>, _>>();
    let wishes = wishes.map_err(|error| Failure::from(error).into_usage())?;
    let grants = Grants { hosts: args.allow_host.clone(), slots: args.slot.clone() };
    let mut plan = |grants: &Grants| -> Result<Plan, Failure> {
        let plan = |options: &Options| {
            Session::block_on(installer.plan_packages(project, (runtime, &wishes), options, grants, progress))
        };
        Ok(Session::with_index(options, unconfirmed, plan)??)
    };
    let first = plan(&grants)?;
    let silent = |request: &ConsentRequest| request.network.is_empty() && request.secrets.is_empty();
    if !grants.is_empty() || session.yes || first.consent().is_empty() || !first.consent().iter().all(silent) {
        return Ok(first);
    }
    let list = |question: &str| -> Vec<String> {
        let answer = session.ask_for(question).unwrap_or_default();
        answer.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let hosts = list("Which hosts may it reach? (HOST or HOST:PORT, separated by spaces; nothing for none)");
    let slots = list("Which secrets does it get? (names, separated by spaces; nothing for none)");
    let asked = Grants { hosts, slots };
    if asked.is_empty() { Ok(first) } else { plan(&asked) }
}

fn unconfirmed(error: &InstallError) -> Option<&TrustError> {
    match error {
        InstallError::Index(error) => packs::unconfirmed(error),
        _ => None,
    }
}

fn commit(session: &Session, project: &Project, plan: Plan) -> Result<u8, Failure> {
    precompile(session, &plan)?;
    let newer: Vec<_> = plan.packs.iter().map(|pack| (pack.id().clone(), pack.newer.clone())).collect();
    let committed = plan.commit(project.root(), &mut |lock| session.waiting(lock))?;
    for done in &committed.packs {
        let off = if done.enabled { "" } else { " (not enabled: its tools cannot be called yet)" };
        let (id, version) = (&done.id, &done.version);
        session.ui.done(&match &done.action {
            Action::Install => format!("installed {id} {version}{off}"),
            Action::Replace { from } => format!("replaced {id} {from} by {version}{off}"),
            Action::Move { from } => format!("{id} {version} is now the one of another index than {from}{off}"),
            Action::Keep => format!("{id} {version} is installed already{off}"),
        });
    }
    for (id, version) in newer {
        if let Some(version) = version {
            session.ui.note(&format!("The index has {id} {version}: rig install {id}@{version}"));
        }
    }
    Ok(exit::DONE)
}

/// Before anything changes, so that a component that does not fit the sandbox is never installed, and the first call is as quick as
/// any other.
pub fn precompile(session: &Session, plan: &Plan) -> Result<(), Failure> {
    let mut components = plan.components().peekable();
    if components.peek().is_none() {
        return Ok(());
    }
    let sandbox = session.sandbox()?;
    for (digest, read) in components {
        let started = Instant::now();
        let unfit = |error| Failure::from(error).context("nothing was installed");
        if sandbox.load_compiled(&digest).map_err(unfit)?.is_none() {
            sandbox.load(&digest, &read()?).map_err(unfit)?;
            session.ui.detail(&format!("compiled {digest} in {:.0} ms", started.elapsed().as_secs_f64() * 1e3));
        }
    }
    Ok(())
}

fn restore(
    session: &Session,
    project: &Project,
    installer: &Installer<'_>,
    options: &Options,
    dry_run: bool,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<u8, Failure> {
    if dry_run {
        for pack in rig_host::install::verify(&session.home, project) {
            let state = if pack.ok { "is there" } else { "would be fetched" };
            session.ui.note(&format!("{} {} {state}", pack.pack, pack.version));
        }
        return Ok(exit::DONE);
    }
    let restored = Session::block_on(installer.restore(project, options, progress))??;
    for pack in &restored {
        let how = match pack.restored {
            Restored::Present => "is there",
            Restored::Fetched => "was fetched",
            Restored::Repaired => "was fetched again: the store's file had been changed",
        };
        session.ui.done(&format!("{} {} {how}", pack.id, pack.version));
    }
    if restored.is_empty() {
        session.ui.note("rig.lock names no packs. Install one: rig install NAME");
    }
    Ok(exit::DONE)
}

/// What each pack asks for, on stderr: it is part of a question, not a result.
pub fn show(request: &ConsentRequest) {
    let mut out = std::io::stderr().lock();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    let from = request.changes.as_ref().map(|changes| format!(" (now {})", changes.from)).unwrap_or_default();
    line(format!("{} {}{from}: {}", request.pack, request.version, request.description));
    line(format!("  from       {} ({} bytes)", request.source, request.size));
    if let Some(origin) = &request.index {
        line(format!("  index      {} ({})", origin.index, origin.standing.as_str()));
    }
    if let Some(was) = request.changes.as_ref().and_then(|changes| changes.moved_from.as_ref()) {
        line(format!(
            "  moved      the installed one is from {} ({}): it may be another pack",
            was.index,
            was.standing.as_str()
        ));
    }
    for other in &request.looks_like {
        line(format!("  looks like {other}"));
    }
    line(format!("  digest     {}", request.integrity));
    if let Some(publisher) = &request.publisher {
        let new = if publisher.new_to_project { " (new to this project)" } else { "" };
        line(format!("  publisher  {}{new}", publisher.name));
    }
    if request.network.is_empty() {
        line("  network    none".into());
    }
    for host in &request.network {
        let follow = if host.follow { ", follows redirects" } else { "" };
        line(format!("  network    {}  {}  {}{follow}", host.origin, host.methods.join(", "), host.paths.join(" ")));
    }
    for secret in &request.secrets {
        let (hosts, places, tools) = (secret.hosts.join(", "), secret.places.join(", "), secret.tools.join(", "));
        if places.is_empty() {
            line(format!("  secret     {} → the pack's own process, for {tools}", secret.slot));
            continue;
        }
        line(format!("  secret     {} → {hosts} ({places}) for {tools}", secret.slot));
    }
    for config in &request.config {
        let need = if config.required { "required" } else { "optional" };
        line(format!("  config     {} ({need}) {}", config.name, config.description));
    }
    if let Some(quota) = request.storage {
        line(format!("  storage    {}", rig_specs::ByteSize(quota)));
    }
    for tool in &request.invoke {
        line(format!("  calls      {tool}"));
    }
    if let Some(what) = &request.ask {
        let what = if what.is_empty() { String::new() } else { format!(": {what}") };
        line(format!("  asks       may ask you for input{what}"));
    }
    for limit in &request.limits {
        line(format!("  limit      {} {} instead of {}", limit.name, limit.asked, limit.normal));
    }
    for dependency in &request.dependencies {
        line(format!("  needs      {dependency}"));
    }
    for tool in &request.tools {
        line(format!("  tool       {}  [{}]", tool.name, tool.risk.as_str()));
    }
    if let Some(changes) = &request.changes {
        for added in &changes.added {
            line(format!("  new        {added}"));
        }
        for removed in &changes.removed {
            line(format!("  gone       {removed}"));
        }
        if changes.tools_text {
            line("  changed    what the tools say about themselves".into());
        }
    }
}

fn summary(session: &Session, plan: &Plan) {
    for pack in &plan.packs {
        let (id, version) = (pack.id(), pack.version());
        session.ui.note(&match &pack.action {
            Action::Install => format!("would install {id} {version}"),
            Action::Replace { from } => format!("would replace {id} {from} by {version}"),
            Action::Move { from } => format!("would take {id} {version} from another index than {from}"),
            Action::Keep => format!("{id} {version} is installed already"),
        });
    }
}

/// Asks for consent to what was listed.
pub fn agree(session: &Session, plan: &Plan, accepted: &[PackId]) -> Result<(), Failure> {
    // A script that misspells a name must not install what lies in wait under the wrong one.
    let unclear =
        plan.consent().iter().find(|request| !request.looks_like.is_empty() && !accepted.contains(&request.pack));
    if let Some(ConsentRequest { pack, looks_like, .. }) = unclear {
        let others = looks_like.join(" and ");
        match Session::ask_person(&format!("The name {pack} is close to {others}. Is it {pack} that you mean?")) {
            Answer::Yes => {}
            Answer::No => return Err(Failure::new(format!("{pack} was not installed; nothing was changed"))),
            Answer::NobodyThere => {
                return Err(Failure::new(format!("the name {pack} is close to {others}; nothing was changed"))
                    .with_hint(format!("if you mean {pack}, add `--accept {pack}`")));
            }
        }
    }
    let names: Vec<String> =
        plan.consent().iter().map(|request| format!("{} {}", request.pack, request.version)).collect();
    let names = names.join(", ");
    match session.ask(&format!("Install {names} with this reach?")) {
        Answer::Yes => Ok(()),
        Answer::No => Err(Failure::new(format!("{names} was not installed; nothing was changed"))),
        Answer::NobodyThere => Err(Failure::new(format!(
            "installing {names} needs consent to what is listed above, and there is no terminal to ask on"
        ))
        .with_hint("read the list, then run the command again with --yes")),
    }
}
