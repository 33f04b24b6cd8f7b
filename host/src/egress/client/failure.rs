//! What went wrong, in words that hold no URL: a URL may carry a secret in its query.

use std::{error::Error as StdError, io};

use super::{super::HttpError, resolve::Unresolved};

/// Sorts an error of the HTTP library.
pub(super) fn describe(error: reqwest::Error, host: &str, proxy: Option<&str>) -> HttpError {
    let error = error.without_url();
    if let Some(unresolved) = find::<Unresolved>(&error) {
        return HttpError::Dns(unresolved.to_string());
    }
    if let Some(tls) = find::<rustls::Error>(&error) {
        let hint = match tls {
            rustls::Error::InvalidCertificate(_) => {
                "; an authority of your own can be named in network.extra_ca of rig.yaml"
            }
            _ => "",
        };
        return HttpError::Tls(format!("no secure connection to {host}: {tls}{hint}"));
    }
    let cause = innermost(&error);
    if error.is_connect() {
        let through = proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        if error.is_timeout() {
            return HttpError::Timeout(format!("{host}{through} did not accept a connection in time"));
        }
        return HttpError::Connect(format!("no connection to {host}{through}: {cause}"));
    }
    if error.is_timeout() {
        return HttpError::Timeout(format!("{host} did not answer in time"));
    }
    if error.is_builder() {
        return HttpError::InvalidRequest(format!("the request to {host} cannot be sent: {cause}"));
    }
    HttpError::Protocol(format!("{host} broke off or did not answer in HTTP: {cause}"))
}

/// The last cause says most; those before it repeat "error sending request".
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = cause(last) {
        last = source;
    }
    last.to_string()
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = cause(error);
    }
    None
}

/// `io::Error` passes over the error it wraps and names that one's source.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
