//! Tenants and their bearer tokens: who a caller of the gateway is.
//!
//! rig.yaml holds hashes, so that whoever reads it can call for nobody. A plain sha256 is enough because the tokens that
//! [`new_token`] makes are 256 random bits: there is nothing to guess, and a slow hash would only slow down every request. What a
//! tenant may do is decided by the pipeline; rig.yaml is written by people.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rig_specs::{Sha256, config::Config};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// What every token that rig makes begins with, so that people and scanners of leaked secrets know what they see.
const PREFIX: &str = "rig_";
/// Random bytes of a token.
const BYTES: usize = 32;
/// Longer texts are no tokens and are not hashed.
const MAX_TOKEN: usize = 1024;
/// The longest id of a tenant.
const MAX_ID: usize = 64;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The tenant that the call is made for.
    pub tenant: String,
    /// Whether the caller may also see and decide this tenant's approvals, and read its audit log.
    pub approver: bool,
}

/// The tokens of all tenants.
#[derive(Clone, Default)]
pub struct Tenants {
    known: Vec<(Sha256, Login)>,
}

impl fmt::Debug for Tenants {
    /// Hashes of tokens are no secrets, and no business of a log either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenants({} tokens)", self.known.len())
    }
}

impl Tenants {
    /// From `tenants` in rig.yaml, which has been checked: no hash stands in it twice.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut known = Vec::new();
        for (id, tenant) in &config.tenants {
            for (hashes, approver) in [(&tenant.tokens, false), (&tenant.approvers, true)] {
                known.extend(hashes.iter().map(|hash| (*hash, Login { tenant: id.clone(), approver })));
            }
        }
        Self { known }
    }

    /// Whether nobody has a token, so that callers cannot be told apart.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whose token it is. All hashes are compared, in a time that depends on how many there are and on nothing else.
    #[must_use]
    pub fn find(&self, token: &str) -> Option<Login> {
        if token.is_empty() || token.len() > MAX_TOKEN {
            return None;
        }
        let hash = hash(token);
        // Positions from 1; 0 is none.
        let mut found = 0_u64;
        for (position, (known, _)) in (1_u64..).zip(&self.known) {
            found.conditional_assign(&position, known.as_bytes().ct_eq(hash.as_bytes()));
        }
        let position = usize::try_from(found).ok()?.checked_sub(1)?;
        self.known.get(position).map(|(_, login)| login.clone())
    }
}

/// The hash of a token, as rig.yaml holds it: the sha256 of its bytes.
#[must_use]
pub fn hash(token: &str) -> Sha256 {
    Sha256::of(token.as_bytes())
}

/// Makes a token: `rig_` and 32 random bytes as 43 characters of base64url.
///
/// # Errors
/// When the system has no random bytes to give.
pub fn new_token() -> Result<Zeroizing<String>, TokenError> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *bytes).map_err(|error| TokenError(error.to_string()))?;
    Ok(Zeroizing::new(format!("{PREFIX}{}", *Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))))
}

/// No token could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are no random bytes to make a token of: {0}")]
pub struct TokenError(String);

impl TokenError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "the system's random number generator must work: try again, or make the token on another machine"
    }
}

/// Whether a text can be the id of a tenant: `^[a-z0-9][a-z0-9_.-]{0,63}$`. It appears in file listings, headers and logs.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= MAX_ID
        && text.bytes().next().is_some_and(alphanumeric)
        && text.bytes().all(|byte| alphanumeric(byte) || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_specs::config::Tenant;

    #[test]
    fn tokens_are_found_by_their_hash_and_by_nothing_else() {
        let tokens: Vec<_> = (0..5).map(|_| new_token().unwrap()).collect();
        let tenant = |calls: &[&str], approves: &[&str]| Tenant {
            tokens: calls.iter().map(|token| hash(token)).collect(),
            approvers: approves.iter().map(|token| hash(token)).collect(),
            ..Tenant::default()
        };
        let mut config = Config::default();
        config.tenants.insert("acme".into(), tenant(&[&tokens[0], &tokens[1]], &[&tokens[2]]));
        config.tenants.insert("beta".into(), tenant(&[&tokens[3]], &[]));
        let tenants = Tenants::new(&config);
        let login = |tenant: &str, approver| Some(Login { tenant: tenant.into(), approver });
        for (token, expected) in [
            (tokens[0].as_str(), login("acme", false)),
            (&tokens[1], login("acme", false)),
            (&tokens[2], login("acme", true)),
            (&tokens[3], login("beta", false)),
            (&tokens[4], None),
            ("", None),
            (&tokens[0][..46], None),
            (&tokens[0].to_uppercase(), None),
            (&format!("{} ", *tokens[0]), None),
            // The hash itself, which is in rig.yaml, opens nothing.
            (&hash(&tokens[0]).to_string(), None),
            (&hash(&tokens[0]).hex(), None),
        ] {
            assert_eq!(tenants.find(token), expected, "{token}");
        }
        assert!(!tenants.is_empty() && Tenants::new(&Config::default()).is_empty());
        assert_eq!(Tenants::default().find(&tokens[0]), None);
        assert_eq!(format!("{tenants:?}"), "Tenants(4 tokens)");
    }

    #[test]
    fn tokens_are_long_random_and_one_word() {
        let (one, other) = (new_token().unwrap(), new_token().unwrap());
        assert_ne!(one, other);
        for token in [one, other] {
            let body = token.strip_prefix("rig_").unwrap();
            assert_eq!(body.len(), 43);
            assert_eq!(URL_SAFE_NO_PAD.decode(body).unwrap().len(), 32);
        }
        // So that people can hash a token of their own: printf %s abc | sha256sum
        let known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash("abc").to_string(), known);
    }

    #[test]
    fn ids() {
        let longest = "a".repeat(64);
        for good in ["a", "0", "acme", "acme-eu.prod_1", &longest] {
            assert!(is_id(good), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in ["", "-a", ".", "Acme", "a b", "a/b", "a\n", "ä", &too_long] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }
}
