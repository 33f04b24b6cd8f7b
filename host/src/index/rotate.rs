//! Changes who signs: a new root, signed by the keys of the old one and by its own. Readers follow from root to root; a key that the
//! newest one does not name counts no more.

use std::path::Path;

use rig_specs::tuf::{PublicKey, RoleName};

use super::{
    SignError,
    folder::Folder,
    keys::{self, Keys},
    sign::{ROOT_DAYS, SignedIndex, set_keys},
};
use crate::author::publish;

/// What changes in a role.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The role.
    pub role: RoleName,
    /// Keys that are added, made elsewhere.
    pub add: Vec<PublicKey>,
    /// Keys that are taken away. With neither, one new key takes the place of all.
    pub remove: Vec<PublicKey>,
    /// How many must sign from now on; as many as before, or as there are, when absent.
    pub threshold: Option<u32>,
    /// Of the timestamp.
    pub days: Option<u16>,
}

/// Makes the next root and signs everything with the keys that it names. `new_keys` is where a key is made, when one is.
///
/// # Errors
/// When the index is not signed, the change makes no sense, or keys are missing. Readers see what they saw before, then.
pub fn rotate(path: &Path, keys: Keys, new_keys: &Path, rotation: &Rotation) -> Result<SignedIndex, SignError> {
    let folder = Folder::at(path);
    let _held = publish::hold(path)?;
    let current = folder.root()?.ok_or_else(|| SignError::NotSigned(path.to_owned()))?;
    let (role, mut root) = (rotation.role, current.root.clone());
    root.version = root.version.saturating_add(1);
    root.expires = folder.expires(ROOT_DAYS);
    let before = root.keys_of(role);
    if let Some(key) = rotation.remove.iter().find(|key| !before.contains(key)) {
        return Err(SignError::NoSuchKey { role, key: *key });
    }
    let mut keys = keys;
    let renew = rotation.add.is_empty() && rotation.remove.is_empty() && rotation.threshold.is_none();
    let now: Vec<PublicKey> = if renew {
        let file = new_keys.join(format!("{role}-{}.pem", root.version));
        let new = if file.exists() { keys::public(&file)? } else { keys::generate(&file)? };
        keys.extend(Keys::load(&[file])?);
        vec![new]
    } else {
        let stay = before.iter().filter(|key| !rotation.remove.contains(key));
        stay.chain(&rotation.add).copied().collect()
    };
    let there = u32::try_from(now.len()).unwrap_or(u32::MAX);
    let threshold = rotation.threshold.unwrap_or_else(|| root.threshold(role).min(there));
    set_keys(&mut root, role, &now, threshold);
    if let Some(why) = root.problem() {
        return Err(SignError::BadRoot(why));
    }
    folder.offer(&root)?;
    folder.sign(&keys, rotation.days)
}
