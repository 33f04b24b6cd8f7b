//! Puts secrets into requests: the only code that takes a secret's value out for sending.
//!
//! A secret goes to the hosts that its declaration names and nowhere else, only in the places that it names, and only when the tool
//! of the call declares the slot (the others are not in [`CallSecrets`]). In the clear it goes only to hosts that the project itself
//! named as its own (`allow_private`).

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH},
};
use rig_specs::manifest::{Inject, Scheme};
use zeroize::Zeroizing;

use super::{
    HttpError,
    allow::{
        pattern::{HostPattern, Settings, TemplateProblem},
        url::Target,
    },
    headers,
};
use crate::secrets::{CallSecrets, Secret};

pub(super) mod registry;
pub(super) mod service_account;
pub(super) mod token;

use service_account::TokenSource;
use token::Held;

/// Where the secrets of a pack go.
#[derive(Debug, Default)]
pub(super) struct Bindings(Vec<Binding>);

#[derive(Debug)]
struct Binding {
    slot: String,
    hosts: Vec<HostPattern>,
    places: Vec<Place>,
}

#[derive(Debug)]
enum Place {
    Header {
        name: HeaderName,
        prefix: String,
    },
    /// The user name, or why there is none.
    Basic {
        user: Result<String, String>,
    },
    Query {
        name: String,
    },
    /// A token that the secret is traded for.
    Token(TokenSource),
}

impl Place {
    /// The header that the place is, if it is one.
    fn header(&self) -> Option<HeaderName> {
        match self {
            Self::Header { name, .. } => Some(name.clone()),
            Self::Basic { .. } | Self::Token(_) => Some(AUTHORIZATION),
            Self::Query { .. } => None,
        }
    }
}

impl Bindings {
    /// # Errors
    /// A sentence about a host or a place that cannot be read.
    pub(super) fn compile(settings: &Settings<'_>) -> Result<Self, String> {
        let mut bindings = Vec::new();
        for (slot, decl) in &settings.granted.secrets {
            let mut hosts = Vec::new();
            for host in &decl.hosts {
                match settings.host(host) {
                    Ok(expanded) => hosts.push(expanded.pattern),
                    // No rule names the host either, so nothing is sent there.
                    Err(TemplateProblem::Unset(_)) => {}
                    Err(TemplateProblem::Bad(why)) => return Err(why),
                }
            }
            let places = decl.inject.iter().map(|inject| place(slot, inject, settings)).collect::<Result<_, _>>()?;
            bindings.push(Binding { slot: slot.clone(), hosts, places });
        }
        Ok(Self(bindings))
    }

    fn of_host<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Binding> {
        self.0.iter().filter(move |binding| binding.hosts.iter().any(|pattern| pattern.matches(host)))
    }

