//! Filters, from the JSON of the arguments to the fields of a query that PostgREST reads.
//!
//! Whatever a column or a value holds, it stays the name or the value of one condition: names that mean something else to PostgREST are
//! refused, values in lists are quoted, and the request encodes both.

use rig_sdk::{
    Error, Result,
    http::Request,
    json::{Map, Value},
};

/// How much all conditions together may take in the URL. Servers commonly refuse longer ones.
const LONGEST: usize = 16 << 10;

/// Names of the query that are no columns, also below a related table: `author.limit`.
const RESERVED: [&str; 9] = ["select", "limit", "offset", "order", "and", "or", "not", "columns", "on_conflict"];

/// What PostgREST reads as syntax in names and in the values of a list.
const SYNTAX: [char; 6] = [',', ':', '(', ')', '"', '\\'];

/// One field of the query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    column: String,
    /// `gte.18`
    test: String,
}

/// The conditions of the arguments.
pub(crate) fn conditions(filters: &Map<String, Value>) -> Result<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (column, value) in filters {
        check_column(column)?;
        let mut add = |test: String| {
            let column = quoted(column, false);
            conditions.push(Condition { column, test });
        };
        match value {
            Value::Object(operators) if operators.is_empty() => {
                return Err(Error::validation(format!("the filter of `{column}` names no operator")));
            }
            Value::Object(operators) => {
                for (operator, value) in operators {
                    add(test(column, operator, value)?);
                }
            }
            Value::Array(_) => add(test(column, "in", value)?),
            value => add(test(column, "eq", value)?),
        }
    }
    // Every byte may be written as three.
    let length: usize =
        conditions.iter().map(|condition| 3 * (condition.column.len() + condition.test.len()) + 2).sum();
    if length > LONGEST {
        return Err(Error::validation("`filters` is too long for one request").hint("look for fewer values at once"));
    }
    Ok(conditions)
}

pub(crate) fn apply(request: Request, conditions: &[Condition]) -> Request {
    conditions.iter().fold(request, |request, Condition { column, test }| request.query(column, test))
}

fn check_column(column: &str) -> Result<()> {
    let last = column.rsplit('.').next().unwrap_or_default();
    if last.is_empty() || RESERVED.contains(&last) || column.starts_with("not.") || column.contains(char::is_control) {
        return Err(Error::validation(format!("`{}` is not a column that can be filtered by", column.escape_debug())));
    }
    Ok(())
}

