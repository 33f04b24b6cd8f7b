//! Fetches what services publish of their APIs: single files out of packages on npm, each kept only if it is the one that is pinned.
//! The packages themselves are thrown away: they are clients, many times as large, and nothing of them is run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest as _, Sha256};

use crate::{fail::Fail, run};

/// What says which files.
pub(super) const PINS: &str = "pins.txt";

/// A line of the pins.
#[derive(Debug, PartialEq, Eq)]
struct Pin<'a> {
    package: &'a str,
    version: &'a str,
    file: &'a str,
    sha256: &'a str,
}

impl Pin<'_> {
    /// Where the file is kept: by its own name.
    fn kept(&self, dir: &Path) -> PathBuf {
        dir.join(self.file.rsplit('/').next().unwrap_or(self.file))
    }

    /// What npm calls the archive of the package.
    fn archive(&self) -> String {
        format!("{}-{}.tgz", self.package.trim_start_matches('@').replace('/', "-"), self.version)
    }
}

fn pins(text: &str) -> Result<Vec<Pin<'_>>, Fail> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match *line.split_whitespace().collect::<Vec<_>>() {
            [package, version, file, sha256] => Ok(Pin { package, version, file, sha256 }),
            _ => Err(Fail::new(format!("{PINS}: a line is package, version, file and sha256, not: {line}"))),
        })
        .collect()
}

/// Whether every file is there. That each is the one that is pinned was looked at when it was fetched.
pub(super) fn are_there(dir: &Path) -> bool {
    let text = fs::read_to_string(dir.join(PINS)).unwrap_or_default();
    pins(&text).is_ok_and(|pins| pins.iter().all(|pin| pin.kept(dir).is_file()))
}

pub(super) fn install(dir: &Path) -> Result<(), Fail> {
    let path = dir.join(PINS);
    let text = fs::read_to_string(&path).map_err(Fail::io("read", &path))?;
    let pins = pins(&text)?;
    let archives = dir.join("archives");
    let fetched = pins.iter().try_for_each(|pin| take(pin, dir, &archives));
    let _ = fs::remove_dir_all(&archives);
    fetched
}

/// Fetches the package, unless it was for a pin before, and keeps the one file.
fn take(pin: &Pin<'_>, dir: &Path, archives: &Path) -> Result<(), Fail> {
    let archive = archives.join(pin.archive());
    if !archive.is_file() {
        fs::create_dir_all(archives).map_err(Fail::io("make", archives))?;
        let mut npm = Command::new("npm");
        npm.args(["pack", "--ignore-scripts", "--silent", &format!("{}@{}", pin.package, pin.version)]);
        run::ok(npm.current_dir(archives))
            .map_err(|fail| fail.hint("install Node with npm; the registry that npm uses must be in reach"))?;
    }
    let mut tar = Command::new("tar");
    tar.args(["-xzOf"]).arg(&archive).arg(format!("package/{}", pin.file));
    let text = run::output(&mut tar)?;
    let found = hex::encode(Sha256::digest(&text));
    if found != pin.sha256 {
        let Pin { package, version, file, sha256 } = pin;
        return Err(Fail::new(format!(
            "{file} of {package} {version} should have the sha256 {sha256}, but has {found}"
        )));
    }
    let kept = pin.kept(dir);
    fs::write(&kept, text).map_err(Fail::io("write", &kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive as npm makes them, where [`take`] looks before it asks npm.
    fn archived(archives: &Path, pin: &Pin<'_>, text: &str) {
        let source = tempfile::tempdir().unwrap();
        let file = source.path().join("package").join(pin.file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        fs::create_dir_all(archives).unwrap();
        let mut tar = Command::new("tar");
        run::ok(tar.arg("-czf").arg(archives.join(pin.archive())).arg("-C").arg(source.path()).arg("package")).unwrap();
    }

    #[test]
    fn a_file_that_is_not_the_pinned_one_is_not_kept() {
        let _alone = run::alone();
        let scratch = tempfile::tempdir().unwrap();
        let (dir, archives) = (scratch.path(), scratch.path().join("archives"));
        let sha256 = hex::encode(Sha256::digest("{}"));
        let line = format!("# a comment\n\n@some/thing  1.2.3  api/one.json  {sha256}\n");
        let [pin] = &pins(&line).unwrap()[..] else { panic!("one pin") };
        assert_eq!(pin.archive(), "some-thing-1.2.3.tgz");
        fs::write(dir.join(PINS), &line).unwrap();

        archived(&archives, pin, "{ }");
        let error = take(pin, dir, &archives).unwrap_err().to_string();
        let expected = "error: api/one.json of @some/thing 1.2.3 should have the sha256 44136fa3";
        assert!(error.starts_with(expected) && !are_there(dir), "{error}");

        archived(&archives, pin, "{}");
        take(pin, dir, &archives).unwrap();
        assert!(are_there(dir));
        assert_eq!(fs::read_to_string(dir.join("one.json")).unwrap(), "{}");
    }

    #[test]
    fn a_line_that_is_no_pin_is_told() {
        let error = pins("some 1.0.0 file.json").unwrap_err().to_string();
        assert!(error.contains("a line is package, version, file and sha256"), "{error}");
    }

    #[test]
    fn what_is_pinned_can_be_read() {
        let text = include_str!("../../../tests/clients/descriptions/pins.txt");
        let pins = pins(text).unwrap();
        assert!(pins.len() >= 4 && pins.iter().all(|pin| pin.sha256.len() == 64), "{pins:?}");
    }
}
