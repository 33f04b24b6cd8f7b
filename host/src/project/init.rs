//! Makes a project: a commented `rig.yaml`, and lines in `.gitignore` that keep rig's own files and secrets out of version control.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{ProjectError, commit};

const TEMPLATE: &str = include_str!("rig.yaml.template");
const IGNORED: [&str; 2] = [".rig/", ".env"];

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialized {
    /// The new `rig.yaml`.
    pub config: PathBuf,
    /// The `.gitignore`, when it was made or got new lines.
    pub gitignore: Option<PathBuf>,
}

/// Makes a project in a folder, which must exist.
///
/// # Errors
/// [`ProjectError::Exists`] when there is a `rig.yaml` already; nothing is changed then.
pub fn init(root: &Path, index_url: Option<&str>) -> Result<Initialized, ProjectError> {
    let config = root.join(commit::CONFIG);
    let text = match index_url {
        Some(url) => {
            let line = format!("index:\n  url: {}", serde_json::Value::from(url));
            TEMPLATE.replace("# index:\n#   url: \"https://example.com/pack_index.json\"", &line)
        }
        None => TEMPLATE.to_owned(),
    };
    super::config::parse(&text, &config)?;
    let create = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&config)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    create().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => ProjectError::Exists { path: config.clone() },
        _ => ProjectError::io("write", &config, error),
    })?;
    Ok(Initialized { gitignore: ignore(root)?, config })
}

fn ignore(root: &Path) -> Result<Option<PathBuf>, ProjectError> {
    let path = root.join(".gitignore");
    let mut text = commit::read(&path)?.unwrap_or_default();
    let has = |line: &&str| {
        let bare = |text: &str| text.trim().trim_start_matches('/').trim_end_matches('/').to_owned();
        text.lines().any(|present| bare(present) == bare(line))
    };
    let missing: Vec<&str> = IGNORED.into_iter().filter(|line| !has(line)).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(eol);
    }
    for line in missing {
        text.push_str(line);
        text.push_str(eol);
    }
    fs::write(&path, text).map_err(|error| ProjectError::io("write", &path, error))?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_specs::config::Config;

    #[test]
    fn the_template_says_the_defaults_and_names_every_key() {
        assert_eq!(super::super::config::parse(TEMPLATE, Path::new("rig.yaml")), Ok(Config::default()));
        // With every comment of a key taken away it is still valid, and still means the defaults where it shows them.
        let keys = TEMPLATE.lines().filter(|line| !line.starts_with("packs:") && !line.starts_with("##"));
        let live: Vec<&str> = keys.map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
        let live = live.join("\n");
        let parsed = super::super::config::parse(&live, Path::new("rig.yaml")).unwrap();
        let default = Config::default();
        assert_eq!(
            (&parsed.policy, &parsed.limits, &parsed.server),
            (&default.policy, &default.limits, &default.server)
        );
        assert_eq!((&parsed.secrets, &parsed.audit_db_path), (&default.secrets, &default.audit_db_path));
        assert_eq!(
            (&parsed.approvals, &parsed.audit, &parsed.tenants),
            (&default.approvals, &default.audit, &default.tenants)
        );
        let mut missing = Vec::new();
        for (key, value) in serde_json::to_value(Config::default()).unwrap().as_object().unwrap() {
            let inner = value.as_object().into_iter().flat_map(|map| map.keys());
            for key in inner.chain([key]) {
                if !TEMPLATE.contains(&format!("{key}:")) {
                    missing.push(key.clone());
                }
            }
        }
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn a_project_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".gitignore"), "target\n/.env").unwrap();
        let done = init(folder.path(), Some("file:///x/index.json")).unwrap();
        assert_eq!(fs::read_to_string(done.gitignore.unwrap()).unwrap(), "target\n/.env\n.rig/\n");
        let text = fs::read_to_string(&done.config).unwrap();
        let config = super::super::config::parse(&text, &done.config).unwrap();
        assert_eq!(config.index.url.as_deref(), Some("file:///x/index.json"));

        let error = init(folder.path(), None).unwrap_err();
        assert_eq!(error.to_string(), format!("{} exists already", done.config.display()));
        assert_eq!(fs::read_to_string(&done.config).unwrap(), text);
    }
}
