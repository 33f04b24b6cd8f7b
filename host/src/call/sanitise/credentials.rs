//! What credentials look like: the names of fields that hold them, and their own forms in texts. Errs towards blanking.

use super::REDACTED;

/// Parts of names, in lower case and without separators.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "authorization",
    "credential",
    "privatekey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "sharedkey",
    "servicerolekey",
    "cookie",
    "cardnumber",
];

/// Whole names that are too short to be looked for inside others.
const SHORT_NAMES: &[&str] = &["pwd", "auth", "jwt", "otp", "pin", "cvc", "cvv", "pass", "bearer"];

/// Beginnings of credentials, and how many characters follow at least: the forms that the services give out, and rig itself.
const FORMS: &[(&str, usize)] = &[
    // Stripe
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("whsec_", 8),
    // GitHub and GitLab
    ("ghp_", 8),
    ("gho_", 8),
    ("ghu_", 8),
    ("ghs_", 8),
    ("ghr_", 8),
    ("github_pat_", 8),
    ("glpat-", 8),
    // Slack
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("xoxa-", 8),
    ("xoxr-", 8),
    ("xoxs-", 8),
    ("xoxe-", 8),
    ("xoxe.", 8),
    ("xapp-", 8),
    // Model services
    ("sk-ant-", 8),
    ("sk-proj-", 8),
    ("sk-", 20),
    ("hf_", 16),
    // AWS and Google
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ya29.", 16),
    ("GOCSPX-", 16),
    // SendGrid, Notion, Airtable, Supabase, Twilio's secret-like ids
    ("SG.", 20),
    ("ntn_", 16),
    ("secret_", 16),
    ("pat", 60),
    ("sbp_", 16),
    ("sb_secret_", 8),
    // Registries and clouds
    ("npm_", 16),
    ("pypi-", 16),
    ("dop_v1_", 16),
    ("shpat_", 16),
    ("shpss_", 16),
    // JSON Web Tokens
    ("eyJ", 20),
    // rig's own
    ("rig_", 43),
];

/// Bytes of a word that are looked at for a name or the beginning of a form.
const MAX_WORD: usize = 128;

/// Whether a field of this name holds a credential.
pub(crate) fn is_name(name: &str) -> bool {
    let squashed: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    SHORT_NAMES.contains(&squashed.as_str()) || NAMES.iter().any(|part| squashed.contains(part))
}

/// The text with every credential in it blanked.
pub(crate) fn without(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        // A credential begins where a word begins.
        let starts = before.is_none_or(|before: char| !before.is_alphanumeric());
        if starts && let Some((kept, hidden)) = credential(rest) {
            out.push_str(&rest[..kept]);
            out.push_str(REDACTED);
            rest = &rest[kept + hidden..];
            before = Some(']');
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            before = Some(c);
        }
    }
    out
}

/// Of a credential at the beginning of a text: how many bytes of it can stay, and how many after them are to be hidden.
fn credential(text: &str) -> Option<(usize, usize)> {
    if text.starts_with("-----BEGIN ") {
        return Some((0, pem(text)));
    }
    let first = text.chars().next()?;
    if !first.is_ascii_alphanumeric() {
        return None;
    }
    // Bounded, because every part of `a.a.a.…` begins a word.
    let word = text.bytes().take(MAX_WORD).take_while(|byte| is_word(char::from(*byte))).count();
    if FORMS.iter().any(|(start, least)| text.strip_prefix(start).is_some_and(|tail| run(tail, is_token) >= *least)) {
        return Some((0, run(text, is_token)));
    }
    scheme(text, word).or_else(|| userinfo(text, word)).or_else(|| assigned(text, word))
}

/// `Bearer …` and `Basic …`, as in a header.
fn scheme(text: &str, word: usize) -> Option<(usize, usize)> {
    let name = &text[..word];
    let least = match () {
        () if name.eq_ignore_ascii_case("bearer") => 4,
        () if name.eq_ignore_ascii_case("basic") => 8,
        () => return None,
    };
    let spaces = run(&text[word..], |c| c == ' ');
    let tail = &text[word + spaces..];
    let hidden = run(tail, is_token);
    // Of ordinary words after "basic", few have capitals, digits or signs in them; base64 has.
    let basic_word = name.len() == 5 && tail[..hidden].bytes().all(|b| b.is_ascii_lowercase() || b == b'.');
    (spaces > 0 && hidden >= least && !basic_word).then_some((word + spaces, hidden))
}

