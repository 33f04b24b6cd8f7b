//! Settings of the pack that are not secret, declared as `[config.NAME]` in the manifest.

use crate::{
    error::{Error, Result},
    host,
};

/// The value of a setting, its default included. Nothing when it is not set or the manifest does not declare it.
#[must_use]
pub fn get(name: &str) -> Option<String> {
    host::config::get(name)
}

/// The value of a setting that the tool cannot do without.
///
/// # Errors
/// `auth_error` when it is not set: such settings are the public half of credentials, for example the id of an account.
pub fn require(name: &str) -> Result<String> {
    get(name).ok_or_else(|| {
        Error::auth(format!("the setting {name} is not set"))
            .hint(format!("set {name} for this pack under `config` in rig.yaml, in the environment or in .env"))
    })
}

#[cfg(test)]
mod tests {
    use crate::{ErrorKind, config, mock};

    #[test]
    fn settings_come_from_the_host() {
        assert_eq!(config::get("ACCOUNT"), None);
        let error = config::require("ACCOUNT").unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::AuthError, "the setting ACCOUNT is not set"));
        let guard = mock::config("ACCOUNT", "AC1");
        assert_eq!(config::require("ACCOUNT").unwrap(), "AC1");
        drop(guard);
        assert_eq!(config::get("ACCOUNT"), None);
    }
}
