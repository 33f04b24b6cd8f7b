//! `rig doctor`: looks for problems with this machine and this project, and says what to do about each.

use rig_host::{
    home,
    install::{self, bundle, index},
    project::Project,
    runner::cell,
    secrets::Provider,
};
use rig_specs::{PackId, config::Isolation, lock::Runtime};
use serde::Serialize;
use serde_json::json;

use crate::cli::{
    args::Doctor,
    render,
    report::{Failure, exit},
    session::Session,
};

/// How one check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warning,
    Problem,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    message: String,
    hint: Option<String>,
}

impl Check {
    fn new(name: &'static str, status: Status, message: impl Into<String>) -> Self {
        Self { name, status, message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn failed(name: &'static str, failure: &Failure) -> Self {
        let json = failure.json();
        let text = |key: &str| json["error"][key].as_str().map(str::to_owned);
        Self { name, status: Status::Problem, message: text("message").unwrap_or_default(), hint: text("hint") }
    }
}

pub fn run(session: &Session, args: &Doctor) -> Result<u8, Failure> {
    let mut checks = vec![store(session), engine(session)];
    match session.project() {
        Ok(project) => {
            checks.push(Check::new("project", Status::Ok, format!("rig.yaml in {}", project.root().display())));
            checks.push(network(session, &project));
            checks.push(index_check(session, &project));
            checks.extend(packs(session, &project));
            checks.extend(needs(&project));
            checks.extend(isolation(&project.config().packs, |id| needs_all_layers(&project, id)));
        }
        Err(failure) => {
            checks.push(Check::failed("project", &failure));
            checks.extend(isolation(&[], |_| false));
        }
    }
    checks.push(toolchain(session));
    let ok = checks.iter().all(|check| check.status != Status::Problem);
    if args.json {
        render::json(&json!({ "ok": ok, "version": install::rig_version(), "checks": checks }))?;
    } else {
        for check in &checks {
            let mark = match check.status {
                Status::Ok => "✓",
                Status::Warning => "!",
                Status::Problem => "✗",
            };
            render::line(&format!("{mark} {:9} {}", check.name, check.message));
            if let Some(hint) = &check.hint {
                render::line(&format!("            {hint}"));
            }
        }
    }
    Ok(if ok { exit::DONE } else { exit::FAILED })
}

fn store(session: &Session) -> Check {
    let folder = session.home.store();
    match home::private_dir(&folder) {
        Ok(()) => Check::new("store", Status::Ok, format!("{} can be used", folder.display())),
        Err(error) => Check::new("store", Status::Problem, format!("{} cannot be used: {error}", folder.display()))
            .hint("make it a folder of yours, or set RIG_HOME to another"),
    }
}

fn engine(session: &Session) -> Check {
    match session.sandbox() {
        Ok(_) => Check::new("sandbox", Status::Ok, "the WebAssembly engine starts"),
        Err(failure) => Check::failed("sandbox", &failure),
    }
}

fn network(session: &Session, project: &Project) -> Check {
    let found = session.gate(project).and_then(|gate| Ok(gate.check()?));
    match found {
        Ok(()) => {
            let proxy = project.config().network.proxy.as_ref().map_or("direct", |_| "through the proxy of rig.yaml");
            Check::new("network", Status::Ok, format!("the settings can be used ({proxy})"))
        }
        Err(failure) => Check::failed("network", &failure),
    }
}

fn index_check(session: &Session, project: &Project) -> Check {
    let carried = session.bundle().map(|bundle| render::count(bundle.packs(), "pack"));
    match (project.config().index.url.as_deref(), carried) {
        (None | Some(bundle::LOCATION), Some(packs)) => {
            Check::new("index", Status::Ok, format!("bundled: {packs} in this rig"))
        }
        (Some(bundle::LOCATION), None) => {
            Check::new("index", Status::Problem, "`index.url` is `bundled:`, and this rig carries no packs")
                .hint("use a rig that does, or set `index.url` in rig.yaml to another index")
        }
        (None, None) => Check::new("index", Status::Warning, "no index is configured")
            .hint("set `index.url` in rig.yaml, or install from a file"),
        (Some(url), _) => match index::locate(url, project.root()) {
            Ok(url) => Check::new("index", Status::Ok, url.as_str().to_owned()),
            Err(error) => {
                Check::new("index", Status::Problem, error.to_string()).hint(error.hint().unwrap_or_default())
            }
        },
    }
}

fn packs(session: &Session, project: &Project) -> Vec<Check> {
    let reports = install::verify(&session.home, project);
    let mut checks: Vec<Check> = reports
        .iter()
        .filter(|report| !report.ok)
        .map(|report| {
            let problem = report.problem.clone().unwrap_or_default();
            Check::new("packs", Status::Problem, format!("{}: {problem}", report.pack))
                .hint(report.hint.clone().unwrap_or_else(|| "run `rig install`".into()))
        })
        .collect();
    for id in project.config().packs.iter().filter(|id| project.locked(id).is_none()) {
        checks.push(
            Check::new("packs", Status::Problem, format!("rig.yaml enables {id}, which is not in rig.lock"))
                .hint(format!("run `rig install {id}`")),
        );
    }
    if checks.is_empty() {
        let number = render::count(reports.len(), "pack");
        checks.push(Check::new("packs", Status::Ok, format!("{number}, all as rig.lock says")));
    }
    checks
}

/// Secrets and settings of the enabled packs: only whether they are set.
fn needs(project: &Project) -> Vec<Check> {
    let provider = Provider::new(project.env_path());
    let mut checks = Vec::new();
    for id in &project.config().packs {
        let Some(locked) = project.locked(id) else { continue };
        for slot in locked.granted.secrets.keys() {
            checks.push(match provider.secret(slot) {
                Ok(Some((_, marker))) => {
                    Check::new("secrets", Status::Ok, format!("{slot} for {id} is set ({marker})"))
                }
                Ok(None) => Check::new("secrets", Status::Warning, format!("{slot} for {id} is not set"))
                    .hint(format!("export {slot}=…, or add a line {slot}=… to {}", project.env_path().display())),
                Err(error) => Check::new("secrets", Status::Problem, error.to_string()).hint(error.hint()),
            });
        }
        let configured = project.config().config.get(id);
        for (name, _) in locked.granted.config.iter().filter(|(_, decl)| decl.required && decl.default.is_none()) {
            let set = configured.is_some_and(|values| values.contains_key(name));
            if !set && !matches!(provider.setting(name), Ok(Some(_))) {
                checks.push(
                    Check::new("config", Status::Warning, format!("{name} for {id} is not set"))
                        .hint(format!("set it in rig.yaml under `config: {{{id}: {{{name}: …}}}}`")),
                );
            }
        }
    }
    checks
}

/// Whether a pack does not run where a layer is missing.
fn needs_all_layers(project: &Project, id: &PackId) -> bool {
    let in_cell = project.locked(id).is_some_and(|locked| locked.runtime != Runtime::Wasm);
    in_cell && project.config().isolation.get(id).copied().unwrap_or_default() == Isolation::Full
}

/// The layers of a cell that this machine has, and how it would get the others.
fn isolation(packs: &[PackId], needs_all: impl Fn(&PackId) -> bool) -> Vec<Check> {
    const NAME: &str = "isolation";
    let states = tempfile::tempdir()
        .map_err(|error| cell::Error::Setup(error.to_string()))
        .and_then(|scratch| cell::probe(cell::LAUNCHER.as_ref(), scratch.path()));
    let states = match states {
        Ok(states) => states,
        Err(error @ cell::Error::System) => return vec![Check::new(NAME, Status::Ok, error.to_string())],
        Err(error) => return vec![Check::new(NAME, Status::Warning, error.to_string())],
    };
    let has = states.iter().filter(|state| state.lacks.is_none()).map(|state| state.layer.as_str());
    let has: Vec<&str> = has.collect();
    let mut checks = Vec::new();
    if !has.is_empty() {
        let message = format!("packs from PyPI and npm are cut off by {}", has.join(", "));
        checks.push(Check::new(NAME, Status::Ok, message));
    }
    let stopped: Vec<&str> = packs.iter().filter(|id| needs_all(id)).map(PackId::as_str).collect();
    for state in &states {
        let Some(why) = &state.lacks else { continue };
        let lacks = format!("{} ({}) cannot be had: {why}", state.layer.as_str(), state.layer.purpose());
        checks.push(if stopped.is_empty() {
            Check::new(NAME, Status::Warning, lacks).hint(state.layer.how())
        } else {
            let hint = format!("{}; or set `isolation: {{{}: reduced}}` in rig.yaml", state.layer.how(), stopped[0]);
            Check::new(NAME, Status::Problem, format!("{lacks}, so that {} cannot run", stopped.join(", "))).hint(hint)
        });
    }
    checks
}

/// Only authors need one, so its absence is no problem; nothing is installed here.
fn toolchain(session: &Session) -> Check {
    match rig_toolchain::installed(&session.start) {
        Some(toolchain) => Check::new("toolchain", Status::Ok, format!("packs can be built by {toolchain}")),
        None => Check::new("toolchain", Status::Ok, "nothing that builds packs is installed; `rig build` sees to it"),
    }
}
