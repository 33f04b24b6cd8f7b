//! What `#[tool]` makes of a function: its schemas, the reading of arguments, and the call.

use rig_sdk::{
    Context, Error, ErrorKind, Result, RiskClass, Tool,
    json::{Value, json},
    mock, tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A page of results.
#[derive(Debug, Serialize, JsonSchema)]
struct Page {
    /// What was found.
    found: Vec<Item>,
    /// The next page; null on the last.
    next: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Item {
    /// Its name.
    name: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    Up,
    Down,
}

/// Looks for items
/// by name.
///
/// Sorts them too.
#[tool(
    name = "test.items.search",
    title = "Search",
    risk = "money",
    tags = ["a", "b"],
    slots = ["TOKEN"],
    idempotent,
    policy_defaults = r#"{"timeout_seconds": 5}"#,
    example(description = "Plain", args = r#"{"query": "x"}"#, output = r#"{"found": [], "next": null}"#)
)]
fn search(
    ctx: &Context,
    /// What to
    /// look for.
    query: String,
    /// The order.
    #[tool(default = Order::Up)]
    order: Order,
    /// In which place.
    #[tool(default = "here")]
    place: String,
    /// How many.
    #[tool(default = 10)]
    #[schemars(range(min = 1, max = 50))]
    limit: u8,
    /// Tags that it must have.
    #[tool(default)]
    tags: Vec<String>,
    /// Its type.
    #[serde(rename = "type")]
    kind: Option<String>,
) -> Result<Page> {
    if query == "missing" {
        return Err(Error::not_found("there is no such item"));
    }
    let name = format!("{query} {order:?} {place} {limit} {tags:?} {kind:?} {}", ctx.attempt);
    Ok(Page { found: vec![Item { name }], next: None })
}

/// Needs nothing.
#[tool(name = "test.items.count", risk = "read")]
fn count() -> Result<Item> {
    Ok(Item { name: "none".into() })
}

/// Needs one of them.
#[tool(name = "test.items.either", risk = "read")]
#[schemars(extend("minProperties" = 1))]
fn either(
    /// One.
    one: Option<String>,
    /// The other.
    other: Option<String>,
) -> Result<Item> {
    Ok(Item { name: one.or(other).unwrap_or_default() })
}

fn call<T: Tool>(args: &str) -> Result<Value> {
    T::call(args, &mock::context()).map(|output| parsed(&output))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

#[test]
fn the_function_stays_directly_callable() {
    let page = search(&mock::context(), "q".into(), Order::Down, "p".into(), 1, vec![], None).unwrap();
    assert_eq!(page.found[0].name, "q Down p 1 [] None 1");
    assert_eq!(count().unwrap().name, "none");
}

#[test]
fn the_attribute_and_the_comment_describe_the_tool() {
    let meta = search::META;
    assert_eq!((meta.name, meta.title, meta.risk), ("test.items.search", "Search", RiskClass::Money));
    assert_eq!(meta.description, "Looks for items by name.\n\nSorts them too.");
    assert_eq!((meta.tags, meta.slots, meta.idempotent), (&["a", "b"][..], &["TOKEN"][..], true));
    assert_eq!(meta.policy_defaults, r#"{"timeout_seconds": 5}"#);
    assert_eq!((meta.examples.len(), count::META.examples.len()), (1, 0));
}

#[test]
fn a_schema_can_be_extended_as_a_whole() {
    let schema = parsed(&either::input_schema());
    assert_eq!((&schema["minProperties"], &schema["additionalProperties"]), (&Value::from(1), &Value::from(false)));
    assert_eq!(parsed(&count::input_schema())["minProperties"], Value::Null, "control");
}

#[test]
fn the_input_schema_comes_from_the_parameters() {
    assert_eq!(
        parsed(&search::input_schema()),
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["query"],
            "properties": {
                "query": { "type": "string", "description": "What to look for." },
                "order": { "type": "string", "enum": ["up", "down"], "default": "up", "description": "The order." },
                "place": { "type": "string", "default": "here", "description": "In which place." },
                "limit": { "type": "integer", "format": "uint8", "minimum": 1, "maximum": 50, "default": 10,
                           "description": "How many." },
                "tags": { "type": "array", "items": { "type": "string" }, "default": [],
                          "description": "Tags that it must have." },
                "type": { "type": ["string", "null"], "description": "Its type." },
            }
        })
    );
    assert_eq!(parsed(&count::input_schema()), json!({ "type": "object", "additionalProperties": false }));
}

#[test]
fn the_output_schema_says_what_can_be_null() {
    assert_eq!(
        parsed(&search::output_schema()),
        json!({
            "type": "object",
            "description": "A page of results.",
            "required": ["found", "next"],
            "properties": {
                "found": { "type": "array", "description": "What was found.", "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": { "name": { "type": "string", "description": "Its name." } }
                } },
                "next": { "type": ["integer", "null"], "format": "uint32", "minimum": 0,
                          "description": "The next page; null on the last." },
            }
        })
    );
}

