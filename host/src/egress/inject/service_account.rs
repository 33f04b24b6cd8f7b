//! The JSON key of a service account, and the signed request that it is traded with for an access token (RFC 7523, 2.1). Pure:
//! sending the request and keeping the token are the parts of others.
//!
//! What is signed is as good as the key for an hour. So where it goes is not the key's choice: the manifest names the token endpoint,
//! the project consented to it, and a key that names another one is refused.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rig_specs::{Sha256, manifest::token_host};
use ring::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use zeroize::Zeroizing;

use super::super::{allow::url::Target, limits};
use crate::secrets::Secret;

/// Where and for what tokens are made: a place of a secret.
#[derive(Debug)]
pub(in crate::egress) struct TokenSource {
    url: String,
    target: Target,
    scopes: String,
}

/// Why a secret cannot be traded for a token. Holds nothing of the key but what it names itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::egress) enum KeyProblem {
    #[error("it is not a JSON object")]
    NotJson,
    #[error("it is not the key of a service account{}", .0.as_ref().map(|kind| format!(" but of type `{kind}`")).unwrap_or_default())]
    OtherType(Option<String>),
    #[error("it has no `{0}`")]
    Missing(&'static str),
    #[error("its `token_uri` is not {0}, and nothing that it signs is sent elsewhere")]
    OtherEndpoint(String),
    #[error("its `private_key` is not an RSA key in PEM of at least 2048 bits")]
    Key,
}

impl KeyProblem {
    /// What to do next.
    pub(in crate::egress) fn hint(&self, slot: &str) -> String {
        match self {
            Self::NotJson => format!(
                "set it to the whole content of the key's file and not to its name, for example export {slot}=\"$(cat key.json)\"; \
                 in .env on one line, between single quotes"
            ),
            Self::OtherEndpoint(_) => {
                "make a new key for the service account; only a key that names this endpoint is used".into()
            }
            Self::OtherType(_) | Self::Missing(_) | Self::Key => format!(
                "make a key for a service account (IAM & Admin, Service Accounts, Keys, JSON) and set {slot} to the content of the \
                 file, unchanged"
            ),
        }
    }
}

/// The fields of the file that matter here. Nothing is taken from the reader's own errors: they quote what they read.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    client_email: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    private_key: Option<Secret>,
    #[serde(default)]
    private_key_id: Option<String>,
    #[serde(default)]
    token_uri: Option<String>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

/// The private key within a secret that is the JSON of a key: it is found out and blanked as the secret itself is.
pub(in crate::egress) fn private_key(secret: &Secret) -> Option<Secret> {
    serde_json::from_str::<KeyFile>(secret.expose()).ok()?.private_key
}

impl TokenSource {
    pub(super) fn new(slot: &str, scopes: &[String], url: &str) -> Result<Self, String> {
        let refuse = || format!("the secret `{slot}`: `{url}` is not the https URL of a token endpoint");
        token_host(url).ok_or_else(refuse)?;
        let target = Target::parse(url).map_err(|_| refuse())?;
        Ok(Self { url: url.to_owned(), target, scopes: scopes.join(" ") })
    }

    pub(in crate::egress) const fn target(&self) -> &Target {
        &self.target
    }

    /// What a token is kept by: the secret's value, so that a new one has new tokens, and what else the token depends on.
    pub(in crate::egress) fn key(&self, secret: &Secret) -> Sha256 {
        let parts = Zeroizing::new([&self.url, "\0", &self.scopes, "\0", secret.expose()].concat());
        Sha256::of(parts.as_bytes())
    }

    /// The body of the request for a token: a form with an assertion that is signed with the key.
    ///
    /// `now` is the time since 1970.
    pub(in crate::egress) fn request(&self, secret: &Secret, now: Duration) -> Result<Zeroizing<String>, KeyProblem> {
        let text = secret.expose().trim();
        if !text.starts_with('{') {
            return Err(KeyProblem::NotJson);
        }
        let file: KeyFile = serde_json::from_str(text).map_err(|_| KeyProblem::NotJson)?;
        if file.kind.as_deref() != Some("service_account") {
            return Err(KeyProblem::OtherType(file.kind.filter(|kind| is_word(kind))));
        }
        let email = file.client_email.ok_or(KeyProblem::Missing("client_email"))?;
        let key = file.private_key.ok_or(KeyProblem::Missing("private_key"))?;
        if file.token_uri.ok_or(KeyProblem::Missing("token_uri"))? != self.url {
            return Err(KeyProblem::OtherEndpoint(self.url.clone()));
        }
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(id) = file.private_key_id {
            header["kid"] = id.into();
        }
        let issued = now.as_secs();
        let claims = json!({
            "iss": email,
            "scope": self.scopes,
            "aud": self.url,
            "iat": issued,
            "exp": issued + limits::ASSERTION_TIME.as_secs(),
        });
        let part = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = sign(key.expose(), signed.as_bytes()).ok_or(KeyProblem::Key)?;
        // All characters of an assertion stand for themselves in a form.
        Ok(Zeroizing::new(format!(
            "assertion={signed}.{}&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer",
            URL_SAFE_NO_PAD.encode(signature)
        )))
    }
}

/// RS256.
fn sign(pem: &str, message: &[u8]) -> Option<Vec<u8>> {
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        _ => return None,
    };
    let key = key.ok()?;
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
    Some(signature)
}

