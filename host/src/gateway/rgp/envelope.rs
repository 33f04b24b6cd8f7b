//! The body of a call, taken apart without reading what is inside: the arguments go on as the text that they came as.
//!
//! A tree of the arguments would cost more than many calls do. The whole body is checked by the strict rules of [`json`] in one
//! pass; splitting what has passed needs to know about strings and brackets only.

use std::borrow::Cow;

use rig_specs::rtp::CallContext;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::http::{MAX_NAME, problem::Problem};
use crate::call::json;

/// What a call is asked for with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    /// The arguments, one JSON object; `{}` when there are none.
    pub args: &'a str,
    /// Who calls; what is empty is absent.
    pub context: CallContext,
}

impl<'a> Envelope<'a> {
    /// Reads a body. Nothing at all is a call without arguments.
    pub(super) fn read(text: &'a str) -> Result<Self, Problem> {
        let mut envelope = Self { args: "{}", ..Self::default() };
        if text.is_empty() {
            return Ok(envelope);
        }
        check(text)?;
        for (key, value) in fields(text) {
            match key.as_ref() {
                "args" if value.starts_with('{') => envelope.args = value,
                "args" => return Err(Problem::invalid("`args` must be an object")),
                "context" => envelope.context = context(value)?,
                other => return Err(unknown(other, "`args` and `context`")),
            }
        }
        Ok(envelope)
    }
}

/// Refuses a text that is not one strict JSON object.
fn check(text: &str) -> Result<(), Problem> {
    // The quick look cannot tell everything, and never says why.
    if json::is_plain_object(text) { Ok(()) } else { object(text).map(drop) }
}

/// Reads one strict JSON object.
pub(super) fn object(text: &str) -> Result<Map<String, Value>, Problem> {
    json::object(text).map_err(|why| Problem::invalid_json(format!("the body cannot be used: {why}")))
}

fn unknown(key: &str, known: &str) -> Problem {
    let key: String = key.escape_debug().take(64).collect();
    Problem::invalid(format!("the body has a key `{key}`; the keys here are {known}"))
}

fn context(text: &str) -> Result<CallContext, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named<'a> {
        #[serde(borrow, default)]
        tenant_id: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        request_id: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        actor: Option<Cow<'a, str>>,
    }
    if !text.starts_with('{') {
        return Err(Problem::invalid("`context` must be an object"));
    }
    let named: Named<'_> = serde_json::from_str(text).map_err(|error| {
        let error = error.to_string();
        // The place is one inside the context, which says nothing to who sent the body.
        let why = error.split(" at line ").next().unwrap_or_default();
        Problem::invalid(format!("`context` cannot be used: {why}"))
    })?;
    let taken = |name: &str, value: Option<Cow<'_, str>>, fits: fn(char) -> bool, what: &str| match value {
        Some(value) if value.chars().count() > MAX_NAME || !value.chars().all(fits) => {
            Err(Problem::invalid(format!("`context.{name}` has at most {MAX_NAME} characters, {what}")))
        }
        value => Ok(value.filter(|value| !value.is_empty()).map(Cow::into_owned)),
    };
    Ok(CallContext {
        tenant_id: taken("tenant_id", named.tenant_id, |c| !c.is_control(), "no control characters")?,
        request_id: taken("request_id", named.request_id, |c| c.is_ascii_graphic(), "visible ASCII")?,
        actor: taken("actor", named.actor, |c| !c.is_control(), "no control characters")?,
    })
}

