//! The SDK's reader and writer, held against `serde_json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Everything {
    text: String,
    letter: char,
    small: u8,
    whole: i64,
    large: u64,
    float: f64,
    single: f32,
    yes: bool,
    maybe: Option<Box<Everything>>,
    list: Vec<Choice>,
    pair: (u8, String),
    names: BTreeMap<String, i32>,
    numbers: BTreeMap<u32, Option<bool>>,
    wrapped: Wrapped,
    unit: Unit,
    any: Value,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    Plain,
    One(u8),
    Two(u8, Option<String>),
    Named { field: bool },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Tagged {
    One { n: i8 },
    Other { text: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(u16);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Text(String),
    List(Vec<Either>),
}

const EVERYTHING: &str = r#" { "text" : "q\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00 é😀", "letter":"ß", "small":255,"whole":-9223372036854775808,
    "large":18446744073709551615, "float":-1.5e-7, "single": 0.1, "yes":true, "maybe":null,
    "list":["plain",{"one":1},{"two":[2,null]},{"named":{"field":false}}], "pair":[1,""], "names":{"b":-1,"a":1},
    "numbers":{"7":null}, "wrapped": 3, "unit":null, "any":[{"n":[1,-2,3.25,1e30,true,null,"\u0000"]},{}, []] } "#;

/// Both read the same, and what both write of it is the same.
fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) {
    let theirs: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let ours: T = from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(ours, theirs, "{text}");
    assert_eq!(to_string(&ours).unwrap(), serde_json::to_string(&theirs).unwrap(), "{text}");
}

#[test]
fn types_are_read_and_written_as_serde_json_does() {
    same::<Everything>(EVERYTHING);
    same::<Value>(EVERYTHING);
    let nested = EVERYTHING.replacen("null", EVERYTHING, 1);
    same::<Everything>(&nested);
    for text in [r#"{"type":"one","n":-3}"#, r#"{"text":"t","type":"other"}"#] {
        same::<Tagged>(text);
    }
    same::<Flat>(r#"{"a":{"b":[1]},"id":7,"c":1.5}"#);
    for text in ["1", "\"a\"", "[1,[\"b\",[]]]"] {
        same::<Either>(text);
    }
    for text in ["0.1", "1e21", "1e-7", "123456789012345680", "-0.0", "5e-324", "1.7976931348623157e308", "100", "1e16"]
    {
        same::<f64>(text);
    }
    for text in ["\"\"", "\"\u{7f}\u{2028}\\u001f/\"", "\"\\u0000\""] {
        same::<String>(text);
    }
    assert_eq!(to_string(&[f64::NAN, f64::INFINITY]).unwrap(), "[null,null]");
    assert_eq!(to_string(&[i128::MIN]).unwrap(), serde_json::to_string(&[i128::MIN]).unwrap());
}

#[test]
fn what_serde_json_refuses_is_refused() {
    let texts = [
        "",
        " ",
        "nul",
        "nulll",
        "tru",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1",
        "{\"a\":}",
        "1 2",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\t\"",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "1e400",
        "NaN",
        "'a'",
        "[1}",
        "{\"a\":1]",
        "/* */1",
        "\u{feff}1",
        "\u{a0}1",
        "{1:2}",
        "}",
        "]",
        ":",
    ];
    for text in texts {
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        assert!(from_str::<Value>(text).is_err(), "{text}");
        assert!(from_str::<de::IgnoredAny>(text).is_err(), "skipped: {text}");
    }
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(from_str::<Value>(&deep(128)).is_ok());
    for text in [deep(129), deep(100_000), "[".repeat(100_000)] {
        assert!(from_str::<Value>(&text).is_err() && from_str::<de::IgnoredAny>(&text).is_err());
    }
}

#[test]
fn faults_say_what_and_where() {
    let fault = |text: &str| from_str::<Everything>(text).unwrap_err().to_string();
    let cases = [
        ("", "the text ends early: expected value at line 1 column 1"),
        ("<html>", "expected value at line 1 column 1"),
        ("{\n \"small\": 256}", "invalid value: integer `256`, expected u8 at line 2 column 13"),
        ("{\"small\": -1}", "invalid value: integer `-1`, expected u8 at line 1 column 12"),
        ("{\"small\": 1.5}", "invalid type: a number with a fraction, expected u8 at line 1 column 13"),
        ("{\"small\": \"1\"}", "invalid type: string \"1\", expected u8 at line 1 column 13"),
        ("{\"small\": null}", "invalid type: null, expected u8 at line 1 column 10"),
        ("{\"text\": [1]}", "invalid type: sequence, expected a string at line 1 column 9"),
        ("{\"list\": {}}", "invalid type: map, expected a sequence at line 1 column 9"),
        ("{\"yes\": 1}", "invalid type: integer `1`, expected a boolean at line 1 column 9"),
        ("{\"letter\": \"ab\"}", "invalid value: string \"ab\", expected a character at line 1 column 15"),
        ("{\"text\": \"\", \"text\": \"\"}", "duplicate field `text` at line 1 column 19"),
        (
            "{\"list\": [\"none\"]}",
            "unknown variant `none`, expected one of `plain`, `one`, `two`, `named` at line 1 column 16",
        ),
        ("{}", "missing field `text` at line 1 column 1"),
        ("[]", "invalid type: sequence, expected struct Everything at line 1 column 1"),
        ("{\"pair\": [1]}", "invalid length 1, expected a tuple of size 2 at line 1 column 11"),
        ("{\"pair\": [1,\"\",2]}", "expected fewer elements at line 1 column 14"),
        ("{\"wrapped\": 3,", "the text ends early: expected a text as key at line 1 column 14"),
    ];
    let wrong: Vec<_> = cases.iter().map(|(text, e)| (*text, *e, fault(text))).filter(|(_, e, f)| e != f).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(from_str::<u8>("1 x").unwrap_err().to_string(), "expected nothing after the value at line 1 column 2");
    assert_eq!(
        to_string(&BTreeMap::from([(vec![1], 1)])).unwrap_err().to_string(),
        "the key of a map is neither a text nor a number"
    );
}

#[test]
fn an_object_keeps_its_text() {
    let text = r#"{"b": 1.0, "a":[1e2,"\u00e9"]}"#;
    let object: Object = from_str(&format!(" {text} ")).unwrap();
    assert_eq!(object.get(), text);
    assert_eq!(to_string(&object).unwrap(), text);
    assert_eq!(object.parse::<Map<String, Value>>().unwrap()["b"], 1.0);
    let list: Vec<Option<Object>> = from_str(&format!("[{text},null,{{}}]")).unwrap();
    assert_eq!(to_string(&list).unwrap(), format!("[{text},null,{{}}]"));
}

#[test]
fn only_an_object_is_an_object() {
    for text in ["[]", "1", "\"{}\"", "null"] {
        let error = from_str::<Object>(text).unwrap_err();
        assert!(error.to_string().starts_with("expected a JSON object"), "{text}: {error}");
    }
    assert!(from_str::<Object>("{\"a\":}").is_err());
}
