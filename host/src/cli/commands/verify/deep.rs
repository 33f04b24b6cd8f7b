//! `rig verify --deep`: what cannot be told from the lock and the hashes alone. Each component is inspected in full again and run once
//! in an empty sandbox, to be asked for its tools; what the index says of it is compared.

use std::time::{Duration, Instant};

use rig_host::{
    build,
    install::{Installer, Options, PackReport, WithBundle, inspect, is_of_registry, rig_version, store},
    project::Project,
    sandbox::{CallLimits, PoolSize, Sandbox},
};
use rig_specs::{Sha256, lock::Runtime, manifest::EmbeddedPack};

use crate::cli::{report::Failure, session::Session};

/// How long a pack may take to tell its tools: it only builds a list.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Adds what is found to the reports of packs that were sound so far.
pub(super) fn check(session: &Session, project: &Project, reports: &mut [PackReport]) -> Result<(), Failure> {
    // Without the cache: what is checked is what the bytes compile to now.
    let sandbox = Sandbox::new(PoolSize::SINGLE, None)?;
    for report in reports.iter_mut().filter(|report| report.ok && report.runtime == Runtime::Wasm) {
        let Some(digest) = report.expected else { continue };
        if let Err(failure) = component(session, &sandbox, &digest) {
            report.ok = false;
            report.problem = Some(failure.to_string());
            report.hint = Some(format!(
                "do not call it; tell whoever published it, and take it out with `rig uninstall {}`",
                report.pack
            ));
        }
    }
    index(session, project, reports)
}

/// A component whose tools are other than those that it carries was not made by `rig build`, or was changed since.
fn component(session: &Session, sandbox: &Sandbox, digest: &Sha256) -> Result<(), Failure> {
    let bytes = store::read(&session.home, digest)?;
    let pack = inspect::inspect(&bytes, &rig_version())?.pack;
    let mut limits = CallLimits::default();
    if let Some(memory) = pack.manifest.limits.memory {
        limits.memory = limits.memory.max(memory.as_usize());
    }
    let program = sandbox.load(digest, &bytes)?;
    let described = Session::block_on(program.describe(Instant::now() + DESCRIBE_TIMEOUT, &limits))?;
    let described = described.map_err(|stop| Failure::new(format!("asked for its tools, it failed: {stop}")))?;
    let EmbeddedPack { mut tools, .. } = pack;
    tools.sort_by(|a, b| a.def.name.cmp(&b.def.name));
    let told = build::described(described)?;
    if told == tools {
        return Ok(());
    }
    let differs = |tool: &&rig_specs::rtp::PackTool| !told.contains(tool);
    let name = tools.iter().find(differs).or_else(|| told.iter().find(|tool| !tools.contains(tool)));
    let name = name.map(|tool| tool.def.name.clone()).unwrap_or_default();
    Err(Failure::new(format!("the tools that it carries are not those that it tells when it runs: `{name}` differs")))
}

/// The index may have other bytes under the version by now, or have withdrawn it.
fn index(session: &Session, project: &Project, reports: &mut [PackReport]) -> Result<(), Failure> {
    let gate = session.gate(project)?;
    let bundle = session.bundle();
    let way = WithBundle { network: &*gate, bundle: bundle.as_ref() };
    let installer = Installer::new(session.home.clone(), &way);
    let options = Options { mode: session.index_mode(true), ..Options::new(session.start.clone()) };
    let (of_registries, mut reports): (Vec<_>, Vec<_>) =
        reports.iter_mut().partition(|report| project.locked(&report.pack).is_some_and(is_of_registry));
    let any = !of_registries.is_empty();
    registries(session, project, &installer, &options, of_registries)?;
    // A project whose packs all come from registries needs no index.
    if reports.is_empty() && any {
        return Ok(());
    }
    let loaded = match Session::block_on(installer.index(project, &options))? {
        Ok(loaded) => loaded,
        Err(error) => {
            session.ui.warn(&format!("the index was not compared: {error}"));
            return Ok(());
        }
    };
    for report in reports.iter_mut().filter(|report| report.ok && report.runtime == Runtime::Wasm) {
        let releases = loaded.index.packs.get(&report.pack).and_then(|pack| pack.wasm.as_ref());
        let Some(release) = releases.and_then(|releases| releases.versions.get(&report.version)) else {
            session.ui.note(&format!("{} {} is not in the index", report.pack, report.version));
            continue;
        };
        if Some(release.sha256) != report.expected {
            report.ok = false;
            report.problem = Some(format!("the index has other bytes under this version: {}", release.sha256));
            report.hint = Some("a released version never changes: ask whoever keeps the index why it did".into());
        } else if release.yanked {
            session.ui.warn(&format!(
                "{} {} was withdrawn by its publisher: `rig outdated` shows what there is",
                report.pack, report.version
            ));
        }
    }
    Ok(())
}

/// The tag of a version may name another component by now.
fn registries(
    session: &Session,
    project: &Project,
    installer: &Installer<'_>,
    options: &Options,
    reports: Vec<&mut PackReport>,
) -> Result<(), Failure> {
    for report in reports.into_iter().filter(|report| report.ok) {
        let Some(locked) = project.locked(&report.pack) else { continue };
        match Session::block_on(installer.moved_tag(project, locked, options))? {
            Ok(None) => {}
            Ok(Some(problem)) => {
                report.ok = false;
                report.problem = Some(problem);
                let hint = "a released version never changes: ask whoever keeps the repository why it did";
                report.hint = Some(hint.into());
            }
            Err(error) => session.ui.warn(&format!("{} was not compared with its registry: {error}", report.pack)),
        }
    }
    Ok(())
}
