//! `rig info`: one pack, installed or offered.

use rig_host::{
    install::{self, Installer, Options, WithBundle},
    project::Project,
};
use rig_specs::{
    PackId,
    config::Isolation,
    lock::LockedPack,
    manifest::{Capabilities, Inject},
    rtp::ToolDef,
};
use serde_json::{Value, json};

use super::packs::unconfirmed;
use crate::cli::{
    args::Info,
    render,
    report::{Failure, exit, visible},
    session::Session,
};

pub fn run(session: &Session, args: &Info) -> Result<u8, Failure> {
    let id: PackId = args.pack.parse().map_err(|error: rig_specs::PackIdError| Failure::usage(error.to_string()))?;
    let project = session.project()?;
    match project.locked(&id) {
        Some(locked) => installed(session, &project, locked, args.json),
        None => offered(session, &project, &id, args),
    }
}

fn installed(session: &Session, project: &Project, locked: &LockedPack, json: bool) -> Result<u8, Failure> {
    let (_, embedded) = install::load_pack(&session.home, locked)?;
    let (id, enabled, info) = (&locked.pack_id, project.is_enabled(&locked.pack_id), &embedded.manifest.pack);
    if json {
        render::json(&json!({
            "id": id,
            "installed": true,
            "enabled": enabled,
            "display_name": info.display_name,
            "description": info.description,
            "homepage": info.homepage,
            "license": info.license,
            "tags": info.tags,
            "package": locked.package,
            "version": locked.version,
            "runtime": locked.runtime,
            "isolation": install::isolation(project, locked).map_or("sandbox", Isolation::as_str),
            "artifacts": locked.artifacts,
            "integrity": locked.integrity,
            "source": locked.source,
            "origin": locked.origin,
            "size": locked.size,
            "installed_at": locked.installed_at,
            "interface_hash": locked.interface_hash,
            "tools_hash": locked.tools_hash,
            "granted": locked.granted,
            "dependencies": locked.dependencies,
            "tools": embedded.tools.iter().map(|tool| &tool.def).collect::<Vec<_>>(),
        }))?;
        return Ok(exit::DONE);
    }
    render::line(&format!("{id} {} ({})", locked.version, info.display_name));
    render::line(&format!("  {}", info.description));
    let state = if enabled { "installed and enabled" } else { "installed, not enabled" };
    render::line(&format!("  state      {state}, runtime {}", locked.runtime.as_str()));
    if let Some(level) = install::isolation(project, locked) {
        render::line(&format!(
            "  package    {} with {}",
            locked.package,
            render::count(locked.artifacts.len(), "file")
        ));
        render::line(&format!("  isolation  {}", level.as_str()));
    }
    if let Some(source) = &locked.source {
        render::line(&format!("  source     {source}"));
    }
    if let Some(origin) = &locked.origin {
        render::line(&format!("  index      {} ({})", origin.index, origin.standing.as_str()));
    }
    if let Some(integrity) = &locked.integrity {
        render::line(&format!("  digest     {integrity}"));
    }
    if let Some(homepage) = &info.homepage {
        render::line(&format!("  homepage   {homepage}"));
    }
    show_capabilities(&locked.granted);
    show_tools(embedded.tools.iter().map(|tool| &tool.def));
    Ok(exit::DONE)
}

fn offered(session: &Session, project: &Project, id: &PackId, args: &Info) -> Result<u8, Failure> {
    let gate = session.gate(project)?;
    let bundle = session.bundle();
    let way = WithBundle { network: &*gate, bundle: bundle.as_ref() };
    let installer = Installer::new(session.home.clone(), &way);
    let (mode, trust) = (session.index_mode(false), (&args.trust).into());
    let mut options = Options { mode, trust, ..Options::new(session.start.clone()) };
    let load = |options: &Options| Session::block_on(installer.index(project, options));
    let loaded = Session::with_index(&mut options, unconfirmed, load)?.map_err(|error| {
        Failure::from(error).context(&format!("{id} is not installed, and the index cannot be asked for it"))
    })?;
    if let Some(warning) = &loaded.warning {
        session.ui.warn(warning);
    }
    let Some(pack) = loaded.index.packs.get(id) else {
        let nearest = install::similar(&loaded.index, id);
        let hint = match nearest.as_slice() {
            [] => "see what there is: rig packs --available".to_owned(),
            near => format!("did you mean {}?", near.join(", ")),
        };
        return Err(Failure::new(format!("{id} is neither installed nor in the index")).with_hint(hint));
    };
    if args.json {
        let mut value = json!(pack);
        if let Some(object) = value.as_object_mut() {
            object.insert("id".into(), json!(id));
            object.insert("installed".into(), json!(false));
            object.insert("index".into(), json!(loaded.origin()));
        }
        render::json(&value)?;
        return Ok(exit::DONE);
    }
    render::line(&format!("{id} ({})", pack.display_name));
    render::line(&format!("  {}", pack.description));
    render::line("  state      not installed");
    let origin = loaded.origin();
    render::line(&format!("  index      {} ({})", origin.index, origin.standing.as_str()));
    if let Some(publisher) = &pack.publisher {
        render::line(&format!("  publisher  {}", publisher.name));
    }
    for (runtime, package) in [("python", &pack.python), ("node", &pack.node)] {
        if let Some(package) = package {
            let hosts = if package.network.is_empty() { "no host".into() } else { package.network.join(", ") };
            render::line(&format!("  {runtime:9}  the package {}, which reaches {hosts}", package.package));
        }
    }
    if let Some(wasm) = &pack.wasm {
        let version = |(version, release): (&semver::Version, &rig_specs::index::WasmRelease)| {
            if release.yanked { format!("{version} (withdrawn)") } else { version.to_string() }
        };
        let versions: Vec<String> = wasm.versions.iter().rev().map(version).collect();
        render::line(&format!("  versions   {}", versions.join(", ")));
    }
    session.ui.note(&format!("Install it: rig install {id}"));
    Ok(exit::DONE)
}

