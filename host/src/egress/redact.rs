//! Finds known secrets in what comes back, and blanks them.
//!
//! The promise that counts is that a secret never enters the guest on its way out; this is the second line, for services that echo
//! what they were sent. A secret is found as it is, percent-encoded, as text in JSON, in base64 (also in the middle of a longer
//! encoded text, as in `Basic` credentials) and in hex. A service that transforms it otherwise is not found out. Secrets shorter
//! than [`limits::REDACTED_SECRET`] bytes are not looked for.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    sync::Arc,
};

use aho_corasick::{AhoCorasick, Input, MatchKind};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::limits;
use crate::secrets::{CallSecrets, Secret};

/// All but the unreserved characters of RFC 3986, as `encodeURIComponent`-like functions write it.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What forms leave as it is; a space becomes `+`.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b' ');

/// How much of a form is looked for at first; the rest is compared where that much was found. The key of a service account has
/// thousands of bytes in each of its forms, and an automaton of all of them takes longer to build than the call it is for.
const SOUGHT: usize = 64;

/// Blanks the secrets of one call.
#[derive(Default)]
pub struct Redactor {
    /// Nothing when there is nothing to look for.
    patterns: Option<AhoCorasick>,
    /// For each pattern the forms that may stand where it was found, the longest first.
    candidates: Vec<Vec<Form>>,
}

#[derive(Clone)]
struct Form {
    text: Arc<str>,
    replacement: Arc<str>,
}

impl fmt::Debug for Redactor {
    /// The automaton would show what it looks for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// One that finds nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One that finds those secrets.
    #[must_use]
    pub fn new(secrets: &CallSecrets) -> Self {
        Self::with(secrets, std::iter::empty())
    }

    /// One that also finds what was made of the secrets, or is a part of them, each with its slot.
    pub(super) fn with<'a>(secrets: &'a CallSecrets, more: impl Iterator<Item = (&'a str, &'a Secret)>) -> Self {
        let mut all: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        for (slot, secret) in secrets.iter().chain(more) {
            let value = secret.expose();
            if value.len() >= limits::REDACTED_SECRET {
                let replacement: Arc<str> = format!("[redacted:{slot}]").into();
                for form in forms(value) {
                    all.entry(form.into()).or_insert_with(|| Arc::clone(&replacement));
                }
            }
        }
        if all.is_empty() {
            return Self::none();
        }
        let start = |form: &'_ Arc<str>| form.as_bytes()[..form.len().min(SOUGHT)].to_vec();
        let patterns: BTreeSet<Vec<u8>> = all.keys().map(start).collect();
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&patterns);
        // It fails only beyond billions of states, which the size of an environment does not allow.
        let Ok(automaton) = automaton else { return Self::none() };
        let candidates = patterns.iter().map(|pattern| {
            let may_stand = |form: &str| form.as_bytes().starts_with(pattern) || pattern.starts_with(form.as_bytes());
            let forms = all.iter().filter(|(text, _)| may_stand(text));
            let mut forms: Vec<Form> = forms
                .map(|(text, replacement)| Form { text: Arc::clone(text), replacement: Arc::clone(replacement) })
                .collect();
            forms.sort_by_key(|form| std::cmp::Reverse(form.text.len()));
            forms
        });
        Self { candidates: candidates.collect(), patterns: Some(automaton) }
    }

    /// The first secret at or after a place, and what stands for it.
    fn next(&self, text: &[u8], mut from: usize) -> Option<(Range<usize>, &str)> {
        let patterns = self.patterns.as_ref()?;
        loop {
            let found = patterns.find(Input::new(text).range(from..))?;
            let here = &text[found.start()..];
            let candidates = &self.candidates[found.pattern().as_usize()];
            if let Some(form) = candidates.iter().find(|form| here.starts_with(form.text.as_bytes())) {
                return Some((found.start()..found.start() + form.text.len(), &form.replacement));
            }
            from = found.start() + 1;
        }
    }

    /// Whether a secret is in there.
    #[must_use]
    pub fn finds(&self, text: &[u8]) -> bool {
        self.next(text, 0).is_some()
    }

    /// The text with every secret replaced by `[redacted:SLOT]`.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut redacted = String::new();
        let mut end = 0;
        while let Some((range, replacement)) = self.next(text.as_bytes(), end) {
            redacted.extend([&text[end..range.start], replacement]);
            end = range.end;
        }
        if end == 0 {
            return Cow::Borrowed(text);
        }
        redacted.push_str(&text[end..]);
        Cow::Owned(redacted)
    }

    /// As [`Self::text`], for bytes of any kind.
    #[must_use]
    pub fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        let mut redacted = Vec::new();
        let mut end = 0;
        while let Some((range, replacement)) = self.next(&bytes, end) {
            redacted.extend_from_slice(&bytes[end..range.start]);
            redacted.extend_from_slice(replacement.as_bytes());
            end = range.end;
        }
        if end == 0 {
            return bytes;
        }
        redacted.extend_from_slice(&bytes[end..]);
        redacted
    }
}

