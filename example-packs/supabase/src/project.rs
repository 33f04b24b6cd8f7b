//! The URL of the project, as people paste it.

use rig_sdk::{Error, Result, config};

const SETTING: &str = "SUPABASE_URL";

/// `https://<host>`, from a setting that is that, ends in a slash, or is the host alone.
///
/// Which host it is does not matter here: the host's own reading of the same setting decides what may be reached.
pub(crate) fn url() -> Result<String> {
    read(&config::require(SETTING)?)
}

fn read(setting: &str) -> Result<String> {
    let text = setting.trim();
    let host = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(Error::auth(format!("the setting {SETTING} is not the URL of a project")).hint(format!(
            "set {SETTING} to https:// and the project's host, for example https://abcdefghijklmnop.supabase.co"
        )));
    }
    Ok(format!("https://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for text in ["https://a-1.supabase.co", "https://a-1.supabase.co/", " a-1.supabase.co\n", "a-1.supabase.co//"] {
            assert_eq!(read(text).unwrap(), "https://a-1.supabase.co", "{text}");
        }
        assert_eq!(read("https://db.corp.example:8443").unwrap(), "https://db.corp.example:8443");
        for text in [
            "",
            "/",
            "http://a.supabase.co",
            "https://a.supabase.co/rest/v1",
            "https://u@a",
            "https://a?x",
            "a b",
            "https://",
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.to_string(), "auth_error: the setting SUPABASE_URL is not the URL of a project", "{text}");
        }
    }
}
