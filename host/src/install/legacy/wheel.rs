//! What a wheel says of itself: its name and version, and the hash of each file that it installs. Read from bytes whose hash is known;
//! nothing of it is run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Cursor, Read as _},
    path::{Component, Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rig_specs::Sha256;
use zip::ZipArchive;

/// The longest `RECORD`: one line a file, and the largest SDKs have some ten thousand files.
const MAX_RECORD: u64 = 32 << 20;

/// A wheel that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wheel {
    /// As it is compared: lower case, with hyphens.
    pub(super) name: String,
    /// As the file's name writes it.
    pub(super) version: String,
    /// What it puts into the folder of packages, with the hash of each file. Programs and documents that it puts elsewhere are left out.
    pub(super) files: BTreeMap<String, Sha256>,
}

/// The name of a distribution as names are compared: runs of `-`, `_` and `.` are one hyphen.
pub(super) fn normal(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for part in name.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
        if !normal.is_empty() {
            normal.push('-');
        }
        normal.push_str(&part.to_ascii_lowercase());
    }
    normal
}

/// The name and the version in the name of a wheel.
pub(super) fn of_file(file: &str) -> Option<(String, String)> {
    let stem = file.strip_suffix(".whl")?;
    let parts: Vec<&str> = stem.split('-').collect();
    let safe = |part: &&str| !part.is_empty() && !part.contains(['/', '\\']);
    (matches!(parts.len(), 5 | 6) && parts.iter().all(safe)).then(|| (normal(parts[0]), parts[1].to_owned()))
}

impl Wheel {
    /// Reads a wheel.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Self, String> {
        let (name, version) = of_file(file).ok_or("its name is not that of a wheel")?;
        let broken = |error: zip::result::ZipError| format!("it is no sound zip file: {error}");
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        let is_record = |path: &&str| {
            path.strip_suffix(".dist-info/RECORD").is_some_and(|stem| {
                stem.rsplit_once('-').is_some_and(|(found, _)| normal(found) == name) && !stem.contains('/')
            })
        };
        let names = zip.file_names().filter_map(|name| name.ok().map(std::borrow::Cow::into_owned));
        let record = names.into_iter().find(|name| is_record(&name.as_str())).ok_or("it has no list of its files")?;
        let mut text = String::new();
        let read = zip.by_name(&record).map_err(broken)?.take(MAX_RECORD).read_to_string(&mut text);
        read.map_err(|error| format!("the list of its files cannot be read: {error}"))?;
        let files = text.lines().filter_map(line).filter_map(|(path, hash)| Some((installed(&path)?, hash))).collect();
        Ok(Self { name, version, files })
    }

    /// The first file that is not as the wheel has it, in a folder of packages.
    pub(super) fn changed(&self, packages: &Path) -> Option<PathBuf> {
        self.files.iter().find_map(|(path, hash)| {
            let path = packages.join(path);
            let same = fs::read(&path).is_ok_and(|bytes| Sha256::of(&bytes) == *hash);
            (!same).then_some(path)
        })
    }

    /// What stands at the top of a folder of packages because of it.
    pub(super) fn top(&self) -> BTreeSet<&str> {
        self.files.keys().filter_map(|path| path.split('/').next()).collect()
    }
}

/// Unpacks a wheel into a folder of packages.
///
/// # Errors
/// Why it cannot be unpacked.
pub(super) fn unpack(bytes: &[u8], packages: &Path) -> Result<(), String> {
    let failed = |error: zip::result::ZipError| error.to_string();
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(failed)?;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(failed)?;
        let Some(path) = (!entry.is_dir()).then(|| installed(&entry.name().ok()?)).flatten() else { continue };
        let path = packages.join(path);
        let write = |entry: &mut dyn std::io::Read| {
            fs::create_dir_all(path.parent().unwrap_or(packages))?;
            std::io::copy(entry, &mut fs::File::create(&path)?)
        };
        write(&mut entry).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Where a file of a wheel goes in the folder of packages; nothing when it goes elsewhere or has a path that no wheel has.
fn installed(path: &str) -> Option<String> {
    let path = match path.split_once(".data/") {
        Some((stem, rest)) if !stem.contains('/') => {
            rest.strip_prefix("purelib/").or_else(|| rest.strip_prefix("platlib/"))?
        }
        _ => path,
    };
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    (!path.is_empty() && Path::new(path).components().all(plain)).then(|| path.to_owned())
}

/// One line of `RECORD`: a path that may be quoted, the hash, the size.
fn line(text: &str) -> Option<(String, Sha256)> {
    let (path, rest) = match text.strip_prefix('"') {
        Some(quoted) => {
            let (path, rest) = quoted.split_once("\",")?;
            (path.replace("\"\"", "\""), rest)
        }
        None => text.split_once(',').map(|(path, rest)| (path.to_owned(), rest))?,
    };
    let hash = rest.split(',').next()?.strip_prefix("sha256=")?;
    let bytes = <[u8; 32]>::try_from(URL_SAFE_NO_PAD.decode(hash.trim_end_matches('=')).ok()?).ok()?;
    Some((path, hex::encode(bytes).parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_wheels_are_read() {
        for (file, expected) in [
            ("rig_core-0.1.0-py3-none-any.whl", Some(("rig-core", "0.1.0"))),
            ("Zope.Interface-5.0-1-cp311-cp311-manylinux_2_17_x86_64.whl", Some(("zope-interface", "5.0"))),
            ("rig-core-0.1.0.tar.gz", None),
            ("x.whl", None),
            ("../x-1-py3-none-any.whl", None),
        ] {
            let expected = expected.map(|(name, version)| (name.to_owned(), version.to_owned()));
            assert_eq!(of_file(file), expected, "{file}");
        }
        assert_eq!(normal("Foo__.-Bar"), "foo-bar");
    }

    #[test]
    fn files_go_into_the_folder_of_packages_only() {
        for (path, expected) in [
            ("a/b.py", Some("a/b.py")),
            ("x-1.0.data/purelib/a.py", Some("a.py")),
            ("x-1.0.data/scripts/run", None),
            ("../a.py", None),
            ("/etc/a.py", None),
            ("a/../../b.py", None),
        ] {
            assert_eq!(installed(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn records_are_read() {
        let hash = URL_SAFE_NO_PAD.encode(Sha256::of(b"x").as_bytes());
        let of_x = Sha256::of(b"x");
        for (text, expected) in [
            (format!("a.py,sha256={hash},1"), Some(("a.py", of_x))),
            (format!("\"a,\"\"b.py\",sha256={hash},1"), Some(("a,\"b.py", of_x))),
            ("a-1.dist-info/RECORD,,".to_owned(), None),
            ("a.py,md5=00,1".to_owned(), None),
        ] {
            assert_eq!(line(&text), expected.map(|(path, hash)| (path.to_owned(), hash)), "{text}");
        }
    }
}