/// The ways in which a secret is written.
fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned()];
    for set in [UNRESERVED, FORM] {
        let upper = utf8_percent_encode(value, set).to_string();
        let upper = if std::ptr::eq(set, FORM) { upper.replace(' ', "+") } else { upper };
        forms.push(lower_escapes(&upper));
        forms.push(upper);
    }
    if let Ok(json) = serde_json::to_string(value) {
        let json = &json[1..json.len() - 1];
        forms.push(json.replace('/', "\\/"));
        forms.push(json.to_owned());
    }
    forms.push(hex::encode(value));
    forms.push(hex::encode_upper(value));
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        forms.push(engine.encode(value));
        for before in 0..3_usize {
            // Three bytes make four characters. Of a longer text, those characters are sure that hold bits of the secret only.
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(value.as_bytes());
            let encoded = engine.encode(&bytes);
            let (first, last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
            forms.push(encoded[first..last].to_owned());
        }
    }
    forms
}

/// `%2F` → `%2f`, and nothing else.
fn lower_escapes(text: &str) -> String {
    let mut lowered = String::with_capacity(text.len());
    let mut in_escape = 0;
    for c in text.chars() {
        if c == '%' {
            in_escape = 3;
        }
        lowered.push(if in_escape > 0 { c.to_ascii_lowercase() } else { c });
        in_escape = usize::saturating_sub(in_escape, 1);
    }
    lowered
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;
    use crate::secrets::Marker;

    fn redactor(secrets: &[(&str, &str)]) -> Redactor {
        Redactor::new(&secrets.iter().fold(CallSecrets::none(), |all, (slot, value)| {
            all.with(slot, Secret::new((*value).into()), Marker::Env((*slot).into()))
        }))
    }

    const SECRET: &str = "sk+/live é?>~*\"x";

    #[test]
    fn every_form_is_found() {
        let redactor = redactor(&[("KEY", SECRET)]);
        let form: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let component = "sk%2B%2Flive%20%C3%A9%3F%3E~%2A%22x";
        for text in [
            SECRET.to_owned(),
            form.clone(),
            lower_escapes(&form),
            component.to_owned(),
            component.to_lowercase(),
            STANDARD.encode(SECRET),
            URL_SAFE.encode(SECRET),
            STANDARD_NO_PAD.encode(SECRET),
            hex::encode(SECRET),
            hex::encode_upper(SECRET),
            serde_json::to_string(SECRET).unwrap(),
            serde_json::to_string(SECRET).unwrap().replace('/', "\\/"),
        ] {
            let page = format!("before {text} after");
            let redacted = redactor.text(&page);
            assert!(redacted.contains("[redacted:KEY]"), "{text}");
            assert!(redacted.starts_with("before ") && redacted.ends_with(" after"), "{text}: {redacted}");
            assert!(redacted.len() < "before [redacted:KEY] after".len() + 5, "{text}: {redacted}");
            assert!(redactor.finds(page.as_bytes()));
            assert_eq!(redactor.bytes(page.clone().into_bytes()), redacted.as_bytes());
        }
        assert_eq!(redactor.bytes([b"\xff", SECRET.as_bytes(), b"\xfe"].concat()), b"\xff[redacted:KEY]\xfe");
    }

    #[test]
    fn base64_is_found_at_any_place() {
        let redactor = redactor(&[("KEY", SECRET)]);
        for before in 0..7 {
            for after in 0..4 {
                let text = format!("{}{SECRET}{}", "u".repeat(before), ":".repeat(after));
                for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text), STANDARD_NO_PAD.encode(&text)] {
                    let redacted = redactor.text(&encoded);
                    assert!(redacted.contains("[redacted:KEY]"), "{before} {after} {encoded}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let redactor = redactor(&[("KEY", SECRET), ("SHORT", "1234567")]);
        for text in ["", "sk+/live", "1234567", "nothing here", "[redacted:KEY]"] {
            assert!(matches!(redactor.text(text), Cow::Borrowed(same) if same == text));
        }
        // Long enough to be looked for: the shortest that is.
        assert_eq!(self::redactor(&[("K", "12345678")]).text("12345678"), "[redacted:K]");
        assert!(!Redactor::none().finds(SECRET.as_bytes()));
    }

    #[test]
    fn long_secrets_are_found_as_short_ones_are() {
        let long = (0..500).map(|n| n.to_string()).collect::<Vec<_>>().join("/é ");
        let other = format!("{}other end", &long[..1000]);
        let short = &long[..40];
        let redactor = redactor(&[("LONG", &long), ("OTHER", &other), ("SHORT", short)]);
        for (text, expected) in [
            (format!("<{long}>"), "<[redacted:LONG]>".to_owned()),
            (format!("<{other}{long}>"), "<[redacted:OTHER][redacted:LONG]>".into()),
            (format!("<{}>", STANDARD_NO_PAD.encode(&long)), "<[redacted:LONG]>".into()),
            (format!("<{}>", hex::encode(&other)), "<[redacted:OTHER]>".into()),
            // What begins as a long one and goes on otherwise holds the short one all the same.
            (format!("<{}>", &long[..200]), format!("<[redacted:SHORT]{}>", &long[40..200])),
            (format!("<{}>", &long[1..200]), format!("<{}>", &long[1..200])),
            (format!("{}{long}", &long[..30]), format!("{}[redacted:LONG]", &long[..30])),
        ] {
            assert_eq!(redactor.text(&text), expected);
            assert_eq!(redactor.bytes(text.clone().into_bytes()), expected.as_bytes());
            assert_eq!(redactor.finds(text.as_bytes()), text != expected);
        }
    }

    #[test]
    fn the_longest_secret_wins() {
        let redactor = redactor(&[("A", "common-prefix"), ("B", "common-prefix-longer")]);
        assert_eq!(redactor.text("common-prefix-longer common-prefix"), "[redacted:B] [redacted:A]");
    }
}
