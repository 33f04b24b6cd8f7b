//! What a pack's calls may reach, put together from its grant: the compiled network rules, the values of its settings, its folder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rig_specs::{
    Sha256,
    config::{Config, HostLimits},
    manifest::{Capabilities, ConfigDecl, Limits},
};

use crate::{
    egress::Reach,
    sandbox::{CallLimits, Storage},
    secrets::Provider,
};

/// What calls of one pack may reach, apart from secrets, which are resolved for each call.
#[derive(Debug)]
pub struct PackReach {
    pub(super) network: Arc<Reach>,
    pub(super) config: Arc<BTreeMap<String, String>>,
    pub(super) storage: Option<Storage>,
    pub(super) limits: CallLimits,
    /// The granted wall clock of a call, in place of the policy's.
    pub(super) timeout: Option<Duration>,
}

/// Why a pack cannot be called as it is granted and configured.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReachError {
    /// A required setting has no value.
    #[error("the setting `{name}` of the pack `{pack}` has no value{}", describe(.description))]
    MissingSetting {
        /// The pack.
        pack: String,
        /// The setting.
        name: String,
        /// What it is.
        description: String,
    },
    /// A setting cannot be read from where it is.
    #[error("{why}")]
    Setting {
        /// Why.
        why: String,
        /// What to do next.
        hint: String,
    },
    /// A network rule makes no sense with the configured values.
    #[error("the network grant of the pack `{pack}` cannot be used: {why}")]
    Network {
        /// The pack.
        pack: String,
        /// Why.
        why: String,
    },
    /// The pack's folder cannot be opened.
    #[error("the storage folder {} cannot be used: {why}", .path.display())]
    Storage {
        /// The folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

fn describe(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({})", text.trim_end_matches('.')) }
}

impl ReachError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::MissingSetting { pack, name, .. } => format!(
                "set it in rig.yaml under `config: {{{pack}: {{{name}: …}}}}`, in the environment (export {name}=…), or in .env beside rig.yaml"
            ),
            Self::Setting { hint, .. } => hint.clone(),
            Self::Network { pack, .. } => format!("look at what it may reach: rig info {pack}"),
            Self::Storage { path, .. } => format!("make {} a folder that belongs to you", path.display()),
        }
    }
}

/// The values of the declared settings: from rig.yaml, else the environment, else `.env`, else the default.
///
/// A setting enters the guest and a secret never does. So a name that is the slot of any pack's secret (`is_slot`) is not looked up
/// where secrets are: a pack cannot get another's secret by calling it a setting.
fn settings(
    pack: &str,
    declared: &BTreeMap<String, ConfigDecl>,
    configured: Option<&BTreeMap<String, String>>,
    provider: &Provider,
    is_slot: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, String>, ReachError> {
    let mut values = BTreeMap::new();
    for (name, decl) in declared {
        let set = match configured.and_then(|values| values.get(name)) {
            Some(value) => Some(value.clone()),
            None if is_slot(name) => None,
            None => provider
                .setting(name)
                .map_err(|error| ReachError::Setting { why: error.to_string(), hint: error.hint() })?,
        };
        let value = set.or_else(|| decl.default.clone());
        match value {
            Some(value) => {
                values.insert(name.clone(), value);
            }
            None if decl.required => {
                let (pack, name) = (pack.to_owned(), name.clone());
                return Err(ReachError::MissingSetting { pack, name, description: decl.description.clone() });
            }
            None => {}
        }
    }
    Ok(values)
}

/// Compiles a pack's grant.
pub(super) fn compile(
    pack: &str,
    granted: &Capabilities,
    config: &Config,
    provider: &Provider,
    is_slot: &dyn Fn(&str) -> bool,
    storage_root: &Path,
) -> Result<PackReach, ReachError> {
    let id = pack.parse().ok();
    let configured = id.as_ref().and_then(|id| config.config.get(id));
    let values = settings(pack, &granted.config, configured, provider, is_slot)?;
    let network = Reach::compile(granted, &values)
        .map_err(|error| ReachError::Network { pack: pack.to_owned(), why: error.to_string() })?;
    let storage = match &granted.storage {
        None => None,
        Some(decl) => {
            let path = storage_root.join(pack);
            let opened = Storage::open(&path, decl.quota.0);
            Some(opened.map_err(|error| ReachError::Storage { path, why: error.to_string() })?)
        }
    };
    Ok(PackReach {
        network: Arc::new(network),
        config: Arc::new(values),
        storage,
        limits: limits(&granted.limits, &config.limits),
        timeout: granted.limits.timeout.map(|seconds| Duration::from_secs(seconds.into())),
    })
}

/// A grant replaces the host's default, up or down: whatever is in the lock was consented to.
fn limits(granted: &Limits, host: &HostLimits) -> CallLimits {
    let memory = granted.memory.unwrap_or(host.memory).as_usize();
    let output = granted.output.unwrap_or(host.output).as_usize();
    // An output of full size, or a response of full size, with its headers.
    let copy = CallLimits::DEFAULT.copy.max(output.saturating_mul(2));
    CallLimits { memory, output, copy }
}

/// The folder of a project's packs with storage: by the project's path, so that projects do not share files.
pub(super) fn storage_root(home: &Path, project: &Path) -> PathBuf {
    let key = Sha256::of(project.as_os_str().as_encoded_bytes()).hex();
    home.join(&key[..32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_specs::ByteSize;

    #[test]
    fn a_setting_is_never_another_packs_secret() {
        let environment = BTreeMap::from([("TOKEN".to_owned(), "canary".to_owned())]);
        let provider = Provider::with_environment(environment, PathBuf::from("/nonexistent/.env"));
        let declared = BTreeMap::from([("TOKEN".to_owned(), ConfigDecl { required: true, ..ConfigDecl::default() })]);
        let read = |is_slot: bool, configured: Option<&BTreeMap<String, String>>| {
            settings("p", &declared, configured, &provider, &|_| is_slot)
        };
        let error = read(true, None).unwrap_err();
        assert_eq!(error.to_string(), "the setting `TOKEN` of the pack `p` has no value");
        // Control: without the rule the secret would be handed to the guest.
        assert_eq!(read(false, None).unwrap()["TOKEN"], "canary");
        // What the project's owner writes into rig.yaml is their decision.
        let configured = BTreeMap::from([("TOKEN".to_owned(), "public".to_owned())]);
        assert_eq!(read(true, Some(&configured)).unwrap()["TOKEN"], "public");
    }

    #[test]
    fn grants_replace_defaults() {
        let host = HostLimits::default();
        assert_eq!(limits(&Limits::default(), &host), CallLimits::DEFAULT);
        let granted = Limits { memory: Some(ByteSize::mib(256)), timeout: None, output: Some(ByteSize::mib(64)) };
        let found = limits(&granted, &host);
        assert_eq!((found.memory, found.output, found.copy), (256 << 20, 64 << 20, 128 << 20));
    }
}
