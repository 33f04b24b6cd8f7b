//! Addresses: `ada@example.com`, or with a name before it, `Ada Lovelace <ada@example.com>`.

use rig_sdk::{Error, Result};
use serde::Serialize;

/// An address as SendGrid's API has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Address {
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Address {
    /// Reads the address in the argument `which`.
    pub(crate) fn parse(which: &str, text: &str) -> Result<Self> {
        let text = text.trim();
        let (name, email) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, email)) => (name.trim().trim_matches('"'), email),
            None => ("", text),
        };
        let is_plain =
            |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "<>,;".contains(c));
        if email.rsplit_once('@').is_some_and(|(user, host)| is_plain(user) && is_plain(host)) {
            let name = if name.is_empty() { None } else { Some(name.to_owned()) };
            return Ok(Self { email: email.to_owned(), name });
        }
        Err(Error::validation(
            ["`", which, "` must be one address: `ada@example.com` or `Ada Lovelace <ada@example.com>`"].concat(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_name() {
        for (text, email, name) in [
            ("ada@example.com", "ada@example.com", None),
            (" ada+x@example.com ", "ada+x@example.com", None),
            ("<ada@example.com>", "ada@example.com", None),
            ("Ada Lovelace <ada@example.com>", "ada@example.com", Some("Ada Lovelace")),
            ("\"Lovelace, Ada\" <ada@example.com>", "ada@example.com", Some("Lovelace, Ada")),
            ("Ädä<ä@exämple.com>", "ä@exämple.com", Some("Ädä")),
        ] {
            let expected = Address { email: email.into(), name: name.map(Into::into) };
            assert_eq!(Address::parse("to", text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_one_address_is_refused() {
        for text in
            ["", "ada", "@", "ada@", "@example.com", "a@b.c, d@e.f", "a@b.c;d@e.f", "Ada <ada>", "a b@c.d", "a@b.c> x"]
        {
            assert_eq!(
                Address::parse("to", text).unwrap_err().to_string(),
                "validation_error: `to` must be one address: `ada@example.com` or `Ada Lovelace <ada@example.com>`",
                "{text}"
            );
        }
    }
}