#[test]
fn arguments_are_read_with_their_defaults() {
    let output = call::<search>(r#"{"query": "q"}"#).unwrap();
    assert_eq!(output, json!({ "found": [{ "name": "q Up here 10 [] None 1" }], "next": null }));
    let all = r#"{"query": "q", "order": "down", "place": "p", "limit": 2, "tags": ["t"], "type": "k"}"#;
    assert_eq!(call::<search>(all).unwrap()["found"][0]["name"], r#"q Down p 2 ["t"] Some("k") 1"#);
    assert_eq!(call::<count>("{}").unwrap(), json!({ "name": "none" }));
    assert_eq!(call::<search>(r#"{"query": "missing"}"#).unwrap_err().to_string(), "not_found: there is no such item");
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let cases = [
        ("{}", "missing field `query`"),
        (r#"{"query": 1}"#, "invalid type: integer `1`, expected a string"),
        (r#"{"query": "q", "order": "side"}"#, "unknown variant `side`, expected `up` or `down`"),
        (r#"{"query": "q", "limit": 300}"#, "invalid value: integer `300`, expected u8"),
        (r#"{"query": "q", "kind": "k"}"#, "unknown field `kind`"),
        (r#"{"query": "q", "query": "r"}"#, "duplicate field `query`"),
        ("{", "the text ends early: expected a text as key"),
        ("", "the text ends early: expected value"),
    ];
    for (args, why) in cases {
        let error = call::<search>(args).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValidationError, "{args}");
        assert!(error.message().starts_with(&format!("the arguments do not fit: {why}")), "{args}: {error}");
    }
    let error = call::<count>(r#"{"x": 1}"#).unwrap_err();
    assert!(error.message().starts_with("the arguments do not fit: unknown field `x`"), "{error}");
}

/// A tree, which refers to itself.
#[derive(Debug, Serialize, JsonSchema)]
struct Tree {
    children: Vec<Tree>,
}

/// Grows a tree.
#[tool(name = "test.trees.grow", risk = "read")]
fn grow() -> Result<Tree> {
    Ok(Tree { children: vec![] })
}

#[test]
fn a_recursive_type_keeps_a_root_of_type_object() {
    let schema = parsed(&grow::output_schema());
    let inner = &schema["properties"]["children"]["items"]["properties"]["children"]["items"];
    assert_eq!((&schema["type"], &inner["$ref"]), (&json!("object"), &json!("#/$defs/Tree")));
    assert_eq!(schema["$defs"]["Tree"]["type"], "object");
}

/// Answers a list by another name.
type List = Vec<String>;

mod malformed {
    use super::{List, Result, tool};

    /// Answers a list.
    #[tool(name = "test.lists.get", risk = "read")]
    pub(super) fn list() -> Result<List> {
        Ok(vec![])
    }

    /// Belongs to another pack, and its example has a wrong type.
    #[tool(name = "other.lists.put", risk = "read", example(description = "Wrong", args = r#"{"n": "one"}"#))]
    pub(super) fn put(
        /// A number.
        n: u8,
    ) -> Result<super::Item> {
        Ok(super::Item { name: n.to_string() })
    }
}

#[test]
fn malformed_tools_are_found_by_the_test_of_export() {
    use rig_sdk::__private::{Entry, problems};
    assert_eq!(problems(&[Entry::of::<search>(), Entry::of::<count>(), Entry::of::<grow>()]), [""; 0]);
    let tools = [Entry::of::<malformed::list>(), Entry::of::<malformed::put>(), Entry::of::<malformed::list>()];
    assert_eq!(
        problems(&tools),
        [
            "test.lists.get: the output must be a JSON object: use a struct with named fields",
            "other.lists.put and test.lists.get begin with different packs",
            "other.lists.put: the example \"Wrong\": the arguments do not fit: invalid type: string \"one\", expected u8 at \
             line 1 column 11",
            "two tools are named test.lists.get",
            "test.lists.get: the output must be a JSON object: use a struct with named fields",
        ]
    );
}
