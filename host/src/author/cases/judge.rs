//! Compares what came of a call with what a case says.

use rig_specs::rtp::ToolResult;
use serde_json::{Map, Value, json};
use similar::{ChangeTag, TextDiff};

use super::file::Case;

/// Lines around a difference that are shown with it.
const CONTEXT: usize = 3;

/// What is expected of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expectation {
    /// This output.
    Output(Value),
    /// An output with this in it.
    Includes(Value),
    /// An error with this in it.
    Error(Map<String, Value>),
}

impl Expectation {
    /// What a case says itself.
    pub(super) fn of(case: &Case) -> Option<Self> {
        let output = case.output.clone().map(Self::Output);
        let includes = || case.includes.clone().map(Self::Includes);
        output.or_else(includes).or_else(|| case.error.clone().map(Self::Error))
    }

    /// What came of a call, to be expected of the next.
    pub(super) fn from_result(result: &ToolResult) -> Self {
        match (&result.output, error(result)) {
            (_, Some(error)) => Self::Error(error),
            (output, None) => Self::Output(serde_json::to_value(output).unwrap_or_default()),
        }
    }

    /// What is wrong with the result, if anything is.
    pub(super) fn judge(&self, result: &ToolResult) -> Option<String> {
        let output = || serde_json::to_value(&result.output).unwrap_or_default();
        match (self, error(result)) {
            (Self::Output(expected), None) => {
                differs("the output is not the one that was expected", expected, &output())
            }
            (Self::Includes(expected), None) => {
                let found = output();
                let compared = part(expected, &found);
                differs("the output does not include what was expected", expected, &compared)
            }
            (Self::Error(expected), Some(found)) => {
                let found = Value::Object(found);
                let expected = Value::Object(expected.clone());
                differs("the error is not the one that was expected", &expected, &part(&expected, &found))
            }
            (Self::Error(_), None) => {
                Some(format!("the call succeeded, and an error was expected; its output:\n{}", indented(&output())))
            }
            (_, Some(error)) => Some(format!("the call failed:\n{}", indented(&Value::Object(error)))),
        }
    }
}

/// The error of a result without what differs from call to call.
fn error(result: &ToolResult) -> Option<Map<String, Value>> {
    let error = result.error.as_ref()?;
    let mut object = match serde_json::to_value(error) {
        Ok(Value::Object(object)) => object,
        _ => Map::from_iter([("message".to_owned(), json!(error.message))]),
    };
    object.remove("correlation_id");
    Some(object)
}

fn differs(what: &str, expected: &Value, found: &Value) -> Option<String> {
    (expected != found).then(|| format!("{what}:\n{}", diff(&format!("{expected:#}\n"), &format!("{found:#}\n"))))
}

/// What is left of a value when only what is expected is looked at: of objects the fields that are expected. Lists are compared item
/// by item, and are as long as expected.
fn part(expected: &Value, found: &Value) -> Value {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected
            .iter()
            .filter_map(|(key, expected)| Some((key.clone(), part(expected, found.get(key)?))))
            .collect::<Map<_, _>>()
            .into(),
        (Value::Array(expected), Value::Array(found)) => {
            let rest = found.iter().skip(expected.len()).cloned();
            expected.iter().zip(found).map(|(expected, found)| part(expected, found)).chain(rest).collect()
        }
        // `1` and `1.0` are the same number to whoever writes a case.
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => expected.clone(),
        _ => found.clone(),
    }
}

fn indented(value: &Value) -> String {
    format!("{value:#}").lines().flat_map(|line| ["  ", line, "\n"]).collect()
}

/// The lines in which two texts differ: `-` was expected, `+` was found.
pub(super) fn diff(expected: &str, found: &str) -> String {
    let diff = TextDiff::from_lines(expected, found);
    let mut out = String::new();
    for (position, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if position > 0 {
            out.push_str("  …\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            out.push(sign);
            out.push(' ');
            out.push_str(change.value().trim_end_matches('\n'));
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use rig_specs::rtp::{ErrorKind, ToolError};

    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "callers write `json!(…)` in place")]
    fn output(value: Value) -> ToolResult {
        let base = json!({ "ok": true, "output": value, "error": null, "correlation_id": "c", "pack": "p", "pack_version": "1.0.0",
            "interface_hash": "", "pack_set_version": "" });
        serde_json::from_value(base).unwrap()
    }

    fn failed() -> ToolResult {
        let error = ToolError {
            kind: ErrorKind::NotFound,
            message: "gone".into(),
            retryable: false,
            upstream_code: Some("404".into()),
            remediation_hints: vec![],
            correlation_id: "c".into(),
        };
        ToolResult { ok: false, output: None, error: Some(error), ..output(json!({})) }
    }

    #[test]
    fn exact_and_in_part() {
        let result = output(json!({ "a": { "b": 1, "c": 2.0 }, "list": [{ "x": 1, "y": 2 }] }));
        let includes = |value: Value| Expectation::Includes(value).judge(&result);
        for fits in [json!({}), json!({ "a": { "c": 2 } }), json!({ "list": [{ "y": 2 }] })] {
            assert_eq!(includes(fits.clone()), None, "{fits}");
        }
        for (wrong, line) in [
            (json!({ "a": { "b": 2 } }), "+     \"b\": 1"),
            (json!({ "list": [] }), "+     {"),
            (json!({ "list": [{}, {}] }), "-     {},"),
            (json!({ "z": null }), "-   \"z\": null"),
        ] {
            let why = includes(wrong.clone()).unwrap_or_else(|| panic!("{wrong} fits"));
            assert!(why.starts_with("the output does not include what was expected:\n"), "{why}");
            assert!(why.lines().any(|found| found.starts_with(line)), "{line}\n{why}");
        }
        let exact = |value: Value| Expectation::Output(value).judge(&output(json!({ "n": 1, "m": 2 })));
        assert_eq!(exact(json!({ "m": 2, "n": 1 })), None);
        assert!(exact(json!({ "n": 1 })).unwrap().contains("+   \"m\": 2"));
    }

    #[test]
    fn errors_are_compared_in_part_and_never_taken_for_outputs() {
        let error = |value: Value| Expectation::Error(value.as_object().unwrap().clone());
        assert_eq!(error(json!({ "type": "not_found", "upstream_code": "404" })).judge(&failed()), None);
        let why = error(json!({ "type": "conflict" })).judge(&failed()).unwrap();
        assert!(why.contains("- ") && why.contains("+   \"type\": \"not_found\""), "{why}");
        let why = error(json!({})).judge(&output(json!({ "n": 1 }))).unwrap();
        assert!(why.starts_with("the call succeeded, and an error was expected"), "{why}");
        let why = Expectation::Includes(json!({})).judge(&failed()).unwrap();
        assert!(why.starts_with("the call failed:\n  {\n    \"message\": \"gone\""), "{why}");
    }

    #[test]
    fn what_came_of_a_call_is_expected_of_the_next() {
        for result in [output(json!({ "n": 1 })), failed()] {
            assert_eq!(Expectation::from_result(&result).judge(&result), None);
        }
        assert!(Expectation::from_result(&failed()).judge(&output(json!({}))).is_some());
    }
}