/// `https://user:password@host`.
fn userinfo(text: &str, word: usize) -> Option<(usize, usize)> {
    let authority = text[word..].strip_prefix("://")?;
    let authority = &authority[..run(authority, |c| !matches!(c, '/' | '?' | '#' | '"' | '\'') && !c.is_whitespace())];
    let (user, _) = authority.rsplit_once('@')?;
    user.contains(':').then_some((word + 3, user.len()))
}

/// `api_key=…`, as in an address or a file of settings.
fn assigned(text: &str, word: usize) -> Option<(usize, usize)> {
    let value = text[word..].strip_prefix('=')?;
    if !is_name(&text[..word]) {
        return None;
    }
    let (kept, hidden) = match value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        Some(quote) => (word + 2, run(&value[1..], |c| c != quote)),
        None => (word + 1, run(value, |c| !matches!(c, '&' | ';' | ',' | '"' | '\'' | '#') && !c.is_whitespace())),
    };
    (hidden > 0).then_some((kept, hidden))
}

/// A PEM block; one without an end goes as far as the text.
fn pem(text: &str) -> usize {
    let Some(end) = text.find("-----END ") else { return text.len() };
    let after = end + "-----END ".len();
    text[after..].find("-----").map_or(text.len(), |dashes| after + dashes + "-----".len())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn is_token(c: char) -> bool {
    is_word(c) || matches!(c, '+' | '/' | '=' | '~' | '%')
}

/// How many bytes at the beginning are of that kind.
fn run(text: &str, kind: impl Fn(char) -> bool) -> usize {
    text.find(|c| !kind(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_credentials_lose_them_and_nothing_else() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----";
        let rig = format!("rig_{}", "aB3-_".repeat(9));
        for (text, expected) in [
            ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "[redacted]"),
            ("use sk_live_4eC39HqLyjWDarjtT1zdp7dc, please", "use [redacted], please"),
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "[redacted]"),
            ("(xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy)", "([redacted])"),
            ("key=AKIAIOSFODNN7EXAMPLE", "key=[redacted]"),
            ("Bearer abc123", "Bearer [redacted]"),
            ("authorization: bearer  a.b-c_d==", "authorization: bearer  [redacted]"),
            ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln rest", "[redacted] rest"),
            ("postgres://app:hunter2@db.example.com/x", "postgres://[redacted]@db.example.com/x"),
            ("postgres://app:p@ss@db/x", "postgres://[redacted]@db/x"),
            ("https://x.example/?page=2&api_key=abc&z=1", "https://x.example/?page=2&api_key=[redacted]&z=1"),
            ("DB_PASSWORD='two words' X=1", "DB_PASSWORD='[redacted]' X=1"),
            (&format!("a {pem} b"), "a [redacted] b"),
            ("x -----BEGIN RSA PRIVATE KEY-----\nMIIE", "x [redacted]"),
            (&rig, "[redacted]"),
            // Not credentials.
            ("", ""),
            ("Basic understanding of bearer x", "Basic understanding of bearer x"),
            ("task_live_ and sk_live_", "task_live_ and sk_live_"),
            ("the pattern, a patent, sk-ii, SG.1, rig_yaml", "the pattern, a patent, sk-ii, SG.1, rig_yaml"),
            ("https://example.com/@user:x", "https://example.com/@user:x"),
            ("mailto a@example.com", "mailto a@example.com"),
            ("1 + 1 = 2; passwords = many", "1 + 1 = 2; passwords = many"),
            ("日本語 ghp_short ü", "日本語 ghp_short ü"),
        ] {
            assert_eq!(without(text), expected, "{text}");
        }
    }

    #[test]
    fn every_form_is_found() {
        for (start, least) in FORMS {
            let body = "a1B2c3D4".repeat(10);
            let (whole, short) = (format!("{start}{}", &body[..*least]), format!("{start}{}", &body[..least - 1]));
            assert_eq!(without(&whole), "[redacted]", "{start}");
            assert_eq!(without(&short), short, "{start}");
        }
    }
}