/// Whether a text of a secret may be shown: the name of a type of credentials.
fn is_word(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use rig_specs::manifest::GOOGLE_TOKEN_URL;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;
    use crate::egress::testing::service_account;

    /// A change of the key, and what is then wrong with it.
    type Case = (fn(&mut Value), &'static str);

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn source(scopes: &[&str]) -> TokenSource {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        TokenSource::new("KEY", &scopes, GOOGLE_TOKEN_URL).unwrap()
    }

    fn request(key: &Value) -> Result<Zeroizing<String>, KeyProblem> {
        source(&["s"]).request(&Secret::new(key.to_string()), NOW)
    }

    #[test]
    fn the_assertion_says_who_asks_for_what_and_is_signed() {
        let key = service_account();
        let secret = Secret::new(format!(" {key}\n"));
        let body = source(&["https://a.example/s", "t"]).request(&secret, NOW).unwrap();
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        assert_eq!(fields[1], ("grant_type".into(), "urn:ietf:params:oauth:grant-type:jwt-bearer".into()));
        let (name, assertion) = &fields[0];
        assert_eq!((fields.len(), name.as_str()), (2, "assertion"));
        let parts: Vec<&str> = assertion.split('.').collect();
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let json = |part: &str| serde_json::from_slice::<Value>(&decoded(part)).unwrap();
        assert_eq!(json(parts[0]), json!({ "alg": "RS256", "typ": "JWT", "kid": key["private_key_id"] }));
        assert_eq!(
            json(parts[1]),
            json!({
                "iss": key["client_email"], "scope": "https://a.example/s t", "aud": GOOGLE_TOKEN_URL,
                "iat": 1_700_000_000, "exp": 1_700_003_600
            })
        );
        let pem = key["private_key"].as_str().unwrap();
        let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap() else {
            panic!("PKCS #8")
        };
        let pair = KeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref());
        let signed = assertion.rsplit_once('.').unwrap().0;
        public.verify(signed.as_bytes(), &decoded(parts[2])).unwrap();
        // The control: another text has another signature.
        assert!(public.verify(format!("{signed}x").as_bytes(), &decoded(parts[2])).is_err());
    }

    #[test]
    fn keys_that_cannot_be_used() {
        let with = |change: fn(&mut Value)| {
            let mut key = service_account();
            change(&mut key);
            request(&key).map(|_| ()).map_err(|problem| problem.to_string())
        };
        assert_eq!(with(|_| ()), Ok(()), "control");
        assert_eq!(with(|key| key["private_key_id"] = Value::Null), Ok(()), "an id is not needed");
        let elsewhere =
            "its `token_uri` is not https://oauth2.googleapis.com/token, and nothing that it signs is sent elsewhere";
        let not_rsa = "its `private_key` is not an RSA key in PEM of at least 2048 bits";
        let cases: [Case; 16] = [
            (|key| *key = json!("canary.json"), "it is not a JSON object"),
            (|key| *key = json!(["canary"]), "it is not a JSON object"),
            (|key| key["client_email"] = json!({ "canary": 1 }), "it is not a JSON object"),
            (
                |key| key["type"] = json!("authorized_user"),
                "it is not the key of a service account but of type `authorized_user`",
            ),
            (|key| key["type"] = json!("Canary 1"), "it is not the key of a service account"),
            (|key| key["type"] = Value::Null, "it is not the key of a service account"),
            (|key| key["client_email"] = Value::Null, "it has no `client_email`"),
            (|key| key["private_key"] = Value::Null, "it has no `private_key`"),
            (|key| key["token_uri"] = Value::Null, "it has no `token_uri`"),
            (|key| key["token_uri"] = json!("https://evil.example/token"), elsewhere),
            (|key| key["token_uri"] = json!("http://oauth2.googleapis.com/token"), elsewhere),
            (|key| key["token_uri"] = json!("https://oauth2.googleapis.com:8443/token"), elsewhere),
            (|key| key["token_uri"] = json!("https://oauth2.googleapis.com@evil.example/token"), elsewhere),
            (|key| key["token_uri"] = json!("https://oauth2.googleapis.com/token/../x"), elsewhere),
            (|key| key["private_key"] = json!("canary"), not_rsa),
            (|key| key["private_key"] = json!(rcgen::KeyPair::generate().unwrap().serialize_pem()), not_rsa),
        ];
        for (change, why) in cases {
            assert_eq!(with(change), Err(why.to_owned()));
        }
        let plain = source(&["s"]).request(&Secret::new("/home/me/canary.json".into()), NOW).unwrap_err();
        assert_eq!(plain, KeyProblem::NotJson);
        assert!(plain.hint("KEY").contains("export KEY=\"$(cat key.json)\""));
    }

    #[test]
    fn tokens_are_kept_by_all_that_they_depend_on() {
        let secret = |text: &str| Secret::new(text.into());
        let key = source(&["a", "b"]).key(&secret("x"));
        assert_eq!(key, source(&["a", "b"]).key(&secret("x")));
        let other = TokenSource::new("KEY", &["a".into(), "b".into()], "https://other.example/token").unwrap();
        for other in [source(&["a"]).key(&secret("x")), source(&["a", "b"]).key(&secret("y")), other.key(&secret("x"))]
        {
            assert_ne!(key, other);
        }
        let refused = TokenSource::new("KEY", &["a".into()], "http://oauth2.googleapis.com/token").unwrap_err();
        assert!(refused.contains("is not the https URL of a token endpoint"), "{refused}");
    }
}
