//! What the user's docker configuration knows about a registry: a password, or a token. `config.json` in `$DOCKER_CONFIG`, else in
//! `~/.docker`; its `credHelpers` and `credsStore` are asked first, as docker does, then its `auths`. Nothing is ever written there.
//!
//! It is read only when a registry asks who is there. No error shows a line of it.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Secret;

mod helper;

/// Larger files are no configuration of docker's.
const LARGEST: u64 = 1 << 20;

/// How a registry is told who is there.
#[derive(Debug)]
pub enum Login {
    /// A name, and a password or an access token in its place.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// What the registry's token server trades for access tokens.
    Identity(Secret),
    /// An access token itself.
    Token(Secret),
}

/// Why the configuration cannot be used. No variant holds a value of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file exists and cannot be read.
    #[error("{} cannot be read: {why}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file is not what docker writes.
    #[error("{}: line {line} is not what docker writes there", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An entry of the file is not what docker writes.
    #[error("{}: the entry for {registry} is not what docker writes: {why}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The registry.
        registry: String,
        /// What is wrong with it, without its value.
        why: &'static str,
    },
    /// A credential helper does not help.
    #[error("the credential helper `{program}` {why}")]
    Helper {
        /// Its name.
        program: String,
        /// What it did.
        why: String,
    },
}

impl Error {
    /// What to do next.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "make the file readable for you, or name another folder in DOCKER_CONFIG",
            Self::Malformed { .. } | Self::Entry { .. } => {
                "correct the file, or write the entry anew with `docker login REGISTRY`"
            }
            Self::Helper { .. } => {
                "run the helper by hand to see what is wrong, or take it out of the docker configuration"
            }
        }
    }
}

