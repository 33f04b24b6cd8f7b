//! `rig index`: what maintainers do with an index, and what users do with the keys that they trust.

use std::{fs, path::Path};

use rig_host::{
    author::publish,
    index::{
        check as checks, keys,
        keys::Keys,
        rotate::{Rotation, rotate},
        serve,
        sign::{self, SignedIndex},
    },
    install::{index::locate, trust},
};
use rig_specs::PackId;
use serde_json::json;
use tokio::net::TcpListener;

use crate::cli::{
    args::index::{Add, Check, Forget, Index, Init, Key, Remove, Rotate, Serve, Show, Sign},
    render,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, command: &Index) -> Result<u8, Failure> {
    match command {
        Index::Init(args) => init(session, args),
        Index::Key(args) => key(session, args),
        Index::Add(args) => add(session, args),
        Index::Remove(args) => remove(session, args),
        Index::Sign(args) => sign(session, args),
        Index::Rotate(args) => change_keys(session, args),
        Index::Check(args) => check(session, args),
        Index::Serve(args) => serve(session, args),
        Index::Show(args) => show(session, args),
        Index::Forget(args) => forget(session, args),
    }
}

fn init(session: &Session, args: &Init) -> Result<u8, Failure> {
    let (folder, keys) = (session.path(&args.folder), session.path(&args.keys));
    if keys.starts_with(&folder) {
        return Err(Failure::usage("--keys: private keys must not be in the folder that is served"));
    }
    let init = sign::Init { root_keys: args.root_key.clone(), threshold: args.threshold, days: args.days.days };
    let signed = sign::init(&folder, &keys, &init)?;
    if args.json {
        return render::json(&signed).map(|()| exit::DONE);
    }
    session.ui.done(&format!("{} is an index; its private keys are in {}", folder.display(), keys.display()));
    report(session, &signed);
    render::line("users trust it by these lines in rig.yaml:");
    render::line("  index:");
    render::line("    url: https://…/pack_index.json");
    let keys: Vec<String> = signed.root_keys.iter().map(|key| format!("\"{key}\"")).collect();
    render::line(&format!("    trusted_keys: [{}]", keys.join(", ")));
    Ok(exit::DONE)
}

fn key(session: &Session, args: &Key) -> Result<u8, Failure> {
    let file = session.path(&args.file);
    let made = !file.exists();
    let public = if made { keys::generate(&file)? } else { keys::public(&file)? };
    if made {
        session.ui.done(&format!("made the private key {}; keep it where nobody else reads it", file.display()));
    }
    if args.json {
        render::json(&json!({ "key": public, "id": public.id(), "file": file, "made": made }))?;
    } else {
        render::line(&public.to_string());
    }
    Ok(exit::DONE)
}

fn add(session: &Session, args: &Add) -> Result<u8, Failure> {
    let folder = session.path(&args.folder);
    let keys = session.keys(&args.keys.keys)?;
    let mut added = Vec::new();
    for component in &args.components {
        let options = publish::Options { publisher: args.publisher.clone(), dry_run: false };
        added.push(publish::publish(&folder, &session.path(component), &options)?);
    }
    let signed = sign::sign(&folder, &keys, args.days.days)?;
    if args.json {
        return render::json(&json!({ "added": added, "index": signed })).map(|()| exit::DONE);
    }
    for done in &added {
        let again = if done.changed { "added" } else { "has already" };
        session.ui.done(&format!("{again} {} {} ({})", done.pack, done.version, done.sha256));
    }
    report(session, &signed);
    Ok(exit::DONE)
}

fn remove(session: &Session, args: &Remove) -> Result<u8, Failure> {
    let folder = session.path(&args.folder);
    let keys = session.keys(&args.keys.keys)?;
    let (name, version) =
        args.pack.split_once('@').map_or((&*args.pack, None), |(name, version)| (name, Some(version)));
    let id: PackId = name.parse().map_err(|error: rig_specs::PackIdError| Failure::usage(error.to_string()))?;
    let parse = |text: &str| text.parse().map_err(|_| Failure::usage(format!("`{text}` is not a version")));
    let version = version.map(parse).transpose()?;
    let removed = publish::remove(&folder, &id, version.as_ref())?;
    let signed = sign::sign(&folder, &keys, args.days.days)?;
    if args.json {
        return render::json(&json!({ "pack": id, "removed": removed, "index": signed })).map(|()| exit::DONE);
    }
    for version in &removed {
        session.ui.done(&format!("removed {id} {version}"));
    }
    report(session, &signed);
    Ok(exit::DONE)
}

fn sign(session: &Session, args: &Sign) -> Result<u8, Failure> {
    let signed = sign::sign(&session.path(&args.folder), &session.keys(&args.keys.keys)?, args.days.days)?;
    if args.json {
        return render::json(&signed).map(|()| exit::DONE);
    }
    report(session, &signed);
    Ok(exit::DONE)
}

