//! Reads `rig.lock`. What the file may hold and how it changes is said in [`rig_specs::lock`]; here stand the checks that a reader
//! makes before it believes a word of it: complete, of a known version, undamaged, and each entry under its own id.

use std::path::{Path, PathBuf};

use rig_specs::{
    PackId, Sha256,
    lock::{Lock, Runtime, VERSION},
};
use serde_json::Value;

use crate::words::{nearest, plain};

/// The keys of a lock, apart from its digest.
const KEYS: [&str; 8] =
    ["version", "rig_version", "index_url", "index_generated_at", "created_at", "updated_at", "packs", "publishers"];

/// Why a `rig.lock` is not used. Nothing installed is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// The text ends too early.
    #[error("{}:{line}: the file is cut off", .file.display())]
    Truncated {
        /// The file.
        file: PathBuf,
        /// The last line.
        line: usize,
    },
    /// The text is not JSON, or has another shape.
    #[error("{}:{line}: {message}", .file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, with the key.
        message: String,
    },
    /// The file has a version that this rig does not know.
    #[error("{} was written by a newer rig{}: it has version {found}, this rig reads up to {VERSION}", .file.display(), by(.wrote.as_deref()))]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u64,
        /// The rig that wrote it, when the file says so.
        wrote: Option<String>,
    },
    /// The file is not as rig wrote it.
    #[error("{} is not as rig wrote it: it says its digest is {recorded}, but its contents have {found}", .file.display())]
    Tampered {
        /// The file.
        file: PathBuf,
        /// The digest in the file.
        recorded: Sha256,
        /// The digest of what the file holds.
        found: Sha256,
    },
    /// An entry stands under another id than its own, or lacks what a component needs.
    #[error("{}: the entry `{key}` {why}", .file.display())]
    Entry {
        /// The file.
        file: PathBuf,
        /// The key of the entry.
        key: PackId,
        /// What is wrong with it.
        why: String,
    },
}

fn by(wrote: Option<&str>) -> String {
    wrote.map(|version| format!(" ({version})")).unwrap_or_default()
}

impl LockError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Truncated { .. } | Self::Malformed { .. } => {
                "restore rig.lock from version control, or delete it and install the packs again".into()
            }
            Self::Newer { .. } => "update rig, or restore an older rig.lock from version control".into(),
            Self::Tampered { .. } => {
                "restore rig.lock from version control; if it was edited or merged on purpose, delete its \
                                      `digest` line and run `rig install`, which checks every entry by itself"
                    .into()
            }
            Self::Entry { .. } => {
                "restore rig.lock from version control, or delete the entry and install the pack again".into()
            }
        }
    }
}

/// Reads and checks the text of a `rig.lock`.
///
/// # Errors
/// The first check that fails.
pub fn parse(text: &str, file: &Path) -> Result<Lock, LockError> {
    let syntax = |error: &serde_json::Error| {
        let (file, line) = (file.to_path_buf(), error.line());
        if error.is_eof() {
            return LockError::Truncated { file, line };
        }
        LockError::Malformed { file, line, message: without_place(error) }
    };
    let value: Value = serde_json::from_str(text).map_err(|error| syntax(&error))?;
    check_version(&value, file)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let lock: Lock = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let message = format!("`{}`: {}", error.path(), without_place(error.inner()));
        LockError::Malformed { file: file.to_path_buf(), line: error.inner().line(), message }
    })?;
    if let Some(recorded) = lock.digest {
        let found = digest_of(value);
        if found != recorded {
            return Err(LockError::Tampered { file: file.to_path_buf(), recorded, found });
        }
    } else if let Some(key) = misspelt_digest(&value) {
        let (line, message) =
            (line_of(text, key), format!("`{}` is not a key of rig.lock: `digest` was meant", plain(key)));
        return Err(LockError::Malformed { file: file.to_path_buf(), line, message });
    }
    for (key, pack) in &lock.packs {
        let wasm = pack.runtime == Runtime::Wasm;
        let why = if pack.pack_id != *key {
            format!("is for the pack `{}`", pack.pack_id)
        } else if wasm && pack.integrity.is_none() {
            "has no `integrity`: a component is never used without its hash".into()
        } else {
            continue;
        };
        return Err(LockError::Entry { file: file.to_path_buf(), key: key.clone(), why });
    }
    Ok(lock)
}

/// A lock without a digest is one of an older rig, or one that a person edited. With one changed byte in the key it would pass for
/// such a lock.
fn misspelt_digest(value: &Value) -> Option<&str> {
    let keys = value.as_object()?.keys().map(String::as_str);
    nearest("digest", keys.filter(|key| !KEYS.contains(key)))
}

fn line_of(text: &str, key: &str) -> usize {
    text.lines().position(|line| line.contains(key)).map_or(1, |index| index + 1)
}

/// Taken over the JSON as it stands, not over the typed form: a newer rig of the same file version may have added keys that
/// this one drops.
fn digest_of(mut value: Value) -> Sha256 {
    if let Value::Object(map) = &mut value {
        map.remove("digest");
    }
    Sha256::of_json(&value)
}

fn check_version(value: &Value, file: &Path) -> Result<(), LockError> {
    let malformed = |message: &str| LockError::Malformed { file: file.to_path_buf(), line: 1, message: message.into() };
    if !value.is_object() {
        return Err(malformed("the file is not a JSON object"));
    }
    let found = value.get("version").and_then(Value::as_u64);
    match found {
        Some(found) if found > u64::from(VERSION) => {
            let wrote = value.get("rig_version").and_then(Value::as_str);
            let wrote = wrote.filter(|text| !text.is_empty() && text.len() <= 64 && text.is_ascii());
            Err(LockError::Newer {
                file: file.to_path_buf(),
                found,
                wrote: wrote.map(|text| text.escape_debug().to_string()),
            })
        }
        Some(1..) => Ok(()),
        _ => Err(malformed("`version` is missing or is not a number from 1")),
    }
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    plain(text)
}

