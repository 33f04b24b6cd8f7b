//! The packs that the program itself carries: an index and its components, found at the end of its own file. They are installed as any
//! others are: by the sha256 that the index names, inspected, agreed to, copied into the store.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use futures_util::future::BoxFuture;
use rig_specs::{
    Sha256,
    bundle::{TAIL, UNMARKED, directory_length, is_marked, places},
    index::FILE,
};
use url::Url;

use super::net::{Download, Downloader, FromRegistry, NoAnswer, Rest};
use crate::egress::RegistryRequest;

/// How the index of the program is named: in `index.url`, in `rig.lock`, on the command line.
pub const LOCATION: &str = "bundled:";

/// The scheme of the URLs of what is in it.
pub const SCHEME: &str = "bundled";

/// Changed in the program's file by who puts packs behind it.
static MARK: [u8; UNMARKED.len()] = UNMARKED;

/// What a program carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    program: PathBuf,
    files: BTreeMap<String, (Range<u64>, Sha256)>,
}

impl Bundle {
    /// What this program carries, whose own file this is. None when it was never given any.
    ///
    /// # Errors
    /// As [`Bundle::of`], and when its packs were cut off.
    pub fn own(program: &Path) -> io::Result<Option<Self>> {
        let found = Self::of(program)?;
        // Looked at in memory, and not taken for what it was when it was compiled.
        if found.is_none() && is_marked(std::hint::black_box(&MARK)) {
            let why = "they are gone from its end: `strip` and interrupted copies cut them off; use the program as it was released";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(found)
    }

    /// Looks at the end of a program. None when nothing stands there.
    ///
    /// # Errors
    /// When the program cannot be read, or what stands there is damaged.
    pub fn of(program: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(program)?;
        let length = file.metadata()?.len();
        if length < TAIL as u64 {
            return Ok(None);
        }
        let mut tail = [0; TAIL];
        file.seek(SeekFrom::End(-i64::try_from(TAIL).unwrap_or(0)))?;
        file.read_exact(&mut tail)?;
        let Some(size) = directory_length(tail) else { return Ok(None) };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the directory of the packs in it is damaged");
        let start = length.checked_sub(TAIL as u64 + size).ok_or_else(damaged)?;
        let directory = read(&mut file, &(start..start + size))?;
        let files = places(&directory, length).ok_or_else(damaged)?;
        Ok(Some(Self { program: program.to_owned(), files }))
    }

    /// How many packs there are.
    #[must_use]
    pub fn packs(&self) -> usize {
        self.files.len().saturating_sub(1)
    }

    /// The bytes of a file, whose hash is checked. None when there is none of that name.
    fn file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some((range, sha256)) = self.files.get(name) else { return Ok(None) };
        let bytes = read(&mut File::open(&self.program)?, range)?;
        if Sha256::of(&bytes) != *sha256 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("`{name}` in it is damaged")));
        }
        Ok(Some(bytes))
    }

    /// What a URL names.
    ///
    /// # Errors
    /// A sentence about why there is nothing, and what to do next.
    pub(super) fn open(bundle: Option<&Self>, url: &Url) -> Result<Vec<u8>, NoAnswer> {
        let no = |why: String, hint: &str| NoAnswer { why, hint: Some(hint.into()) };
        let Some(bundle) = bundle else {
            return Err(no(
                "this rig carries no packs".into(),
                "use a rig that does (`cargo xtask dist` makes one of a checkout), or name another index: `index.url` in rig.yaml, or \
                 `--index-url`",
            ));
        };
        match bundle.file(url.path().trim_start_matches('/')) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(no(
                "this rig carries no such version".into(),
                "`rig packs --available` lists what it carries; install one of those, or use the rig that `rig_version` in rig.lock names",
            )),
            Err(error) => Err(no(format!("{}: {error}", bundle.program.display()), "install rig again")),
        }
    }
}

/// The URL of the index of a program.
#[must_use]
pub fn index_url() -> Option<Url> {
    Url::parse(&format!("{SCHEME}:///{FILE}")).ok()
}

fn read(file: &mut File, range: &Range<u64>) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == range.end - range.start { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// A way to the network, and what the program carries beside it.
pub struct WithBundle<'a> {
    /// The network.
    pub network: &'a dyn Downloader,
    /// What the program carries.
    pub bundle: Option<&'a Bundle>,
}

impl Downloader for WithBundle<'_> {
    fn download<'a>(&'a self, url: &'a Url, rest: Option<&'a Rest>) -> BoxFuture<'a, Result<Download, NoAnswer>> {
        self.network.download(url, rest)
    }

    fn registry<'a>(&'a self, request: &'a RegistryRequest) -> BoxFuture<'a, Result<FromRegistry, NoAnswer>> {
        self.network.registry(request)
    }

    fn bundle(&self) -> Option<&Bundle> {
        self.bundle
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn program(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rig");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn url(name: &str) -> Url {
        index_url().unwrap().join(name).unwrap()
    }

    #[test]
    fn what_a_program_carries() {
        let files =
            BTreeMap::from([(FILE.to_owned(), b"{}".to_vec()), ("echo-1.0.0.wasm".to_owned(), b"echo".to_vec())]);
        let (_folder, path) = program(&[b"program".to_vec(), rig_specs::bundle::encode(&files)].concat());
        let bundle = Bundle::of(&path).unwrap().unwrap();
        assert_eq!(bundle.packs(), 1);
        assert_eq!(Bundle::open(Some(&bundle), &url("echo-1.0.0.wasm")), Ok(b"echo".to_vec()));
        assert_eq!(Bundle::open(Some(&bundle), &index_url().unwrap()), Ok(b"{}".to_vec()));
        let none = Bundle::open(Some(&bundle), &url("echo-2.0.0.wasm")).unwrap_err();
        assert_eq!(none.why, "this rig carries no such version");

        // A changed byte is told, and not believed to be a pack.
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(4).position(|window| window == b"echo").unwrap();
        bytes[at] = b'E';
        fs::write(&path, &bytes).unwrap();
        let damaged = Bundle::open(Some(&bundle), &url("echo-1.0.0.wasm")).unwrap_err();
        assert!(damaged.why.ends_with("`echo-1.0.0.wasm` in it is damaged"), "{}", damaged.why);
    }

    #[test]
    fn a_program_without_packs() {
        for bytes in [&b""[..], b"short", &[0; 100]] {
            let (_folder, path) = program(bytes);
            assert_eq!(Bundle::of(&path).unwrap(), None);
        }
        assert_eq!(Bundle::open(None, &url("x")).unwrap_err().why, "this rig carries no packs");
        // A tail without what it speaks of.
        let files = BTreeMap::from([(FILE.to_owned(), b"{}".to_vec())]);
        let bundle = rig_specs::bundle::encode(&files);
        let (_folder, path) = program(&bundle[bundle.len() - TAIL..]);
        assert!(Bundle::of(&path).unwrap_err().to_string().contains("damaged"));
    }
}
