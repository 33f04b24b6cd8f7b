//! Files of the pack's own, kept between calls, when the manifest has `[storage]` and the project granted it.
//!
//! Paths are relative and use `/`. Errors: `permission_error` without storage, `not_found`, `validation_error` for a path that
//! leaves the folder, `policy_blocked` when the quota is used up.

use crate::{error::Result, host};

/// A whole file.
pub fn read(path: &str) -> Result<Vec<u8>> {
    Ok(host::storage::read(path)?)
}

/// Writes a whole file; it appears complete or not at all.
pub fn write(path: &str, data: impl AsRef<[u8]>) -> Result<()> {
    Ok(host::storage::write(path, data.as_ref())?)
}

/// The paths of all files below a folder, sorted; an empty prefix means all.
pub fn list(prefix: &str) -> Result<Vec<String>> {
    Ok(host::storage::list(prefix)?)
}

/// Removes a file.
pub fn remove(path: &str) -> Result<()> {
    Ok(host::storage::remove(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, mock};

    #[test]
    fn files_are_kept_and_listed_by_folder() {
        assert_eq!(list("").unwrap_err().kind(), ErrorKind::PermissionError);
        let _mock = mock::storage();
        write("a/one", "1").unwrap();
        write("a/two", "2").unwrap();
        write("ab", "3").unwrap();
        assert_eq!(read("a/one").unwrap(), b"1");
        assert_eq!(list("a").unwrap(), ["a/one", "a/two"]);
        assert_eq!(list("").unwrap(), ["a/one", "a/two", "ab"]);
        remove("a/one").unwrap();
        assert_eq!(read("a/one").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(remove("a/one").unwrap_err().to_string(), "not_found: there is no file `a/one`");
    }

    #[test]
    fn a_path_stays_in_the_folder() {
        let _mock = mock::storage();
        for path in ["", "/a", "../a", "a/../b", "a//b", "./a", "a\\b"] {
            assert_eq!(write(path, "").unwrap_err().kind(), ErrorKind::ValidationError, "{path}");
        }
    }
}
