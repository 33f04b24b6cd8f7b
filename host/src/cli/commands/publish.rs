//! `rig publish`: builds a pack, unless it is built, and puts it into an index that is a folder.

use std::path::PathBuf;

use rig_host::{
    author::publish::{self, Options, Published},
    install::{inspect, rig_version},
};
use serde_json::json;

use super::build;
use crate::cli::{
    args::Publish,
    render,
    report::{Failure, exit},
    session::Session,
};

mod push;

pub fn run(session: &Session, args: &Publish) -> Result<u8, Failure> {
    if let Some(to) = args.to.to_str().filter(|to| to.starts_with("oci:")) {
        return push::run(session, args, to);
    }
    if !args.tag.is_empty() {
        return Err(Failure::usage("--tag is for registries: --to oci://registry/name"));
    }
    let folder = whole(session.start.join(&args.to));
    let options = Options { publisher: args.publisher.clone(), dry_run: args.dry_run };
    if args.yank {
        return yank(session, args, &folder, &options);
    }
    let component = component(session, args)?;
    let published = publish::publish(&folder, &component, &options)?;
    if args.json {
        let mut value = serde_json::to_value(&published).map_err(|error| Failure::of(&error, ""))?;
        value["dry_run"] = json!(args.dry_run);
        render::json(&value)?;
    } else {
        show(session, args, &published);
    }
    Ok(exit::DONE)
}

/// The built pack, which is built first when a folder was named.
fn component(session: &Session, args: &Publish) -> Result<PathBuf, Failure> {
    let path = session.start.join(&args.source);
    Ok(if path.is_dir() { build::make(session, &args.source, None)?.path } else { path })
}

/// The path as a person can pass it on, without `..`. What does not exist yet stays as it was written.
fn whole(path: PathBuf) -> PathBuf {
    match (std::fs::canonicalize(&path), path.parent(), path.file_name()) {
        (Ok(path), ..) => path,
        (_, Some(parent), Some(name)) => whole(parent.to_owned()).join(name),
        _ => path,
    }
}

fn show(session: &Session, args: &Publish, published: &Published) {
    let Published { pack, version, component, index, .. } = published;
    let what = format!("{pack} {version}");
    if args.dry_run {
        session.ui.note(&if published.changed {
            format!("would publish {what} to {}", index.display())
        } else {
            format!("{what} is in {} already", index.display())
        });
        session.ui.note("Nothing was changed (--dry-run).");
    } else if published.changed {
        session.ui.done(&format!("published {what} to {}", index.display()));
    } else {
        session.ui.done(&format!("{what} is in {} already; nothing was changed", index.display()));
    }
    let tools: Vec<String> = published.tools.iter().map(|(name, risk)| format!("{name} [{}]", risk.as_str())).collect();
    render::line(&format!("component  {} ({} bytes)", component.display(), published.size));
    render::line(&format!("digest     {}", published.sha256));
    render::line(&format!("tools      {}", tools.join(", ")));
    render::line(&format!("install    rig install {pack} --index-url {}", index.display()));
}

/// The pack and the version are those of the manifest, or of a built pack.
fn yank(session: &Session, args: &Publish, folder: &std::path::Path, options: &Options) -> Result<u8, Failure> {
    let path = session.start.join(&args.source);
    let info = if path.is_dir() {
        build::read_manifest(&path)?.pack
    } else {
        let bytes = std::fs::read(&path).map_err(|error| {
            Failure::of(&error, "name the pack's folder or a built pack")
                .context(&format!("{} cannot be read", path.display()))
        })?;
        inspect::inspect(&bytes, &rig_version())?.pack.manifest.pack
    };
    let changed = publish::yank(folder, &info.id, &info.version, options)?;
    let what = format!("{} {}", info.id, info.version);
    if args.json {
        let (pack, version) = (&info.id, &info.version);
        render::json(
            &json!({ "pack": pack, "version": version, "yanked": true, "changed": changed, "dry_run": args.dry_run }),
        )?;
    } else if !changed {
        session.ui.done(&format!("{what} was withdrawn before; nothing was changed"));
    } else if args.dry_run {
        session.ui.note(&format!("would withdraw {what}"));
        session.ui.note("Nothing was changed (--dry-run).");
    } else {
        session.ui.done(&format!("withdrew {what}: projects that have it keep it, and nobody gets it any more"));
    }
    Ok(exit::DONE)
}