/// The keys and values of an object whose text has been checked.
fn fields(text: &str) -> Vec<(Cow<'_, str>, &str)> {
    let bytes = text.as_bytes();
    let (mut fields, mut key): (Vec<(Cow<'_, str>, &str)>, Option<&str>) = (Vec::new(), None);
    let (mut at, mut depth, mut start) = (0, 0_usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                if depth == 1 {
                    start = at + 1;
                }
            }
            b':' if depth == 1 => {
                key = Some(text[start..at].trim());
                start = at + 1;
            }
            b',' | b'}' | b']' => {
                if depth == 1
                    && let Some(key) = key.take()
                {
                    fields.push((unquoted(key), text[start..at].trim()));
                }
                if bytes[at] == b',' {
                    if depth == 1 {
                        start = at + 1;
                    }
                } else {
                    depth = depth.saturating_sub(1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    fields
}

/// Where the string that begins at a quote has its other quote.
fn string_end(bytes: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

fn unquoted(key: &str) -> Cow<'_, str> {
    let inside = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
    if inside.contains('\\') {
        return serde_json::from_str::<String>(key).map_or(Cow::Borrowed(inside), Cow::Owned);
    }
    Cow::Borrowed(inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn arguments_go_on_as_they_came() {
        for (text, args) in [
            ("", "{}"),
            ("{}", "{}"),
            (r#"{"args":{}}"#, "{}"),
            (
                "{\"args\" :\n{ \"a\" : 1.50, \"b\":[{\"c\":\"}\\\"]\"}] } }",
                "{ \"a\" : 1.50, \"b\":[{\"c\":\"}\\\"]\"}] }",
            ),
            (r#"{"context":{"actor":"x"},"args":{"a":{"args":{}}}}"#, r#"{"a":{"args":{}}}"#),
            (r#"{"\u0061rgs":{"n":123456789012345678901234567890}}"#, r#"{"n":123456789012345678901234567890}"#),
        ] {
            assert_eq!(Envelope::read(text).unwrap().args, args, "{text}");
        }
    }

    #[test]
    fn context_is_taken_and_what_is_empty_is_absent() {
        let text = r#"{"context":{"tenant_id":"","request_id":"r-1","actor":"Zo\u00eb"}}"#;
        let expected = CallContext { tenant_id: None, request_id: Some("r-1".into()), actor: Some("Zoë".into()) };
        assert_eq!(Envelope::read(text).unwrap().context, expected);
        assert_eq!(Envelope::read(r#"{"context":{"actor":null}}"#).unwrap().context, CallContext::default());
    }

    #[test]
    fn bodies_that_are_no_strict_object_are_named() {
        let deep = format!("{{\"args\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for (text, why) in [
            ("{", "EOF while parsing"),
            ("[]", "expected a JSON object, found an array"),
            ("null", "expected a JSON object, found null"),
            ("{} {}", "trailing characters"),
            (r#"{"args":{},"args":{}}"#, "args"),
            (r#"{"args":{"a":1,"a":2}}"#, "a"),
            (r#"{"args":{"a":[{"b":1,"\u0062":2}]}}"#, "b"),
            (deep.as_str(), "recursion limit exceeded"),
        ] {
            let problem = Envelope::read(text).unwrap_err();
            let body: Value = serde_json::from_str(&problem.body()).unwrap();
            assert_eq!((problem.status().as_u16(), &body["error"]), (400, &"invalid_json".into()), "{text}");
            assert!(body["detail"].as_str().unwrap().contains(why), "{text}: {body}");
        }
    }

    #[test]
    fn objects_that_say_something_else_are_refused() {
        let long = format!(r#"{{"context":{{"actor":"{}"}}}}"#, "a".repeat(201));
        for (text, detail) in [
            (r#"{"args":[]}"#, "`args` must be an object"),
            (r#"{"args":null}"#, "`args` must be an object"),
            (r#"{"context":"x"}"#, "`context` must be an object"),
            (r#"{"arg":{}}"#, "the body has a key `arg`; the keys here are `args` and `context`"),
            (
                r#"{"context":{"tenant":"x"}}"#,
                "`context` cannot be used: unknown field `tenant`, expected one of `tenant_id`, `request_id`, `actor`",
            ),
            (r#"{"context":{"actor":5}}"#, "`context` cannot be used: invalid type: integer `5`, expected a string"),
            (r#"{"context":{"request_id":"a b"}}"#, "`context.request_id` has at most 200 characters, visible ASCII"),
            (r#"{"context":{"actor":"a\n"}}"#, "`context.actor` has at most 200 characters, no control characters"),
            (long.as_str(), "`context.actor` has at most 200 characters, no control characters"),
        ] {
            assert_eq!(Envelope::read(text), Err(Problem::invalid(detail)), "{text}");
        }
    }

    /// On whatever strict object, splitting finds what reading the whole finds.
    #[test]
    fn splitting_agrees_with_reading() {
        for text in [
            r#"{"a":1,"b":"x,}","c":[1,{"d":2}],"e\"":{"f":[]},"g":null}"#,
            r#" { "a" : "\\" , "b" : { } , "" : [ ] } "#,
            "{ }",
        ] {
            let whole = json::object(text).unwrap();
            let split = fields(text);
            assert_eq!(split.len(), whole.len(), "{text}");
            for (key, value) in split {
                assert_eq!(serde_json::from_str::<Value>(value).unwrap(), whole[key.as_ref()], "{text}");
            }
        }
    }
}