    /// Refuses a request that fills a place of a secret by itself, whether this call has the secret or not.
    pub(super) fn refuse_owned(&self, target: &Target, headers: &HeaderMap) -> Result<(), HttpError> {
        for Binding { slot, places, .. } in self.of_host(target.host()) {
            for place in places {
                let taken = match place {
                    Place::Query { name } => target
                        .url()
                        .query_pairs()
                        .any(|(field, _)| field == name.as_str())
                        .then(|| format!("the query field `{name}`")),
                    other => other
                        .header()
                        .filter(|name| headers.contains_key(name))
                        .map(|name| format!("the header `{name}`")),
                };
                if let Some(what) = taken {
                    let host = target.host();
                    return Err(HttpError::InvalidRequest(format!(
                        "{what} carries the secret `{slot}` to {host} and is set by rig; leave it out"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Takes out of a redirect's URL the query fields that hold secrets, as the service may have copied them there.
    pub(super) fn strip_owned(&self, target: &mut Target) {
        let owned: Vec<&str> = self
            .of_host(target.host())
            .flat_map(|binding| &binding.places)
            .filter_map(|place| if let Place::Query { name } = place { Some(name.as_str()) } else { None })
            .collect();
        if !target.url().query_pairs().any(|(field, _)| owned.contains(&field.as_ref())) {
            return;
        }
        let kept: Vec<(String, String)> = target
            .url()
            .query_pairs()
            .filter(|(field, _)| !owned.contains(&field.as_ref()))
            .map(|(field, value)| (field.into_owned(), value.into_owned()))
            .collect();
        target.url_mut().set_query(None);
        if !kept.is_empty() {
            target.url_mut().query_pairs_mut().extend_pairs(kept);
        }
    }

    /// The secrets of the call that go to a target as tokens, by slot. None where they would go in the clear.
    pub(super) fn traded<'a>(
        &'a self,
        target: &'a Target,
        secrets: &'a CallSecrets,
        may_go_clear: bool,
    ) -> impl Iterator<Item = (&'a str, &'a TokenSource, &'a Secret)> {
        let bindings = self.of_host(target.host()).filter(move |_| target.scheme() == Scheme::Https || may_go_clear);
        bindings.filter_map(|binding| {
            let source = binding
                .places
                .iter()
                .find_map(|place| if let Place::Token(source) = place { Some(source) } else { None });
            Some((binding.slot.as_str(), source?, secrets.get(&binding.slot)?))
        })
    }

    /// The parts of the call's secrets that are secrets in their own right, by slot.
    pub(super) fn parts<'a>(&'a self, secrets: &'a CallSecrets) -> impl Iterator<Item = (&'a str, Secret)> {
        let traded =
            self.0.iter().filter(|binding| binding.places.iter().any(|place| matches!(place, Place::Token(_))));
        traded.filter_map(|binding| {
            Some((binding.slot.as_str(), service_account::private_key(secrets.get(&binding.slot)?)?))
        })
    }

    /// The slots of the call whose secrets go to the host.
    pub(super) fn slots(&self, secrets: &CallSecrets, host: &str) -> Vec<String> {
        let mut slots: Vec<String> = self.of_host(host).map(|binding| binding.slot.clone()).collect();
        slots.retain(|slot| secrets.get(slot).is_some());
        slots
    }

    /// Adds the secrets of the call that are bound to the host of the request. Says whether there were any.
    ///
    /// `may_go_clear`: the project named the host as one of its own.
    pub(super) fn apply(
        &self,
        secrets: &CallSecrets,
        tokens: &Held,
        target: &mut Target,
        headers: &mut HeaderMap,
        may_go_clear: bool,
    ) -> Result<bool, HttpError> {
        let host = target.host().to_owned();
        let mut added = false;
        for Binding { slot, places, .. } in self.of_host(&host) {
            let Some(secret) = secrets.get(slot) else { continue };
            if target.scheme() == Scheme::Http && !may_go_clear {
                return Err(HttpError::Denied(format!(
                    "the secret `{slot}` is not sent to {host} over http, where others can read it: use https, or name the host \
                     in network.allow_private of rig.yaml when it is one of your own"
                )));
            }
            for place in places {
                if let Some(name) = place.header() {
                    let value = header_value(slot, place, secret, tokens)?;
                    if headers.insert(&name, value).is_some() {
                        return Err(HttpError::InvalidRequest(format!(
                            "two secrets of this tool, `{slot}` among them, go into the header `{name}`"
                        )));
                    }
                } else if let Place::Query { name } = place {
                    target.url_mut().query_pairs_mut().append_pair(name, secret.expose());
                }
                added = true;
            }
        }
        Ok(added)
    }
}

fn place(slot: &str, inject: &Inject, settings: &Settings<'_>) -> Result<Place, String> {
    Ok(match inject {
        Inject::Bearer => Place::Header { name: AUTHORIZATION, prefix: "Bearer ".into() },
        Inject::Header { name, prefix } => {
            let header = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("the secret `{slot}`: `{name}` is not the name of a header"))?;
            if headers::is_hosts_own(&header) || matches!(header, CONTENT_LENGTH | ACCEPT_ENCODING) {
                return Err(format!("the secret `{slot}`: the header `{name}` is rig's own and carries no secret"));
            }
            Place::Header { name: header, prefix: prefix.clone() }
        }
        Inject::Basic { user } => match settings.expand(user) {
            Ok(user) if user.contains(':') || user.chars().any(char::is_control) => {
                return Err(format!("the secret `{slot}`: its user name holds a `:` or a control character"));
            }
            Ok(user) => Place::Basic { user: Ok(user) },
            Err(TemplateProblem::Unset(name)) => {
                Place::Basic { user: Err(format!("the secret `{slot}` needs the setting {name}, which has no value")) }
            }
            Err(TemplateProblem::Bad(why)) => return Err(why),
        },
        Inject::Query { name } => Place::Query { name: name.clone() },
        Inject::Oauth2ServiceAccount { scopes, token_url } => Place::Token(TokenSource::new(slot, scopes, token_url)?),
    })
}

fn header_value(slot: &str, place: &Place, secret: &Secret, tokens: &Held) -> Result<HeaderValue, HttpError> {
    let text = match place {
        Place::Basic { user } => {
            let user = user.as_ref().map_err(|why| HttpError::Denied(why.clone()))?;
            let pair = Zeroizing::new(format!("{user}:{}", secret.expose()));
            Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
        }
        Place::Header { prefix, .. } => Zeroizing::new(format!("{prefix}{}", secret.expose())),
        Place::Token(_) => {
            // Minted before: the key itself never stands in a request.
            let none = || HttpError::Denied(format!("there is no access token for the secret `{slot}`"));
            let token = tokens.token(slot).ok_or_else(none)?;
            Zeroizing::new(format!("Bearer {}", token.value().expose()))
        }
        Place::Query { .. } => Zeroizing::default(),
    };
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
        HttpError::InvalidRequest(format!(
            "the secret `{slot}` holds a line break or another control character, which a header cannot carry"
        ))
    })?;
    // Kept out of debug output of the HTTP library.
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rig_specs::manifest::Capabilities;

    use super::*;
    use crate::secrets::Marker;

    const GRANTED: &str = r#"
        [[network]]
        host = "api.example.com"
        [secrets.TOKEN]
        hosts = ["api.example.com"]
        inject = { type = "bearer" }
        [secrets.KEY]
        hosts = ["*.keyed.example"]
        inject = [{ type = "header", name = "X-Api-Key", prefix = "Key " }, { type = "query", name = "key" }]
        [secrets.PASSWORD]
        hosts = ["basic.example"]
        inject = { type = "basic", user = "{config.ACCOUNT}" }
    "#;

    fn bindings(account: Option<&str>) -> Result<Bindings, String> {
        let granted: Capabilities = toml::from_str(GRANTED).unwrap();
        let values = account.map(|account| ("ACCOUNT".to_owned(), account.to_owned())).into_iter().collect();
        Bindings::compile(&Settings { granted: &granted, values: &values })
    }

    fn secrets(slots: &[&str]) -> CallSecrets {
        slots.iter().fold(CallSecrets::none(), |all, slot| {
            all.with(slot, Secret::new(format!("value of {slot}&")), Marker::Env((*slot).into()))
        })
    }

    fn apply(slots: &[&str], url: &str) -> Result<(String, BTreeMap<String, String>), HttpError> {
        let mut target = Target::parse(url).unwrap();
        let mut headers = HeaderMap::new();
        bindings(Some("AC1")).unwrap().apply(&secrets(slots), &Held::default(), &mut target, &mut headers, false)?;
        let headers = headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect();
        Ok((target.url().to_string(), headers))
    }

    #[test]
    fn each_secret_goes_to_its_place() {
        let basic = format!("Basic {}", STANDARD.encode("AC1:value of PASSWORD&"));
        let all = ["TOKEN", "KEY", "PASSWORD"];
        for (slots, url, sent_url, sent) in [
            (
                &all[..],
                "https://api.example.com/",
                "https://api.example.com/",
                &[("authorization", "Bearer value of TOKEN&")][..],
            ),
            (
                &all[..],
                "https://a.keyed.example/?a=b%20c",
                "https://a.keyed.example/?a=b%20c&key=value+of+KEY%26",
                &[("x-api-key", "Key value of KEY&")],
            ),
            (&all[..], "https://basic.example/", "https://basic.example/", &[("authorization", basic.as_str())]),
            // Bound elsewhere, or not a slot of the tool.
            (&all[..], "https://other.example/", "https://other.example/", &[]),
            (&all[..], "https://keyed.example/", "https://keyed.example/", &[]),
            (&["KEY"][..], "https://api.example.com/", "https://api.example.com/", &[]),
            (&[][..], "https://api.example.com/", "https://api.example.com/", &[]),
        ] {
            let sent = sent.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            assert_eq!(apply(slots, url), Ok((sent_url.to_owned(), sent)), "{url}");
        }
    }

    #[test]
    fn injected_headers_do_not_show_in_debug_output() {
        let mut target = Target::parse("https://api.example.com/").unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(
            bindings(None).unwrap().apply(&secrets(&["TOKEN"]), &Held::default(), &mut target, &mut headers, false),
            Ok(true)
        );
        assert!(!format!("{headers:?}").contains("value of"));
    }

    #[test]
    fn not_in_the_clear() {
        let url = "http://api.example.com/";
        match apply(&["TOKEN"], url) {
            Err(HttpError::Denied(text)) => assert!(text.starts_with("the secret `TOKEN` is not sent"), "{text}"),
            other => panic!("{other:?}"),
        }
        // The project's own hosts are another matter, and so are requests without a secret.
        let mut target = Target::parse(url).unwrap();
        let own = bindings(None).unwrap().apply(
            &secrets(&["TOKEN"]),
            &Held::default(),
            &mut target,
            &mut HeaderMap::new(),
            true,
        );
        assert_eq!(own, Ok(true));
        assert!(apply(&[], url).is_ok());
    }

    #[test]
    fn a_guest_cannot_take_the_place_of_a_secret() {
        let bindings = bindings(Some("AC1")).unwrap();
        let refuse = |url: &str, header: &'static str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(header), HeaderValue::from_static("x"))]);
            bindings.refuse_owned(&Target::parse(url).unwrap(), &headers)
        };
        for (url, header, why) in [
            (
                "https://api.example.com/",
                "authorization",
                "the header `authorization` carries the secret `TOKEN` to api.example.com",
            ),
            ("https://a.keyed.example/", "x-api-key", "the header `x-api-key` carries the secret `KEY`"),
            ("https://a.keyed.example/?a=1&key=x", "accept", "the query field `key` carries the secret `KEY`"),
            ("https://a.keyed.example/?k%65y=x", "accept", "the query field `key` carries the secret `KEY`"),
            ("https://basic.example/", "authorization", "the header `authorization` carries the secret `PASSWORD`"),
        ] {
            match refuse(url, header) {
                Err(HttpError::InvalidRequest(text)) => assert!(text.starts_with(why), "{text}"),
                other => panic!("{url}: {other:?}"),
            }
        }
        for (url, header) in [
            ("https://other.example/?key=x", "authorization"),
            ("https://api.example.com/", "x-api-key"),
            ("https://a.keyed.example/?keys=x", "authorization"),
        ] {
            assert_eq!(refuse(url, header), Ok(()), "{url}");
        }
    }

    #[test]
    fn redirects_lose_the_copied_field() {
        let bindings = bindings(None).unwrap();
        for (url, stripped) in [
            ("https://a.keyed.example/x?key=copied&a=1", "https://a.keyed.example/x?a=1"),
            ("https://a.keyed.example/x?key=copied", "https://a.keyed.example/x"),
            ("https://a.keyed.example/x?a=%20", "https://a.keyed.example/x?a=%20"),
            ("https://other.example/x?key=own", "https://other.example/x?key=own"),
        ] {
            let mut target = Target::parse(url).unwrap();
            bindings.strip_owned(&mut target);
            assert_eq!(target.url().as_str(), stripped);
        }
    }

    #[test]
    fn values_that_cannot_be_sent() {
        let mut target = Target::parse("https://basic.example/").unwrap();
        let unset = bindings(None).unwrap().apply(
            &secrets(&["PASSWORD"]),
            &Held::default(),
            &mut target,
            &mut HeaderMap::new(),
            false,
        );
        let why = "the secret `PASSWORD` needs the setting ACCOUNT, which has no value";
        assert_eq!(unset, Err(HttpError::Denied(why.into())));
        assert!(bindings(Some("a:b")).unwrap_err().contains("holds a `:`"));
        for name in ["Host", "Transfer-Encoding", "Content-Length", "Proxy-Authorization"] {
            let granted = toml::from_str(&GRANTED.replace("X-Api-Key", name)).unwrap();
            let why = Bindings::compile(&Settings { granted: &granted, values: &BTreeMap::new() }).unwrap_err();
            assert_eq!(why, format!("the secret `KEY`: the header `{name}` is rig's own and carries no secret"));
        }
        let broken = CallSecrets::none().with("TOKEN", Secret::new("canary\nX: y".into()), Marker::Env("TOKEN".into()));
        let mut target = Target::parse("https://api.example.com/").unwrap();
        match bindings(None).unwrap().apply(&broken, &Held::default(), &mut target, &mut HeaderMap::new(), false) {
            Err(HttpError::InvalidRequest(text)) => {
                assert!(text.contains("`TOKEN` holds a line break") && !text.contains("canary"));
            }
            other => panic!("{other:?}"),
        }
    }
}