fn change_keys(session: &Session, args: &Rotate) -> Result<u8, Failure> {
    let places: Vec<_> = args.keys.keys.iter().map(|path| session.path(path)).collect();
    let new = places
        .iter()
        .find(|path| path.is_dir())
        .ok_or_else(|| Failure::usage("--keys: name a folder too, for a key that may have to be made"))?;
    let rotation = Rotation {
        role: args.role.into(),
        add: args.add.clone(),
        remove: args.remove.clone(),
        threshold: args.threshold,
        days: args.days.days,
    };
    let signed = rotate(&session.path(&args.folder), session.keys(&args.keys.keys)?, new, &rotation)?;
    if args.json {
        return render::json(&signed).map(|()| exit::DONE);
    }
    report(session, &signed);
    Ok(exit::DONE)
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What signing came to.
fn report(session: &Session, signed: &SignedIndex) {
    if let Some(versions) = &signed.versions {
        session.ui.done(&format!(
            "signed {}: root {}, timestamp {}, snapshot {}, targets {}",
            counted(versions.files, "file"),
            signed.root,
            versions.timestamp,
            versions.snapshot,
            versions.targets
        ));
        session.ui.note(&format!("sign it again before {}: rig index sign", versions.expires));
    }
    if let Some(pending) = signed.pending {
        session.ui.warn(&format!(
            "root {} has {} of {} signatures and is not in force: whoever has the other keys runs `rig index sign`",
            pending.version, pending.found, pending.needed
        ));
    }
}

fn check(session: &Session, args: &Check) -> Result<u8, Failure> {
    let base = args.base.as_ref().map(|base| session.path(base));
    let sandbox = session.sandbox()?;
    let report = Session::block_on(checks::check(&session.path(&args.folder), base.as_deref(), &sandbox))??;
    if args.json {
        render::json(&report)?;
    } else {
        for release in report.releases.iter().filter(|release| args.base.is_none() || release.new) {
            let tools: Vec<String> =
                release.tools.iter().map(|(name, risk)| format!("{name} [{}]", risk.as_str())).collect();
            render::line(&format!("{} {}  {}", release.pack, release.version, release.sha256));
            render::line(&format!("  licence    {}", release.license.as_deref().unwrap_or("none")));
            super::info::show_capabilities(&release.capabilities);
            render::line(&format!("  tools      {}", tools.join(", ")));
        }
        for finding in &report.findings {
            let kind = if finding.error { "error" } else { "warning" };
            let version = finding.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
            let pack = finding.pack.as_ref().map(|pack| format!("{pack}{version}: ")).unwrap_or_default();
            render::line(&format!("{kind}: {pack}{}", finding.what));
        }
        let wrong = report.findings.iter().filter(|finding| finding.error).count();
        let warnings = counted(report.findings.len() - wrong, "warning");
        let releases = counted(report.releases.len(), "release");
        render::line(&format!("{releases}, {}, {warnings}; {}", counted(wrong, "error"), report.signatures));
    }
    Ok(if report.ok { exit::DONE } else { exit::FAILED })
}

fn serve(session: &Session, args: &Serve) -> Result<u8, Failure> {
    let folder = session.path(&args.folder);
    if !folder.is_dir() {
        return Err(Failure::usage(format!("there is no folder {}", folder.display())));
    }
    Session::block_on(async {
        let failed = |error: std::io::Error| Failure::of(&error, "name another port with --port");
        let listener = TcpListener::bind(("127.0.0.1", args.port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        render::line(&format!("http://{address}/{}", rig_specs::index::FILE));
        session.ui.note("Serving until it is stopped (Ctrl-C). For others, any web server will do.");
        serve::serve(folder, listener).await.map_err(failed)
    })??;
    Ok(exit::DONE)
}

fn show(session: &Session, args: &Show) -> Result<u8, Failure> {
    let known = trust::known(&session.home).map_err(|fault| Failure::new(fault.to_string()))?;
    if args.json {
        return render::json(&known).map(|()| exit::DONE);
    }
    if known.is_empty() {
        session.ui.note("This machine has not used a signed index yet.");
    }
    for index in known {
        render::line(&index.url);
        let by = if index.trusted_keys.is_empty() { "keys confirmed at first use" } else { "keys in rig.yaml" };
        render::line(&format!("  trusted    by {by}"));
        let expires = index.expires.map(|expires| format!(", good until {expires}")).unwrap_or_default();
        render::line(&format!("  seen       root {}, timestamp {}{expires}", index.root, index.version));
        render::line(&format!("  root keys  {} of these sign", index.threshold));
        index.root_keys.iter().for_each(|key| render::line(&format!("    {key}")));
    }
    Ok(exit::DONE)
}

fn forget(session: &Session, args: &Forget) -> Result<u8, Failure> {
    let root = session.project().map_or_else(|_| session.start.clone(), |project| project.root().to_owned());
    let mut forgotten = 0;
    for folder in [session.start.as_path(), &root] {
        let url = locate(&args.url, folder).map_err(|error| Failure::from(error).into_usage())?;
        forgotten += trust::forget(&session.home, &url).map_err(|fault| Failure::new(fault.to_string()))?;
    }
    if forgotten == 0 {
        return Err(Failure::new(format!("nothing is known of the index {}", args.url))
            .with_hint("`rig index show` lists the indexes that are known"));
    }
    session.ui.done(&format!("forgot {}: its keys are asked for again when it is used next", args.url));
    Ok(exit::DONE)
}

impl Session {
    fn path(&self, path: &Path) -> std::path::PathBuf {
        let path: std::path::PathBuf = self.start.join(path).components().collect();
        fs::canonicalize(&path).unwrap_or(path)
    }

    fn keys(&self, places: &[std::path::PathBuf]) -> Result<Keys, Failure> {
        let places: Vec<_> = places.iter().map(|path| self.path(path)).collect();
        Ok(Keys::load(&places)?)
    }
}
