//! Reads `WWW-Authenticate`: which kinds of credentials a registry takes, and where its token server is. Pure.

use http::HeaderValue;

/// A kind of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// A token.
    Bearer,
    /// A name and a password.
    Basic,
    /// One that rig does not know.
    Other,
}

/// One way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) scheme: Scheme,
    params: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter, whatever the case of its name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Every challenge of the headers, in order. What cannot be read ends its header.
pub(super) fn all<'a>(headers: impl Iterator<Item = &'a HeaderValue>) -> Vec<Challenge> {
    headers.filter_map(|header| header.to_str().ok()).flat_map(read).collect()
}

fn read(text: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return found;
        }
        if let Some(value) = after.trim_start().strip_prefix('=') {
            let Some((value, after)) = read_value(value.trim_start()) else { return found };
            if let Some(challenge) = found.last_mut() {
                challenge.params.push((word.to_owned(), value));
            }
            rest = after;
        } else {
            let scheme = match word.to_ascii_lowercase().as_str() {
                "bearer" => Scheme::Bearer,
                "basic" => Scheme::Basic,
                _ => Scheme::Other,
            };
            found.push(Challenge { scheme, params: Vec::new() });
            rest = after;
        }
    }
}

fn token(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))).unwrap_or(text.len());
    text.split_at(end)
}

/// A token or a quoted text, and what follows it.
fn read_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let one = |challenge: &Challenge| {
            let params: Vec<String> = challenge.params.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("{:?}[{}]", challenge.scheme, params.join(" "))
        };
        read(text).iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn challenges() {
        let cases = [
            (
                r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#,
                "Bearer[realm=https://auth.example/token service=r.example scope=repository:a/b:pull,push]",
            ),
            (r#"Basic realm="a \"b\" c""#, r#"Basic[realm=a "b" c]"#),
            (r#"basic realm=x, BEARER Realm = "y" , service=z"#, "Basic[realm=x]; Bearer[Realm=y service=z]"),
            ("Negotiate, Basic", "Other[]; Basic[]"),
            (r#"Bearer realm="https://a"#, "Bearer[]"),
            (r#"Bearer realm="a\"#, "Bearer[]"),
            ("", ""),
            ("=x", ""),
            (",,,", ""),
            ("realm=x", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
        assert_eq!(read(r#"Bearer REALM="x""#)[0].get("realm"), Some("x"));
    }
}