fn test(column: &str, operator: &str, value: &Value) -> Result<String> {
    let wants = |what: &str| Error::validation(format!("the filter `{operator}` of `{column}` takes {what}"));
    match (operator, value) {
        ("eq" | "is", Value::Null) => Ok("is.null".into()),
        ("neq", Value::Null) => Ok("not.is.null".into()),
        ("is", Value::Bool(value)) => Ok(format!("is.{value}")),
        ("is", _) => Err(wants("null, true or false")),
        ("eq" | "neq" | "gt" | "gte" | "lt" | "lte", value) => match scalar(value) {
            // All that follows the operator is the value, whatever it holds.
            Some(value) => Ok(format!("{operator}.{value}")),
            None => Err(wants("a text, a number, true or false")),
        },
        ("like" | "ilike", Value::String(pattern)) => Ok(format!("{operator}.{pattern}")),
        ("like" | "ilike", _) => Err(wants("a text")),
        ("in", Value::Array(values)) => {
            let values = values.iter().map(|value| scalar(value).map(|value| quoted(&value, value.is_empty())));
            let values: Option<Vec<String>> = values.collect();
            let values = values.ok_or_else(|| wants("a list of texts, numbers and booleans"))?;
            Ok(format!("in.({})", values.join(",")))
        }
        ("in", _) => Err(wants("a list")),
        ("cs", Value::Array(values)) => {
            let values: Option<Vec<String>> = values.iter().map(element).collect();
            let values = values.ok_or_else(|| wants("a list of texts, numbers and booleans, or an object"))?;
            Ok(format!("cs.{{{}}}", values.join(",")))
        }
        ("cs", Value::Object(_)) => Ok(format!("cs.{value}")),
        ("cs", _) => Err(wants("a list or an object")),
        _ => Err(Error::validation(format!("the filter of `{column}` has no operator `{}`", operator.escape_debug()))
            .hint("operators are eq, neq, gt, gte, lt, lte, like, ilike, is, in and cs")),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// An element of a Postgres array.
fn element(value: &Value) -> Option<String> {
    let text = scalar(value)?;
    let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_whitespace();
    Some(if text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(special) {
        quote(&text)
    } else {
        text
    })
}

/// In quotes where it would otherwise be syntax.
fn quoted(text: &str, always: bool) -> String {
    if always || text.contains(SYNTAX) { quote(text) } else { text.to_owned() }
}

pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use rig_sdk::json::json;

    use super::*;

    /// The query that filters become, decoded.
    fn query(filters: &Value) -> Result<String, String> {
        let conditions = conditions(filters.as_object().unwrap()).map_err(|error| error.to_string())?;
        Ok(conditions.iter().map(|c| format!("{}={}", c.column, c.test)).collect::<Vec<_>>().join(" & "))
    }

    #[test]
    fn filters_become_operators() {
        for (filters, expected) in [
            (json!({}), ""),
            (json!({ "a": "x" }), "a=eq.x"),
            (json!({ "a": 7 }), "a=eq.7"),
            (json!({ "a": 12_345_678_901_234_567_u64, "b": -1.5 }), "a=eq.12345678901234567 & b=eq.-1.5"),
            (json!({ "a": true }), "a=eq.true"),
            (json!({ "a": null }), "a=is.null"),
            (json!({ "a": "" }), "a=eq."),
            (json!({ "a": [1, "x"] }), "a=in.(1,x)"),
            (json!({ "a": [] }), "a=in.()"),
            (json!({ "a": { "gte": 18, "lt": 65 } }), "a=gte.18 & a=lt.65"),
            (json!({ "a": { "neq": "x" }, "b": { "gt": 1 }, "c": { "lte": 2 } }), "a=neq.x & b=gt.1 & c=lte.2"),
            (json!({ "a": { "neq": null }, "b": { "eq": null } }), "a=not.is.null & b=is.null"),
            (json!({ "a": { "is": null }, "b": { "is": true } }), "a=is.null & b=is.true"),
            (json!({ "a": { "like": "a%" }, "b": { "ilike": "%b%" } }), "a=like.a% & b=ilike.%b%"),
            (json!({ "a": { "in": [true, 2] } }), "a=in.(true,2)"),
            (json!({ "a": { "cs": ["x", "y z", "NULL", 1] } }), r#"a=cs.{x,"y z","NULL",1}"#),
            (json!({ "a": { "cs": { "k": [1] } } }), r#"a=cs.{"k":[1]}"#),
            (json!({ "author.name": "x", "data->>k": "y" }), "author.name=eq.x & data->>k=eq.y"),
        ] {
            assert_eq!(query(&filters).as_deref(), Ok(expected), "{filters}");
        }
    }

    #[test]
    fn what_a_value_holds_stays_a_value() {
        for (filters, expected) in [
            (json!({ "a": "1&select=*&b=eq.2" }), "a=eq.1&select=*&b=eq.2"),
            (json!({ "a": "x),b.eq.(y" }), "a=eq.x),b.eq.(y"),
            (json!({ "a": ["x,y", "p)", "q\"r", "s\\", ""] }), r#"a=in.("x,y","p)","q\"r","s\\","")"#),
            (json!({ "a": { "cs": ["x,y", "}", "q\"\\"] } }), r#"a=cs.{"x,y","}","q\"\\"}"#),
            (json!({ "a,b": 1, "c(d": 2 }), r#""a,b"=eq.1 & "c(d"=eq.2"#),
        ] {
            assert_eq!(query(&filters).as_deref(), Ok(expected), "{filters}");
        }
        // And on the wire it is one field.
        let mock = rig_sdk::mock::http(|_| Ok(rig_sdk::mock::Response::new(200)));
        let conditions = conditions(json!({ "a&b=c": "1&select=*#x" }).as_object().unwrap()).unwrap();
        apply(rig_sdk::http::get("https://h/t"), &conditions).send().unwrap();
        assert_eq!(mock.requests()[0].query(), "a%26b%3Dc=eq.1%26select%3D%2A%23x");
    }

    #[test]
    fn filters_that_are_refused() {
        let long = json!({ "a": vec!["x".repeat(100); 60] });
        for (filters, why) in [
            (json!({ "select": "x" }), "`select` is not a column that can be filtered by"),
            (json!({ "limit": 1 }), "`limit` is not a column that can be filtered by"),
            (json!({ "or": "(a.gt.0)" }), "`or` is not a column that can be filtered by"),
            (json!({ "not.or": "(a.gt.0)" }), "`not.or` is not a column that can be filtered by"),
            (json!({ "not.a": 1 }), "`not.a` is not a column that can be filtered by"),
            (json!({ "author.order": "x" }), "`author.order` is not a column that can be filtered by"),
            (json!({ "": 1 }), "`` is not a column that can be filtered by"),
            (json!({ "a.": 1 }), "`a.` is not a column that can be filtered by"),
            (json!({ "a\n": 1 }), "`a\\n` is not a column that can be filtered by"),
            (json!({ "a": {} }), "the filter of `a` names no operator"),
            (json!({ "a": { "eq": [1] } }), "the filter `eq` of `a` takes a text, a number, true or false"),
            (json!({ "a": { "gt": null } }), "the filter `gt` of `a` takes a text, a number, true or false"),
            (json!({ "a": { "like": 1 } }), "the filter `like` of `a` takes a text"),
            (json!({ "a": { "is": "null)" } }), "the filter `is` of `a` takes null, true or false"),
            (json!({ "a": { "in": "x" } }), "the filter `in` of `a` takes a list"),
            (json!({ "a": [null] }), "the filter `in` of `a` takes a list of texts, numbers and booleans"),
            (
                json!({ "a": { "cs": [[1]] } }),
                "the filter `cs` of `a` takes a list of texts, numbers and booleans, or an object",
            ),
            (json!({ "a": { "cs": 1 } }), "the filter `cs` of `a` takes a list or an object"),
            (json!({ "a": { "eq.1&b": 1 } }), "the filter of `a` has no operator `eq.1&b`"),
            (long, "`filters` is too long for one request"),
        ] {
            assert_eq!(query(&filters), Err(format!("validation_error: {why}")), "{filters}");
        }
    }
}