/// Where credentials are looked for.
#[derive(Debug, Clone)]
pub struct Docker {
    folder: Option<PathBuf>,
    /// Where helpers are.
    path: OsString,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

/// Docker writes more than this; the rest says nothing about who is there.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

impl Docker {
    /// The configuration of the user who runs this process.
    #[must_use]
    pub fn of_user() -> Self {
        let var = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let home = || var("HOME").map(|home| PathBuf::from(home).join(".docker"));
        let folder = var("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
        Self { folder, path: var("PATH").unwrap_or_default() }
    }

    /// The configuration in a folder, with helpers from the folders of a `PATH`.
    #[must_use]
    pub fn in_folder(folder: &Path, path: &OsStr) -> Self {
        Self { folder: Some(folder.to_owned()), path: path.to_owned() }
    }

    /// What is known about a registry: `host` or `host:port`, or the name that docker's own has.
    /// Helpers are other programs and may take their time: not to be called where nothing may wait.
    ///
    /// # Errors
    /// When the configuration, or what it names, cannot be used; not when it knows nothing about the registry.
    pub fn login(&self, registry: &str) -> Result<Option<Login>, Error> {
        let Some(path) = self.folder.as_ref().map(|folder| folder.join("config.json")) else { return Ok(None) };
        let Some(file) = read(&path)? else { return Ok(None) };
        let entry = |map: &BTreeMap<String, String>| {
            map.iter().find(|(name, _)| same(name, registry)).map(|(_, helper)| helper.clone())
        };
        let helper = entry(&file.cred_helpers).or(file.creds_store).filter(|name| !name.is_empty());
        if let Some(helper) = helper {
            let found = helper::ask(&helper, &self.path, registry)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let Some((name, entry)) = file.auths.into_iter().find(|(name, _)| same(name, registry)) else {
            return Ok(None);
        };
        entry.login().map_err(|why| Error::Entry { path, registry: crate::words::plain(&name), why })
    }
}

impl Entry {
    fn login(self) -> Result<Option<Login>, &'static str> {
        let set = |value: Option<Secret>| value.filter(|value| !value.is_shorter_than(1));
        if let Some(token) = set(self.registrytoken) {
            return Ok(Some(Login::Token(token)));
        }
        if let Some(token) = set(self.identitytoken) {
            return Ok(Some(Login::Identity(token)));
        }
        if let Some(auth) = set(self.auth) {
            let bytes = STANDARD.decode(auth.expose().trim().as_bytes()).map_err(|_| "`auth` is not base64")?;
            let text = String::from_utf8(bytes).map(Zeroizing::new).map_err(|_| "`auth` is not text")?;
            let (user, password) = text.split_once(':').ok_or("`auth` holds no colon between name and password")?;
            // Docker pads passwords with zero bytes in files that it wrote long ago.
            let password = Secret::new(password.trim_end_matches('\0').to_owned());
            return Ok(Some(Login::Password { user: user.to_owned(), password }));
        }
        let user = self.username.filter(|user| !user.is_empty());
        Ok(user.zip(set(self.password)).map(|(user, password)| Login::Password { user, password }))
    }
}

/// Whether a key of the file names a registry. Older files have URLs there.
fn same(key: &str, registry: &str) -> bool {
    let host = |text: &str| {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        text.split('/').next().unwrap_or_default().to_ascii_lowercase()
    };
    key == registry || host(key) == host(registry)
}

fn read(path: &Path) -> Result<Option<File>, Error> {
    let unreadable = |why: String| Error::Read { path: path.to_owned(), why };
    let text = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error.to_string())),
        Ok(metadata) if metadata.len() > LARGEST => return Err(unreadable("it is larger than 1 MiB".into())),
        Ok(_) => Zeroizing::new(fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    // The parser's own message may quote a value.
    let malformed = |error: serde_json::Error| Error::Malformed { path: path.to_owned(), line: error.line() };
    serde_json::from_str(&text).map(Some).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(config: &str, registry: &str) -> Result<Option<Login>, Error> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), config).unwrap();
        Docker::in_folder(folder.path(), OsStr::new("")).login(registry)
    }

    fn shown(login: Option<Login>) -> String {
        match login {
            None => "nothing".into(),
            Some(Login::Password { user, password }) => format!("{user} {}", password.expose()),
            Some(Login::Identity(token)) => format!("identity {}", token.expose()),
            Some(Login::Token(token)) => format!("token {}", token.expose()),
        }
    }

    #[test]
    fn entries_of_every_kind_are_found_by_their_host() {
        // ann:secret:1
        let auth = r#"{"auth":"YW5uOnNlY3JldDox"}"#;
        let cases = [
            (format!(r#"{{"auths":{{"r.example":{auth}}}}}"#), "r.example", "ann secret:1"),
            (format!(r#"{{"auths":{{"https://r.example/v1/":{auth}}}}}"#), "r.example", "ann secret:1"),
            (format!(r#"{{"auths":{{"R.example":{auth}}}}}"#), "r.example", "ann secret:1"),
            (format!(r#"{{"auths":{{"r.example":{auth}}}}}"#), "r.example:5000", "nothing"),
            (format!(r#"{{"auths":{{"r.example:5000":{auth}}}}}"#), "r.example:5000", "ann secret:1"),
            (format!(r#"{{"auths":{{"evil-r.example":{auth}}}}}"#), "r.example", "nothing"),
            (format!(r#"{{"auths":{{"r.example.evil":{auth}}}}}"#), "r.example", "nothing"),
            (
                format!(r#"{{"auths":{{"https://index.docker.io/v1/":{auth}}}}}"#),
                "https://index.docker.io/v1/",
                "ann secret:1",
            ),
            (r#"{"auths":{"r":{"username":"u","password":"p"}}}"#.into(), "r", "u p"),
            (r#"{"auths":{"r":{"auth":"YTpi","identitytoken":"i"}}}"#.into(), "r", "identity i"),
            (r#"{"auths":{"r":{"auth":"YTpi","registrytoken":"t"}}}"#.into(), "r", "token t"),
            // What docker leaves behind when a store holds the password.
            (r#"{"auths":{"r":{}}}"#.into(), "r", "nothing"),
            (r#"{"auths":{},"HttpHeaders":{"x":"y"},"proxies":{}}"#.into(), "r", "nothing"),
            (String::new(), "r", "nothing"),
        ];
        for (config, registry, expected) in cases {
            assert_eq!(shown(login(&config, registry).unwrap()), expected, "{config}");
        }
        assert!(Docker::in_folder(Path::new("/nowhere"), OsStr::new("")).login("r").unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_named_and_no_value_shown() {
        let cases = [
            ("{\n\"auths\": {\"r\": {\"auth\": [\"canary\"]}}}", "line 2 is not what docker writes there"),
            ("{\n\n\"auths\": \"canary\"}", "line 3 is not what docker writes there"),
            ("canary", "line 1 is not what docker writes there"),
            (
                r#"{"auths":{"r":{"auth":"canary!"}}}"#,
                "the entry for r is not what docker writes: `auth` is not base64",
            ),
            // canary
            (
                r#"{"auths":{"r":{"auth":"Y2FuYXJ5"}}}"#,
                "the entry for r is not what docker writes: `auth` holds no colon between name and password",
            ),
            (r#"{"auths":{"r":{"auth":"/w=="}}}"#, "the entry for r is not what docker writes: `auth` is not text"),
            (r#"{"credsStore":"../canary"}"#, "the credential helper `docker-credential-../canary` has a name"),
        ];
        for (config, message) in cases {
            let error = login(config, "r").unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary") || message.contains("canary"), "{error}");
            assert!(!error.hint().is_empty());
        }
    }
}
