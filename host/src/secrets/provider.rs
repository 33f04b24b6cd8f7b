//! Finds values: in the environment first, then in the project's `.env`.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use zeroize::Zeroizing;

use super::{CallSecrets, Error, Marker, Secret, dotenv};

/// Where values are looked for. Making one reads nothing; `.env` is read when a name is not in the environment, and again when the
/// file has changed, so that a running gateway sees a new key.
#[derive(Debug)]
pub struct Provider {
    environment: Environment,
    dotenv: PathBuf,
    read: Mutex<Option<DotenvFile>>,
}

enum Environment {
    Process,
    Given(BTreeMap<String, Zeroizing<String>>),
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process => f.write_str("Process"),
            Self::Given(values) => f.debug_set().entries(values.keys()).finish(),
        }
    }
}

type Stamp = Option<(SystemTime, u64)>;

struct DotenvFile {
    stamp: Stamp,
    values: Arc<BTreeMap<String, Zeroizing<String>>>,
}

impl std::fmt::Debug for DotenvFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Provider {
    /// Looks in the environment of this process, then in that file, which need not exist.
    #[must_use]
    pub const fn new(dotenv: PathBuf) -> Self {
        Self { environment: Environment::Process, dotenv, read: Mutex::new(None) }
    }

    /// Looks in the given values instead of the environment: for a program that embeds rig and keeps its secrets elsewhere.
    #[must_use]
    pub fn with_environment(environment: BTreeMap<String, String>, dotenv: PathBuf) -> Self {
        let values = environment.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect();
        Self { environment: Environment::Given(values), dotenv, read: Mutex::new(None) }
    }

    /// The file that is looked in after the environment.
    #[must_use]
    pub fn dotenv_path(&self) -> &Path {
        &self.dotenv
    }

    /// The secret of a slot, and where it came from. A value of nothing but white space counts as none.
    ///
    /// # Errors
    /// When the variable is not text or `.env` cannot be read; not when nothing sets the slot.
    pub fn secret(&self, slot: &str) -> Result<Option<(Secret, Marker)>, Error> {
        if let Some(value) = self.in_environment(slot)? {
            return Ok(Some((Secret(value), Marker::Env(slot.to_owned()))));
        }
        let value = self.in_dotenv(slot)?;
        Ok(value.map(|value| (Secret(value), Marker::Dotenv(slot.to_owned()))))
    }

    /// The secrets of one call.
    ///
    /// # Errors
    /// [`Error::Missing`] names every slot that nothing sets; otherwise as for [`Self::secret`].
    pub fn call_secrets<S: AsRef<str>>(&self, slots: &[S]) -> Result<CallSecrets, Error> {
        let mut secrets = CallSecrets::none();
        let mut missing = Vec::new();
        for slot in slots.iter().map(AsRef::as_ref) {
            match self.secret(slot)? {
                Some((secret, marker)) => secrets = secrets.with(slot, secret, marker),
                None => missing.push(slot.to_owned()),
            }
        }
        if missing.is_empty() {
            Ok(secrets)
        } else {
            Err(Error::Missing { slots: missing, dotenv: self.dotenv.clone() })
        }
    }

