//! Reading the index: what is refused and how, and when the copy is used.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use rig_specs::Sha256;

use super::{cache::Meta, *};
use crate::{
    install::{
        Trust,
        net::fake::{Fake, run},
    },
    project,
};

const URL: &str = "https://index.test/pack_index.json";
const SOUND: &str = r#"{ "api_version": 1, "generated_at": "2026-01-01T00:00:00Z", "packs": {} }"#;

struct Setup {
    folder: tempfile::TempDir,
    net: Fake,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        project::init(folder.path(), Some(URL)).unwrap();
        let net = Fake::default();
        net.set(URL, 200, SOUND);
        Self { folder, net }
    }

    fn load(&self, mode: Mode) -> Result<LoadedIndex, IndexError> {
        let project = Project::open(self.folder.path()).unwrap();
        self.load_in(&project, None, Path::new("/"), mode)
    }

    /// These indexes are not signed.
    fn load_in(
        &self,
        project: &Project,
        given: Option<&str>,
        cwd: &Path,
        mode: Mode,
    ) -> Result<LoadedIndex, IndexError> {
        let trust = Trust { allow_unsigned: true, keys: Vec::new() };
        let options = Options { index_url: given.map(Into::into), mode, trust, ..Options::new(cwd.to_owned()) };
        run(load(&self.net, &Home::new(self.folder.path().join("home")), project, &options))
    }

    fn cached(&self, name: &str) -> PathBuf {
        self.folder.path().join(".rig/cache").join(name)
    }

    fn age(&self, hours: i64) {
        self.describe(|meta| meta.fetched_at = (now() - SignedDuration::from_hours(hours)).to_string());
    }

    /// Describes the copy otherwise, as a rig that thinks so would have.
    fn describe(&self, change: impl FnOnce(&mut Meta)) {
        let path = self.cached("pack_index.meta.json");
        let mut meta: Meta = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut meta);
        fs::write(path, serde_json::to_vec(&meta.sealed()).unwrap()).unwrap();
    }
}

#[test]
fn what_is_not_an_index_is_refused_with_its_own_words() {
    let many = "x".repeat(1 << 20);
    let cases: [(u16, Option<&'static str>, String, &str); 12] = [
        (200, None, "<!DOCTYPE html>".into(), "the index https://index.test/pack_index.json is an HTML page, not JSON"),
        (
            200,
            Some("text/html; charset=utf-8"),
            "{}".into(),
            "the index https://index.test/pack_index.json is an HTML page, not JSON",
        ),
        (
            404,
            None,
            "no".into(),
            "cannot fetch https://index.test/pack_index.json: the server answered with status 404",
        ),
        (200, None, " \n".into(), "the index https://index.test/pack_index.json is empty"),
        (
            200,
            None,
            "{\n  oops".into(),
            "the index https://index.test/pack_index.json is not JSON: line 2: key must be a string",
        ),
        (200, None, "[]".into(), "the index https://index.test/pack_index.json has api_version none; this rig reads 1"),
        (
            200,
            None,
            "5".into(),
            "the index https://index.test/pack_index.json is malformed: `.` (line 1): invalid type",
        ),
        (200, None, "{}".into(), "the index https://index.test/pack_index.json has api_version none; this rig reads 1"),
        (
            200,
            None,
            r#"{"api_version":2}"#.into(),
            "the index https://index.test/pack_index.json has api_version 2; this rig reads 1",
        ),
        (
            200,
            None,
            r#"{"api_version":1,"generated_at":"x","packs":{"a":{"display_name":5,"description":""}}}"#.into(),
            "the index https://index.test/pack_index.json is malformed: `packs.a.display_name` (line 1): invalid type: integer `5`, expected a string",
        ),
        (
            200,
            None,
            r#"{"api_version":1,"generated_at":"x","packs":{"A":{}}}"#.into(),
            "the index https://index.test/pack_index.json is malformed: `packs.A` (line 1): `A` is not a pack id",
        ),
        (200, None, "{".repeat(100_000), "the index https://index.test/pack_index.json is not JSON: line 1: "),
    ];
    for (status, kind, body, message) in cases {
        let setup = Setup::new();
        setup.net.set_answer(URL, (status, kind, vec![Ok(Bytes::from(body.clone()))]));
        let error = setup.load(Mode::Cached).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert!(!setup.cached("pack_index.json").exists(), "{error}");
    }
    let setup = Setup::new();
    let chunks = (0..100).map(|_| Ok(Bytes::from(many.clone()))).collect();
    setup.net.set_answer(URL, (200, None, chunks));
    assert_eq!(
        setup.load(Mode::Cached).unwrap_err().to_string(),
        "the index https://index.test/pack_index.json is larger than 32 MiB, the most that rig reads"
    );
}

#[test]
fn a_fresh_copy_is_used_and_an_old_one_only_when_the_network_fails() {
    let setup = Setup::new();
    assert!(matches!(setup.load(Mode::Offline), Err(IndexError::NoCopy { .. })));
    for (mode, asked) in [(Mode::Cached, 1), (Mode::Cached, 1), (Mode::Offline, 1), (Mode::Refresh, 2)] {
        assert_eq!(setup.load(mode).unwrap().warning, None);
        assert_eq!(setup.net.count(), asked, "{mode:?}");
    }
    setup.age(23);
    setup.load(Mode::Cached).unwrap();
    assert_eq!(setup.net.count(), 2);
    setup.age(24);
    let warning = setup.load(Mode::Offline).unwrap().warning.unwrap();
    assert!(warning.starts_with("working offline with the index of "), "{warning}");
    setup.load(Mode::Cached).unwrap();
    assert_eq!(setup.net.count(), 3);

    // A copy from the future is not trusted to be fresh.
    setup.age(-2);
    setup.load(Mode::Cached).unwrap();
    assert_eq!(setup.net.count(), 4);

    setup.age(48);
    setup.net.clear();
    let warning = setup.load(Mode::Cached).unwrap().warning.unwrap();
    assert!(
        warning.starts_with("cannot fetch https://index.test/pack_index.json: connection refused; using the index of"),
        "{warning}"
    );
    setup.net.set(URL, 404, "");
    assert!(matches!(setup.load(Mode::Cached), Err(IndexError::Net(NetError::Status { status: 404, .. }))));
    setup.net.clear();
    assert!(matches!(setup.load(Mode::Refresh), Err(IndexError::Net(NetError::Failed { .. }))));
}

#[test]
fn a_changed_copy_is_refused_until_it_is_refreshed() {
    let setup = Setup::new();
    setup.load(Mode::Cached).unwrap();
    let path = setup.cached("pack_index.json");
    let changed = SOUND.replace("2026", "2027");
    fs::write(&path, &changed).unwrap();
    for mode in [Mode::Cached, Mode::Offline] {
        let error = setup.load(mode).unwrap_err();
        let (expected, found) = (Sha256::of(SOUND.as_bytes()), Sha256::of(changed.as_bytes()));
        assert_eq!(
            error.to_string(),
            format!("{} was changed: it should have {expected}, but has {found}", path.display())
        );
        assert!(error.hint().unwrap().contains("--refresh"));
    }
    setup.load(Mode::Refresh).unwrap();
    assert!(setup.load(Mode::Cached).is_ok());

    // A copy without a readable description is no copy: it is fetched again, as after a crash while it was written.
    for damage in [None, Some("{"), Some("{}")] {
        let meta = setup.cached("pack_index.meta.json");
        fs::remove_file(&meta).unwrap();
        if let Some(text) = damage {
            fs::write(&meta, text).unwrap();
        }
        assert!(matches!(setup.load(Mode::Offline), Err(IndexError::NoCopy { .. })));
        setup.load(Mode::Cached).unwrap();
    }
}

#[test]
fn a_copy_remembers_where_it_came_from_and_gets_no_rights_by_it() {
    let setup = Setup::new();
    setup.load(Mode::Cached).unwrap();
    let moved = |to: &str| setup.describe(|meta| meta.base = to.into());
    moved("https://cdn.test/v1/i.json");
    assert_eq!(setup.load(Mode::Offline).unwrap().base.as_str(), "https://cdn.test/v1/i.json");
    moved("file:///etc/i.json");
    assert!(matches!(setup.load(Mode::Offline), Err(IndexError::NoCopy { .. })));

    // Without the seal the same change is seen.
    let path = setup.cached("pack_index.meta.json");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("file:///etc/i.json", "https://cdn.test/v1/i.json"))
        .unwrap();
    let error = setup.load(Mode::Cached).unwrap_err();
    assert!(matches!(&error, IndexError::CopyChanged { path: named, .. } if *named == path), "{error}");
}