/// A lock without packs, as it stands before the first install.
#[must_use]
pub(super) fn empty() -> Lock {
    Lock {
        version: VERSION,
        rig_version: String::new(),
        index_url: None,
        index_generated_at: None,
        created_at: String::new(),
        updated_at: String::new(),
        digest: None,
        packs: std::collections::BTreeMap::new(),
        publishers: std::collections::BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Lock, LockError> {
        parse(text, Path::new("rig.lock"))
    }

    fn message(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    const ENTRY: &str = r#"{ "pack_id": "a", "package": "a", "version": "1.0.0", "runtime": "wasm",
        "integrity": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }"#;

    #[test]
    fn sound_and_older_files_load() {
        assert_eq!(read(r#"{ "version": 1 }"#), Ok(empty()));
        let old =
            r#"{ "version": 1, "packs": { "s": { "pack_id": "s", "package": "rig-pack-s", "version": "1.2.0" } } }"#;
        assert_eq!(read(old).unwrap().packs.len(), 1);
        let sealed = read(&format!(r#"{{ "version": 1, "packs": {{ "a": {ENTRY} }} }}"#)).unwrap().to_text();
        assert_eq!(read(&sealed).unwrap().to_text(), sealed);
    }

    #[test]
    fn keys_added_by_a_later_rig_of_the_same_version_do_not_break_the_digest() {
        let mut value: Value = serde_json::from_str(&empty().to_text()).unwrap();
        value["added_later"] = 1.into();
        value["digest"] = digest_of(value.clone()).to_string().into();
        assert!(read(&value.to_string()).is_ok());
    }

    #[test]
    fn broken_files_are_refused_with_their_line() {
        let sealed = empty().to_text();
        let cut = &sealed[..sealed.len() / 2];
        assert_eq!(message(cut), format!("rig.lock:{}: the file is cut off", cut.lines().count()));
        for (text, expected) in [
            ("", "rig.lock:1: the file is cut off"),
            ("{\n  \"version\": 1,\n  oops\n}", "rig.lock:3: key must be a string"),
            ("[]", "rig.lock:1: the file is not a JSON object"),
            ("{}", "rig.lock:1: `version` is missing or is not a number from 1"),
            (r#"{ "version": "1" }"#, "rig.lock:1: `version` is missing or is not a number from 1"),
            ("{ \"version\": 1,\n \"packs\": 5 }", "rig.lock:2: `packs`: invalid type: integer `5`, expected a map"),
            (
                r#"{ "version": 2, "rig_version": "9.1.0" }"#,
                "rig.lock was written by a newer rig (9.1.0): it has version 2, this rig reads up to 1",
            ),
        ] {
            assert_eq!(message(text), expected, "{text}");
        }
    }

    #[test]
    fn a_changed_byte_shows() {
        let sealed = read(&format!(r#"{{ "version": 1, "packs": {{ "a": {ENTRY} }} }}"#)).unwrap().to_text();
        let error = read(&sealed.replace("1.0.0", "1.0.1")).unwrap_err();
        let LockError::Tampered { recorded, found, .. } = &error else { panic!("{error:?}") };
        let text = error.to_string();
        assert!(
            recorded != found && text.contains(&recorded.to_string()) && text.contains(&found.to_string()),
            "{text}"
        );
        assert!(error.hint().contains("delete its `digest` line and run `rig install`"));
        // The control: without the digest the same change passes here, and is left to the checks of each entry.
        let unsealed: String = sealed.lines().filter(|line| !line.contains("\"digest\"")).collect();
        assert!(read(&unsealed.replace("1.0.0", "1.0.1")).is_ok());
    }

    #[test]
    fn no_changed_bit_passes() {
        let sealed = read(&format!(r#"{{ "version": 1, "packs": {{ "a": {ENTRY} }} }}"#)).unwrap().to_text();
        for position in 0..sealed.len() {
            for bit in 0..8 {
                let mut bytes = sealed.clone().into_bytes();
                bytes[position] ^= 1 << bit;
                // What is no text is refused where the file is read.
                let Ok(text) = String::from_utf8(bytes) else { continue };
                assert!(read(&text).is_err(), "bit {bit} of byte {position} was changed:\n{text}");
            }
        }
        let misspelt = sealed.replace("\"digest\"", "\"dhgest\"");
        let line = sealed.lines().position(|line| line.contains("digest")).unwrap() + 1;
        assert_eq!(
            message(&misspelt),
            format!("rig.lock:{line}: `dhgest` is not a key of rig.lock: `digest` was meant")
        );
    }

    #[test]
    fn entries_stand_under_their_own_id_and_components_have_a_hash() {
        let other = format!(r#"{{ "version": 1, "packs": {{ "b": {ENTRY} }} }}"#);
        assert_eq!(message(&other), "rig.lock: the entry `b` is for the pack `a`");
        let bare = r#"{ "version": 1, "packs": { "a": { "pack_id": "a", "package": "a", "version": "1.0.0", "runtime": "wasm" } } }"#;
        assert_eq!(
            message(bare),
            "rig.lock: the entry `a` has no `integrity`: a component is never used without its hash"
        );
    }
}
