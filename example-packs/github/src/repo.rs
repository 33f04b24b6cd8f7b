//! `owner/name`.

use rig_sdk::{Error, Result};

/// A repository's two names, each safe as a segment of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Repo<'a> {
    pub(crate) owner: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> Repo<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self> {
        let plain = |part: &str, extra: &[char]| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(&c))
        };
        match text.split_once('/') {
            Some((owner, name))
                if plain(owner, &['-', '_']) && plain(name, &['-', '_', '.']) && !matches!(name, "." | "..") =>
            {
                Ok(Self { owner, name })
            }
            _ => Err(Error::validation("`repo` must be `owner/name`, for example `octocat/hello-world`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_owner_and_name_make_a_repository() {
        assert_eq!(Repo::parse("a-b_c/d.e-f_g").unwrap(), Repo { owner: "a-b_c", name: "d.e-f_g" });
        for text in ["", "a", "a/", "/b", "a/b/c", "a/.", "a/..", "../b", "a/b?c", "a/b#c", "a /b", "a/b%2f", "ä/b"] {
            let error = Repo::parse(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                "validation_error: `repo` must be `owner/name`, for example `octocat/hello-world`",
                "{text}"
            );
        }
    }
}