/// What a pack may reach, in words.
pub fn show_capabilities(granted: &Capabilities) {
    if granted.is_empty() {
        render::line("  reaches    nothing");
        return;
    }
    render::line("  reaches");
    for rule in &granted.network {
        let port = rule.port.map(|port| format!(":{port}")).unwrap_or_default();
        let (scheme, methods, paths) = (rule.scheme.as_str(), rule.methods.join(", "), rule.paths.join(" "));
        render::line(&format!("    network  {scheme}://{}{port}  {methods}  {paths}", rule.host));
    }
    for (host, path) in granted.token_endpoints() {
        render::line(&format!("    network  https://{host}  POST  {path}"));
    }
    for (slot, decl) in &granted.secrets {
        let places: Vec<String> = decl.inject.iter().map(place).collect();
        if places.is_empty() {
            render::line(&format!("    secret   {slot} → the pack's own process"));
            continue;
        }
        render::line(&format!("    secret   {slot} → {} ({})", decl.hosts.join(", "), places.join(", ")));
    }
    for (name, decl) in &granted.config {
        let need = if decl.required { "required" } else { "optional" };
        render::line(&format!("    config   {name} ({need})"));
    }
    if let Some(storage) = &granted.storage {
        render::line(&format!("    storage  {}", storage.quota));
    }
    for tool in granted.invoke.iter().flat_map(|invoke| &invoke.tools) {
        render::line(&format!("    calls    {tool}"));
    }
    if let Some(ask) = &granted.ask {
        let what = if ask.description.is_empty() { String::new() } else { format!(": {}", ask.description) };
        render::line(&format!("    asks     may ask you for input{what}"));
    }
    let limits = &granted.limits;
    for (name, value) in [
        ("memory", limits.memory.map(|size| size.to_string())),
        ("timeout", limits.timeout.map(|seconds| format!("{seconds} s"))),
        ("output", limits.output.map(|size| size.to_string())),
    ] {
        if let Some(value) = value {
            render::line(&format!("    limit    {name} {value}"));
        }
    }
}

fn place(inject: &Inject) -> String {
    match inject {
        Inject::Bearer => "the header Authorization: Bearer".into(),
        Inject::Header { name, .. } => format!("the header {name}"),
        Inject::Basic { user } => format!("the header Authorization: Basic, as user {user}"),
        Inject::Query { name } => format!("the query field {name}"),
        Inject::Oauth2ServiceAccount { scopes, token_url } => {
            format!("the header Authorization: Bearer, as a token from {token_url} for {}", scopes.join(" "))
        }
    }
}

/// Tools with their risk classes and arguments; those that are required are marked.
pub fn show_tools<'a>(tools: impl Iterator<Item = &'a ToolDef>) {
    let line = |text: String| render::out(visible(&text).trim_end());
    render::out("  tools");
    for tool in tools {
        line(format!("    {}  [{}]", tool.name, tool.risk_class.as_str()));
        line(format!("      {}", first_line(&tool.description)));
        let required = |name: &str| {
            let names = tool.input_schema["required"].as_array();
            names.is_some_and(|names| names.iter().any(|required| required == name))
        };
        for (name, schema) in tool.input_schema["properties"].as_object().into_iter().flatten() {
            let star = if required(name) { "*" } else { "" };
            let what = first_line(schema["description"].as_str().unwrap_or_default());
            line(format!("        {:16} {:8} {what}", format!("{name}{star}"), kind(schema)));
        }
    }
}

fn first_line(text: &str) -> &str {
    text.split(['\n', '\r']).next().unwrap_or_default()
}

/// The type of a field in a word, `null` left out.
fn kind(schema: &Value) -> String {
    match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.collect::<Vec<_>>().join("|")
        }
        _ if schema["enum"].is_array() => "enum".into(),
        _ => String::new(),
    }
}
