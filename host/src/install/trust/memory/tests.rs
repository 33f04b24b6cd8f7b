//! Processes that race, and files that were damaged.

use super::*;

fn recalled(timestamp: u64) -> Recalled {
    let folder = tempfile::tempdir().unwrap();
    let (index, keys) = (folder.path().join("index"), folder.path().join("keys"));
    crate::index::sign::init(&index, &keys, &crate::index::sign::Init::default()).unwrap();
    let bytes = fs::read(index.join("metadata/root.json")).unwrap();
    let envelope = super::super::view::parse(&bytes, "root.json").unwrap();
    let mut view = View::new(envelope, "root.json").unwrap();
    view.seen.timestamp = timestamp;
    Recalled { view, current: None }
}

fn setup() -> (tempfile::TempDir, Home, Memory) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("rig"));
    let memory = Memory::of(&home, &"https://h/i.json".parse().unwrap(), &[]);
    (folder, home, memory)
}

#[test]
fn what_was_seen_is_never_unseen() {
    let (_folder, home, memory) = setup();
    assert!(memory.recall().unwrap().is_none());
    let newest = recalled(100);
    // Many at once, each with another version: the highest one stands in the end, and nobody writes a lower one over a higher.
    std::thread::scope(|scope| {
        for timestamp in 1..=32 {
            let (memory, mut mine) = (&memory, newest.clone());
            scope.spawn(move || {
                mine.view.seen.timestamp = timestamp;
                memory.keep(&mine).unwrap();
            });
        }
    });
    assert_eq!(memory.recall().unwrap().unwrap().view.seen.timestamp, 32);
    assert_eq!(memory.keep(&newest).unwrap(), Kept::Written);
    let mut older = newest.clone();
    older.view.seen.timestamp = 99;
    assert_eq!(memory.keep(&older).unwrap(), Kept::Overtaken);
    // Another root of the same version is another index: the one that was there first stays.
    assert_eq!(memory.keep(&recalled(200)).unwrap(), Kept::Overtaken);
    assert_eq!(memory.recall().unwrap().unwrap().view.seen.timestamp, 100);
    assert_eq!(known(&home).unwrap().len(), 1);
    // Other trusted keys are another memory.
    let trusted = Memory::of(&home, &"https://h/i.json".parse().unwrap(), &[PublicKey::from_bytes([1; 32])]);
    assert!(trusted.recall().unwrap().is_none());
    assert_eq!(forget(&home, &"https://h/other.json".parse().unwrap()), Ok(0));
    assert_eq!(forget(&home, &"https://h/i.json".parse().unwrap()), Ok(1));
    assert!(memory.recall().unwrap().is_none());
}

#[test]
fn what_was_changed_is_refused_and_not_forgotten() {
    let (_folder, home, memory) = setup();
    memory.keep(&recalled(7)).unwrap();
    let text = fs::read_to_string(&memory.path).unwrap();
    for (damage, why) in [
        (text.replace("\"timestamp\": 7", "\"timestamp\": 1"), "it was changed: its content has sha256:"),
        (text[..text.len() / 2].to_owned(), "EOF while parsing"),
        (String::new(), "EOF while parsing"),
    ] {
        fs::write(&memory.path, damage).unwrap();
        let error = memory.recall().unwrap_err();
        assert!(matches!(&error, Fault::Memory { why: found, .. } if found.starts_with(why)), "{error}");
        assert!(memory.keep(&recalled(8)).is_err(), "nor is it written over");
    }
    // What cannot even say whose it is goes with any index that is forgotten.
    assert_eq!(forget(&home, &"https://h/i.json".parse().unwrap()), Ok(1));
    fs::write(&memory.path, text).unwrap();
    assert_eq!(memory.recall().unwrap().unwrap().view.seen.timestamp, 7, "the control");
}
