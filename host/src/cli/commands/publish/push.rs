//! `rig publish --to oci://…`: builds a pack, unless it is built, and pushes it to a registry.

use rig_host::{
    author::push::{self, Options, Pushed},
    install::{oci::Reference, reference},
};
use serde_json::json;

use super::component;
use crate::cli::{
    args::Publish,
    render,
    report::{Failure, exit},
    session::Session,
};

pub(super) fn run(session: &Session, args: &Publish, to: &str) -> Result<u8, Failure> {
    if args.yank {
        return Err(Failure::usage("a registry has no withdrawn versions: take the tag away with its own tools"));
    }
    let to = reference(to).map_err(|error| Failure::from(error).into_usage())?;
    if to.digest.is_some() {
        return Err(Failure::usage("--to: what is pushed gets the digest that it has; name the repository, or a tag"));
    }
    let options = Options {
        tags: args.tag.clone(),
        publisher: args.publisher.clone(),
        dry_run: args.dry_run,
        offline: session.offline,
    };
    let component = component(session, args)?;
    let gate = session.gate_anywhere()?;
    let pushed = Session::block_on(push::push(&gate, &to, &component, &options))??;
    if args.json {
        let mut value = serde_json::to_value(&pushed).map_err(|error| Failure::of(&error, ""))?;
        value["dry_run"] = json!(args.dry_run);
        render::json(&value)?;
    } else {
        show(session, args, &to, &pushed);
    }
    Ok(exit::DONE)
}

fn show(session: &Session, args: &Publish, to: &Reference, pushed: &Pushed) {
    let what = format!("{} {}", pushed.pack, pushed.version);
    let place = to.bare();
    match (args.dry_run, pushed.changed) {
        (true, true) => session.ui.note(&format!("would push {what} to {place}")),
        (true, false) => session.ui.note(&format!("{what} is in {place} already")),
        (false, true) => session.ui.done(&format!("pushed {what} to {place}")),
        (false, false) => session.ui.done(&format!("{what} is in {place} already; nothing was changed")),
    }
    if args.dry_run {
        session.ui.note("Nothing was changed (--dry-run).");
    }
    let tags: Vec<String> = pushed.tags.iter().map(|tag| tag.name.clone()).collect();
    let tools: Vec<String> = pushed.tools.iter().map(|(name, risk)| format!("{name} [{}]", risk.as_str())).collect();
    render::line(&format!("tags       {}", tags.join(", ")));
    render::line(&format!("manifest   {}", pushed.manifest));
    render::line(&format!("digest     {} ({} bytes)", pushed.sha256, pushed.size));
    render::line(&format!("tools      {}", tools.join(", ")));
    render::line(&format!("install    rig install {}", to.tagged(&tags[0])));
}