    /// A setting that is not secret, looked for in the same places.
    ///
    /// # Errors
    /// As for [`Self::secret`].
    pub fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        let value = match self.in_environment(name)? {
            Some(value) => Some(value),
            None => self.in_dotenv(name)?,
        };
        Ok(value.map(|value| value.as_str().to_owned()))
    }

    fn in_environment(&self, name: &str) -> Result<Option<Zeroizing<String>>, Error> {
        let value = match &self.environment {
            Environment::Given(values) => values.get(name).cloned(),
            Environment::Process => match env::var(name) {
                Ok(value) => Some(Zeroizing::new(value)),
                Err(env::VarError::NotPresent) => None,
                Err(env::VarError::NotUnicode(_)) => return Err(Error::NotText { name: name.to_owned() }),
            },
        };
        Ok(value.filter(|value| !value.trim().is_empty()))
    }

    fn in_dotenv(&self, name: &str) -> Result<Option<Zeroizing<String>>, Error> {
        let stamp = fs::metadata(&self.dotenv).ok().and_then(|file| Some((file.modified().ok()?, file.len())));
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let values = match &*read {
            Some(file) if file.stamp == stamp => Arc::clone(&file.values),
            _ => {
                let values = Arc::new(dotenv::read(&self.dotenv)?);
                *read = Some(DotenvFile { stamp, values: Arc::clone(&values) });
                values
            }
        };
        drop(read);
        Ok(values.get(name).filter(|value| !value.trim().is_empty()).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(environment: &[(&str, &str)], dotenv: &str) -> (tempfile::TempDir, Provider) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, dotenv).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        (folder, Provider::with_environment(environment, path))
    }

    #[test]
    fn environment_before_dotenv_and_empty_is_missing() {
        let (_folder, provider) = provider(
            &[("A", "from-env"), ("EMPTY", " "), ("SHADOW", "")],
            "A=from-file\nB=file-b\nSHADOW=file-s\nNIL=\n",
        );
        for (slot, expected) in [
            ("A", Some(("from-env", "env:A"))),
            ("B", Some(("file-b", "dotenv:B"))),
            ("SHADOW", Some(("file-s", "dotenv:SHADOW"))),
            ("EMPTY", None),
            ("NIL", None),
            ("NONE", None),
            ("WITH=SIGN", None),
            ("NUL\0", None),
        ] {
            let found = provider.secret(slot).unwrap().map(|(s, m)| (s.expose().to_owned(), m.to_string()));
            assert_eq!(found, expected.map(|(value, marker)| (value.to_owned(), marker.to_owned())), "{slot}");
            assert_eq!(provider.setting(slot).unwrap().as_deref(), expected.map(|(value, _)| value));
        }
        let shown = format!("{provider:?}");
        assert!(!shown.contains("from-env") && !shown.contains("file-b"), "{shown}");
    }

    #[test]
    fn the_process_is_asked_without_surprises() {
        let folder = tempfile::tempdir().unwrap();
        let provider = Provider::new(folder.path().join(".env"));
        assert!(provider.setting("PATH").unwrap().is_some());
        for name in ["", "=", "A=B", "A\0B", "RIG_TEST_SURELY_NOT_SET"] {
            assert_eq!(provider.setting(name).unwrap(), None, "{name:?}");
        }
    }

    #[test]
    fn missing_slots_are_all_named_with_what_to_do() {
        let (_folder, provider) = provider(&[("A", "value-a")], "");
        assert_eq!(provider.call_secrets(&["A"]).unwrap().markers().count(), 1);
        let error = provider.call_secrets(&["B", "A", "C"]).unwrap_err();
        assert_eq!(error.to_string(), "the secrets `B`, `C` are not set");
        let path = provider.dotenv_path().display();
        assert_eq!(error.hint(), format!("set it in the environment (export B=…), or write a line B=… to {path}"));
        let error = provider.call_secrets(&["C"]).unwrap_err();
        assert_eq!(error.to_string(), "the secret `C` is not set");
    }

    #[test]
    fn a_broken_file_matters_only_when_it_is_needed() {
        let (_folder, provider) = provider(&[("A", "value-a")], "broken line\n");
        assert!(provider.secret("A").unwrap().is_some());
        assert!(matches!(provider.secret("B").unwrap_err(), Error::DotenvLine { line: 1, .. }));
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let (_folder, provider) = provider(&[], "A=first\n");
        assert_eq!(provider.setting("A").unwrap().as_deref(), Some("first"));
        fs::write(provider.dotenv_path(), "A=second one\n").unwrap();
        assert!(provider.setting("A").is_err(), "an unquoted space is refused");
        fs::write(provider.dotenv_path(), "A='second one'\n").unwrap();
        assert_eq!(provider.setting("A").unwrap().as_deref(), Some("second one"));
        fs::remove_file(provider.dotenv_path()).unwrap();
        assert_eq!(provider.setting("A").unwrap(), None);
    }
}
