//! A `rig` that carries the published example packs, so that `rig install NAME` works at once and without a network.
//!
//! Which packs those are is said by the packs: all in `example-packs/` but those with `publish = false` in their manifests. They are
//! put behind the end of the program (`rig_specs::bundle`), so the same build of rig serves with packs and without: compiled in, they would
//! take a second release build, since it is rig that builds them. `strip` cuts them off, and a rig that lost them says so; a release is
//! stripped before. They are not compressed: a dozen packs are a few hundredths of the program, and compressing them would save half.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use rig_specs::{Sha256, bundle};
use serde_json::Value;

use crate::{
    checkout::{Checkout, Profile},
    fail::Fail,
    index, packs, run,
};

/// Builds everything, puts it together, and looks whether the result offers its packs.
pub(crate) fn run(checkout: &Checkout, profile: Profile) -> Result<(), Fail> {
    let toolchain = crate::toolchain(checkout)?;
    let rig = checkout.build(profile, &["rig"])?;
    let mut packs = packs::examples(checkout, &rig, &toolchain)?;
    packs.retain(|(_, inspected)| inspected.is_published());
    let out = checkout.target().join(if profile == Profile::Release { "dist" } else { "dist-dev" });
    let made = put_together(&rig, &checkout.packs(), &packs, &out, &generated_at(checkout)?)?;
    let offered = offered(&made)?;
    if offered != packs.len() {
        return Err(Fail::new(format!("{} offers {offered} packs instead of {}", made.display(), packs.len())));
    }
    let bytes = fs::read(&made).map_err(Fail::io("read", &made))?;
    let carried: usize =
        fs::metadata(&rig).map_or(0, |program| bytes.len() - usize::try_from(program.len()).unwrap_or(0));
    println!("{}", made.display());
    println!("{} bytes, of which {carried} are {offered} packs", bytes.len());
    println!("{}", Sha256::of(&bytes));
    Ok(())
}

/// Writes the program with the packs behind it.
fn put_together(
    rig: &Path,
    built: &Path,
    packs: &[(String, index::Inspected)],
    out: &Path,
    generated_at: &str,
) -> Result<PathBuf, Fail> {
    let mut files = BTreeMap::new();
    for (name, _) in packs {
        let path = built.join(name);
        files.insert(name.clone(), fs::read(&path).map_err(Fail::io("read", &path))?);
    }
    let index = index::of(packs, generated_at.to_owned())?;
    files.insert(index::FILE.to_owned(), index.to_text().into_bytes());
    let program = fs::read(rig).map_err(Fail::io("read", rig))?;
    let program = bundle::attach(program, &files);
    let program = program.ok_or_else(|| Fail::new(format!("{} has no mark of a rig without packs", rig.display())))?;

    fs::create_dir_all(out).map_err(Fail::io("make", out))?;
    let (new, made) = (out.join(".rig.new"), out.join("rig"));
    fs::write(&new, program).map_err(Fail::io("write", &new))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).map_err(Fail::io("write", &new))?;
    // By rename: a program that runs cannot be written to.
    fs::rename(&new, &made).map_err(Fail::io("write", &made))?;
    Ok(made)
}

/// When the packs were released: the time of the last commit, so that the same checkout gives the same bytes.
fn generated_at(checkout: &Checkout) -> Result<String, Fail> {
    let given = env::var("SOURCE_DATE_EPOCH").ok().filter(|given| given.parse::<u64>().is_ok());
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(checkout.root());
    let seconds = given.or_else(|| run::output(&mut git).ok()).unwrap_or_else(|| "0".into());
    let at = format!("@{}", seconds.trim());
    Ok(run::output(Command::new("date").args(["-u", "-d", &at, "+%Y-%m-%dT%H:%M:%SZ"]))?.trim().to_owned())
}

/// How many packs a rig offers in a new project.
fn offered(rig: &Path) -> Result<usize, Fail> {
    let project = rig.with_file_name("check");
    let _ = fs::remove_dir_all(&project);
    fs::create_dir_all(&project).map_err(Fail::io("make", &project))?;
    let rig = |words: &[&str]| {
        let mut command = Command::new(rig);
        command.args(words).args(["--offline", "--quiet"]).current_dir(&project).env("RIG_HOME", project.join("home"));
        command
    };
    run::ok(&mut rig(&["init"]))?;
    let listed = run::output(&mut rig(&["packs", "--available", "--json"]))?;
    let _ = fs::remove_dir_all(&project);
    let listed: Value =
        serde_json::from_str(&listed).map_err(|error| Fail::new(format!("no list of packs: {error}")))?;
    Ok(listed.as_array().map_or(0, Vec::len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packs_stand_behind_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let (rig, built, out) = (dir.path().join("rig"), dir.path().join("packs"), dir.path().join("dist"));
        fs::write(&rig, [b"the program ", &bundle::UNMARKED[..]].concat()).unwrap();
        fs::create_dir(&built).unwrap();
        fs::write(built.join("one-1.0.0.wasm"), "component").unwrap();
        let inspected = serde_json::json!({
            "sha256": Sha256::of(b"component"), "size": 9, "tools": [],
            "manifest": { "pack": { "id": "one", "version": "1.0.0", "display-name": "One", "description": "The first." } },
        });
        let inspected: index::Inspected = serde_json::from_value(inspected).unwrap();
        assert!(inspected.is_published());
        let packs = [("one-1.0.0.wasm".to_owned(), inspected)];
        let put = || put_together(&rig, &built, &packs, &out, "2026-11-01T00:00:00Z").unwrap();
        let made = fs::read(put()).unwrap();
        assert!(made.starts_with(b"the program"));
        let length = bundle::directory_length(*made.last_chunk().unwrap()).unwrap();
        let end = made.len() - bundle::TAIL;
        let directory = &made[end - usize::try_from(length).unwrap()..end];
        let places = bundle::places(directory, made.len() as u64).unwrap();
        let (range, _) = &places["one-1.0.0.wasm"];
        assert_eq!(&made[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()], b"component");
        assert!(places.contains_key(index::FILE) && places.len() == 2);
        assert_eq!(fs::read(put()).unwrap(), made, "the same again is the same bytes");
        assert_eq!(fs::metadata(out.join("rig")).unwrap().permissions().mode() & 0o777, 0o755);
    }
}
