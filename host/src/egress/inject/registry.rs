//! Puts the user's credentials for a registry into the requests that say who is there. Which request that is, and to whom it goes, is
//! decided in `client/registry`.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::super::Redactor;
use crate::secrets::{CallSecrets, Secret, docker::Login};

/// How this program names itself to token servers.
const CLIENT: &str = "rig";

/// `Basic`, from a name and a password. None of anything else.
pub(in crate::egress) fn basic(login: &Login) -> Option<HeaderValue> {
    let Login::Password { user, password } = login else { return None };
    let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
    header("Basic", &Zeroizing::new(STANDARD.encode(pair.as_bytes())))
}

/// `Bearer`, from a token. None of anything else, and of a token that no header can hold.
pub(in crate::egress) fn bearer(login: &Login) -> Option<HeaderValue> {
    let Login::Token(token) = login else { return None };
    header("Bearer", token.expose())
}

fn header(scheme: &str, value: &str) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("{scheme} {value}"));
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The form that trades an identity token for an access token.
pub(in crate::egress) fn refresh_form(login: &Login, service: &str, scope: &str) -> Option<String> {
    let Login::Identity(token) = login else { return None };
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token").append_pair("client_id", CLIENT);
    form.append_pair("service", service).append_pair("scope", scope);
    form.append_pair("refresh_token", token.expose());
    Some(form.finish())
}

/// Finds credentials in what a registry says.
pub(in crate::egress) fn redactor(login: &Login, traded: Option<&Login>) -> Redactor {
    fn value(login: &Login) -> &Secret {
        match login {
            Login::Password { password, .. } => password,
            Login::Identity(token) | Login::Token(token) => token,
        }
    }
    let all = [Some(login), traded].into_iter().flatten();
    Redactor::with(&CallSecrets::none(), all.map(|login| ("registry", value(login))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.into())
    }

    #[test]
    fn each_kind_goes_where_it_belongs_and_shows_nothing() {
        let password = Login::Password { user: "ann".into(), password: secret("canary-1:x") };
        let (identity, token) = (Login::Identity(secret("canary-2 &")), Login::Token(secret("canary-3")));
        assert_eq!(basic(&password).unwrap().as_bytes(), b"Basic YW5uOmNhbmFyeS0xOng=");
        assert_eq!(bearer(&token).unwrap().as_bytes(), b"Bearer canary-3");
        assert_eq!(
            refresh_form(&identity, "r.example", "repository:a/b:pull").unwrap(),
            "grant_type=refresh_token&client_id=rig&service=r.example&scope=repository%3Aa%2Fb%3Apull&refresh_token=canary-2+%26"
        );
        assert!(basic(&token).is_none() && bearer(&password).is_none() && refresh_form(&password, "", "").is_none());
        assert!(bearer(&Login::Token(secret("a\r\nX-Evil: 1"))).is_none());
        assert!(!format!("{:?} {:?}", basic(&password), bearer(&token)).contains("canary"));
        let redactor = redactor(&token, Some(&password));
        assert_eq!(
            redactor.text("saw canary-3 and YW5uOmNhbmFyeS0xOng= and canary-1:x"),
            "saw [redacted:registry] and YW5uOm[redacted:registry]g= and [redacted:registry]"
        );
    }
}