#[test]
fn a_copy_of_another_index_is_not_used() {
    let setup = Setup::new();
    setup.load(Mode::Cached).unwrap();
    let project = Project::open(setup.folder.path()).unwrap();
    let other = "https://other.test/i.json";
    let error = setup.load_in(&project, Some(other), Path::new("/"), Mode::Offline).unwrap_err();
    assert!(matches!(error, IndexError::NoCopy { .. }), "{error}");
}

#[test]
fn files_are_read_as_they_are() {
    let setup = Setup::new();
    let project = Project::open(setup.folder.path()).unwrap();
    fs::write(setup.folder.path().join("i.json"), SOUND).unwrap();
    let given = |text: &str| setup.load_in(&project, Some(text), setup.folder.path(), Mode::Offline);
    let loaded = given("i.json").unwrap();
    assert!(loaded.location.starts_with("file:///") && loaded.location.ends_with("/i.json"), "{}", loaded.location);
    assert!(given(&loaded.location).is_ok());
    let error = given("none.json").unwrap_err().to_string();
    assert!(error.starts_with("cannot fetch file:///") && error.contains("No such file"), "{error}");
    assert!(
        given("http://index.test/i.json").unwrap_err().to_string().contains("http is allowed only to this machine")
    );
    assert_eq!(setup.net.count(), 0);

    let bare = tempfile::tempdir().unwrap();
    project::init(bare.path(), None).unwrap();
    let project = Project::open(bare.path()).unwrap();
    let error = setup.load_in(&project, None, Path::new("/"), Mode::Cached).unwrap_err();
    assert_eq!(error.to_string(), "no pack index is configured");
    assert!(error.hint().unwrap().contains("--index-url"));
}

#[test]
fn artifacts_are_relative_to_the_index_and_stay_in_their_world() {
    let base = |text: &str| Url::parse(text).unwrap();
    let https = base("https://h/dir/index.json");
    assert_eq!(artifact(&https, "x-1.0.0.wasm").unwrap().as_str(), "https://h/dir/x-1.0.0.wasm");
    assert_eq!(artifact(&https, "//cdn/x").unwrap().as_str(), "https://cdn/x");
    assert_eq!(artifact(&base("file:///d/i.json"), "../x").unwrap().as_str(), "file:///x");
    for (from, text) in [
        ("https://h/i", "file:///etc/passwd"),
        ("https://h/i", "http://127.0.0.1:1/x"),
        ("https://h/i", "http://h/x"),
        ("http://127.0.0.1/i", "file:///etc/passwd"),
        ("file:///i", "http://h/x"),
        ("file:///i", "https://u:p@h/x"),
    ] {
        let error = artifact(&base(from), text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("the index names `{text}` as a place to fetch from: ")), "{error}");
    }
}
