//! Compares two JSON Schemas: does the new one still accept every argument, does it still promise every output?
//!
//! Input is contravariant and output covariant, so one walk serves both: each keyword is found to allow less than before, more than
//! before, or something else, and the side decides which of that breaks. A keyword that is not known here breaks when it differs, unless
//! it only describes. Fields that an output has in addition do not break: whoever reads an output reads the fields they know.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords that allow and forbid nothing.
const ANNOTATIONS: [&str; 6] = ["title", "description", "examples", "default", "$comment", "deprecated"];
/// Where schemas stand that others refer to; compared where they are used.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// How many pairs of schemas are compared. A tool with hundreds of fields takes a thousand.
const MAX_PAIRS: u32 = 50_000;
/// How deep schemas are followed: deeper than what serde_json reads.
const MAX_DEPTH: u32 = 140;

/// How many differences of one schema are told: more are not read by anybody.
const MAX_FINDINGS: usize = 200;

/// Which way round compatibility goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// What callers give.
    Input,
    /// What callers get.
    Output,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) text: String,
    pub(super) breaking: bool,
}

/// What a difference does to the set of values that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Less,
    More,
    Other,
}

/// Everything that is different.
pub(super) fn compare(old: &Value, new: &Value, side: Side) -> Vec<Finding> {
    if old == new {
        return Vec::new();
    }
    let same_definitions = DEFINITIONS.iter().all(|key| old.get(key) == new.get(key));
    let mut walk =
        Walk { roots: (old, new), side, same_definitions, seen: BTreeSet::new(), pairs: 0, found: Vec::new() };
    walk.node(old, new, "", 0);
    let mut found: Vec<Finding> = Vec::new();
    // What breaks comes first, so that a long list never hides it.
    let (breaking, other): (Vec<Finding>, Vec<Finding>) = walk.found.into_iter().partition(|finding| finding.breaking);
    for finding in breaking.into_iter().chain(other) {
        if found.len() < MAX_FINDINGS && !found.contains(&finding) {
            found.push(finding);
        }
    }
    if found.is_empty() {
        // Only texts are different, or the order of what has none.
        found.push(Finding { text: "other descriptions or defaults".into(), breaking: false });
    }
    found
}

struct Walk<'a> {
    roots: (&'a Value, &'a Value),
    side: Side,
    same_definitions: bool,
    /// Pairs that are being compared or were: schemas may refer to themselves.
    seen: BTreeSet<(usize, usize)>,
    pairs: u32,
    found: Vec<Finding>,
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("`{path}`: ") }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

fn list(values: &[&Value]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

impl<'a> Walk<'a> {
    fn add(&mut self, path: &str, effect: Effect, text: &str) {
        let breaking = match effect {
            Effect::Less => self.side == Side::Input,
            Effect::More => self.side == Side::Output,
            Effect::Other => true,
        };
        self.found.push(Finding { text: format!("{}{text}", place(path)), breaking });
    }

    fn note(&mut self, text: String, breaking: bool) {
        self.found.push(Finding { text, breaking });
    }

    /// The schema that a reference leads to, and whether it could be followed.
    fn target(root: &'a Value, mut at: &'a Value) -> Option<&'a Value> {
        for _ in 0..MAX_DEPTH {
            let Some(reference) = at.get("$ref") else { return Some(at) };
            let alone = at.as_object()?.keys().all(|key| key == "$ref" || ANNOTATIONS.contains(&key.as_str()));
            let pointer = reference.as_str()?.strip_prefix('#')?;
            let known = DEFINITIONS.iter().any(|key| pointer.starts_with(&format!("/{key}/")));
            if !alone || !known {
                return None;
            }
            at = root.pointer(pointer)?;
        }
        None
    }

    fn node(&mut self, old: &'a Value, new: &'a Value, path: &str, depth: u32) {
        if self.same_definitions && old == new {
            return;
        }
        self.pairs += 1;
        if depth > MAX_DEPTH || self.pairs > MAX_PAIRS {
            // Said each time, also while branches are tried out: what was not looked at fits nowhere.
            self.add(path, Effect::Other, "too deep or too large to be compared");
            return;
        }
        let (Some(old), Some(new)) = (Self::target(self.roots.0, old), Self::target(self.roots.1, new)) else {
            return self.add(path, Effect::Other, "a reference that rig does not follow");
        };
        if !self.seen.insert((address(old), address(new))) {
            return;
        }
        match (old, new) {
            (Value::Bool(false), Value::Bool(false)) => {}
            (Value::Bool(false), _) => self.add(path, Effect::More, "allowed now"),
            (_, Value::Bool(false)) => self.add(path, Effect::Less, "not allowed any more"),
            (Value::Bool(true) | Value::Object(_), Value::Bool(true) | Value::Object(_)) => {
                self.schemas(old, new, path, depth);
            }
            _ => self.add(path, Effect::Other, "not a schema"),
        }
    }

    fn schemas(&mut self, old: &'a Value, new: &'a Value, path: &str, depth: u32) {
        let (was, is) = (constraints(old), constraints(new));
        // A choice and nothing else: every branch that there was is accepted by one that there is, or the other way round.
        if is_choice(old, &was) || is_choice(new, &is) {
            return self.choices(&branches(old, &was), &branches(new, &is), path, depth);
        }
        self.values(old, new, path);
        let keys: BTreeSet<&str> = was.iter().chain(&is).copied().collect();
        for key in keys {
            self.keyword(key, old.get(key), new.get(key), (old, new), path, depth);
        }
    }

    fn choices(&mut self, old: &[&'a Value], new: &[&'a Value], path: &str, depth: u32) {
        if let ([old], [new]) = (old, new) {
            return self.node(old, new, path, depth + 1);
        }
        let (from, to) = if self.side == Side::Input { (old, new) } else { (new, old) };
        let covered = from.iter().all(|from| {
            to.iter().any(|to| {
                let (old, new) = if self.side == Side::Input { (*from, *to) } else { (*to, *from) };
                self.fits(old, new, depth)
            })
        });
        if !covered {
            self.add(path, Effect::Other, "the choices are not those that there were");
        } else if old.len() != new.len() {
            let text = format!("{} choices instead of {}", new.len(), old.len());
            self.note(format!("{}{text}", place(path)), false);
        }
    }

    /// Whether one schema can take the place of another.
    fn fits(&mut self, old: &'a Value, new: &'a Value, depth: u32) -> bool {
        let mut walk = Walk {
            roots: self.roots,
            side: self.side,
            same_definitions: self.same_definitions,
            seen: self.seen.clone(),
            pairs: self.pairs,
            found: Vec::new(),
        };
        walk.node(old, new, "", depth + 1);
        self.pairs = walk.pairs;
        walk.found.iter().all(|finding| !finding.breaking)
    }

    /// `enum` and `const`.
    fn values(&mut self, old: &'a Value, new: &'a Value, path: &str) {
        match (allowed(old), allowed(new)) {
            (None, None) => {}
            (None, Some(is)) => self.add(path, Effect::Less, &format!("only {} now", list(&is))),
            (Some(was), None) => self.add(path, Effect::More, &format!("not only {} any more", list(&was))),
            (Some(was), Some(is)) => {
                let gone: Vec<&Value> = was.iter().filter(|value| !is.contains(value)).copied().collect();
                let added: Vec<&Value> = is.iter().filter(|value| !was.contains(value)).copied().collect();
                if !gone.is_empty() {
                    self.add(path, Effect::Less, &format!("the value {} is gone", list(&gone)));
                }
                if !added.is_empty() {
                    self.add(path, Effect::More, &format!("the value {} is new", list(&added)));
                }
            }
        }
    }

    fn keyword(
        &mut self,
        key: &str,
        was: Option<&'a Value>,
        is: Option<&'a Value>,
        (old, new): (&'a Value, &'a Value),
        path: &str,
        depth: u32,
    ) {
        const ANY: &Value = &Value::Bool(true);
        match key {
            "enum" | "const" => {}
            "type" => self.types(was, is, path),
            "required" => self.required(was, is, old, path),
            "properties" => self.properties(was, is, new, path, depth),
            "additionalProperties" => match (was.unwrap_or(ANY), is.unwrap_or(ANY)) {
                (Value::Bool(false), is) if *is != Value::Bool(false) => {
                    self.note(format!("{}other fields are allowed now", place(path)), false);
                }
                (was, Value::Bool(false)) if *was != Value::Bool(false) => {
                    self.add(path, Effect::Less, "other fields are refused now");
                }
                (was, is) => self.node(was, is, &below(path, "*"), depth + 1),
            },
            "items" => self.node(was.unwrap_or(ANY), is.unwrap_or(ANY), &format!("{path}[]"), depth + 1),
            "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
                let none = |value: &&Value| key.starts_with("min") && key != "minimum" && value.as_u64() == Some(0);
                self.bound(key, was.filter(|v| !none(v)), is.filter(|v| !none(v)), true, path);
            }
            "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
                self.bound(key, was, is, false, path);
            }
            "pattern" | "format" | "multipleOf" => match (was, is) {
                (None, Some(is)) => self.add(path, Effect::Less, &format!("{key} {is} is asked for now")),
                (Some(was), None) => self.add(path, Effect::More, &format!("{key} {was} is not asked for any more")),
                (Some(was), Some(is)) if was != is => {
                    self.add(path, Effect::Other, &format!("{key} was {was}, is {is}"));
                }
                _ => {}
            },
            "uniqueItems" => match (was == Some(ANY), is == Some(ANY)) {
                (false, true) => self.add(path, Effect::Less, "no value may stand twice now"),
                (true, false) => self.add(path, Effect::More, "a value may stand twice now"),
                _ => {}
            },
            "allOf" | "prefixItems" => match (was.and_then(Value::as_array), is.and_then(Value::as_array)) {
                (Some(was), Some(is)) if was.len() == is.len() => {
                    for (was, is) in was.iter().zip(is) {
                        self.node(was, is, path, depth + 1);
                    }
                }
                _ => self.unknown(key, was, is, path),
            },
            "anyOf" | "oneOf" => match (was.and_then(Value::as_array), is.and_then(Value::as_array)) {
                (Some(was), Some(is)) if key == "anyOf" => {
                    self.choices(&was.iter().collect::<Vec<_>>(), &is.iter().collect::<Vec<_>>(), path, depth);
                }
                _ => self.unknown(key, was, is, path),
            },
            _ => self.unknown(key, was, is, path),
        }
    }

    /// A keyword that is only understood when it is the same.
    fn unknown(&mut self, key: &str, was: Option<&Value>, is: Option<&Value>, path: &str) {
        let refers = |value: &Value| value.to_string().contains("\"$ref\"");
        if was != is || (!self.same_definitions && was.is_some_and(refers)) {
            self.add(path, Effect::Other, &format!("`{key}` is different, which rig does not compare"));
        }
    }

    fn types(&mut self, was: Option<&Value>, is: Option<&Value>, path: &str) {
        let (Some(old), Some(new)) = (types(was), types(is)) else {
            return self.add(path, Effect::Other, "a type that rig does not know");
        };
        if old == new {
            return;
        }
        let within = |inner: &BTreeSet<&str>, outer: &BTreeSet<&str>| {
            inner.iter().all(|kind| outer.contains(kind) || (*kind == "integer" && outer.contains("number")))
        };
        let effect = match (within(&new, &old), within(&old, &new)) {
            (true, _) => Effect::Less,
            (_, true) => Effect::More,
            _ => Effect::Other,
        };
        let name = |types: BTreeSet<&str>| match types.len() {
            7 => "anything".to_owned(),
            _ => types.into_iter().collect::<Vec<_>>().join(" or "),
        };
        self.add(path, effect, &format!("was {}, is {}", name(old), name(new)));
    }

    fn required(&mut self, was: Option<&Value>, is: Option<&Value>, old: &Value, path: &str) {
        let (was, is) = (owned(was), owned(is));
        for name in is.difference(&was) {
            let new = old.pointer("/properties").is_none_or(|properties| properties.get(name).is_none());
            let text = if new { "is new and required" } else { "is required now" };
            self.add("", Effect::Less, &format!("`{}` {text}", below(path, name)));
        }
        for name in was.difference(&is) {
            self.add("", Effect::More, &format!("`{}` may be missing now", below(path, name)));
        }
    }

    fn properties(&mut self, was: Option<&'a Value>, is: Option<&'a Value>, new: &Value, path: &str, depth: u32) {
        let nothing = Map::new();
        let fields = |value: Option<&'a Value>| value.and_then(Value::as_object);
        let names: BTreeSet<&String> =
            fields(was).unwrap_or(&nothing).keys().chain(fields(is).unwrap_or(&nothing).keys()).collect();
        let required = owned(new.get("required"));
        for name in names {
            let here = below(path, name);
            let field = |value: Option<&'a Value>| fields(value).and_then(|fields| fields.get(name));
            match (field(was), field(is)) {
                (Some(was), Some(is)) => self.node(was, is, &here, depth + 1),
                (Some(_), None) => self.note(format!("`{here}` is gone"), true),
                (None, Some(_)) if self.side == Side::Input && required.contains(name) => {}
                (None, Some(_)) => self.note(format!("`{here}` is new"), false),
                (None, None) => {}
            }
        }
    }

    fn bound(&mut self, key: &str, was: Option<&Value>, is: Option<&Value>, lower: bool, path: &str) {
        let effect = match (was, is) {
            (None, None) => return,
            (None, Some(_)) => Effect::Less,
            (Some(_), None) => Effect::More,
            (Some(was), Some(is)) if was == is => return,
            (Some(was), Some(is)) => match (was.as_f64(), is.as_f64()) {
                (Some(was), Some(is)) if was < is => {
                    if lower {
                        Effect::Less
                    } else {
                        Effect::More
                    }
                }
                (Some(was), Some(is)) if was > is => {
                    if lower {
                        Effect::More
                    } else {
                        Effect::Less
                    }
                }
                _ => Effect::Other,
            },
        };
        let show = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), ToString::to_string);
        self.add(path, effect, &format!("{key} was {}, is {}", show(was), show(is)));
    }
}

fn owned(names: Option<&Value>) -> BTreeSet<String> {
    let names = names.and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The keywords of a schema that allow or forbid something.
fn constraints(schema: &Value) -> Vec<&str> {
    let keys = schema.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    keys.filter(|key| !ANNOTATIONS.contains(key) && !DEFINITIONS.contains(key)).collect()
}

/// Whether a schema is a choice between others and nothing else. `oneOf` counts when no value can fit two branches, which is sure where
/// each is a single value.
fn is_choice(schema: &Value, constraints: &[&str]) -> bool {
    let single = |schema: &Value| schema.as_array().into_iter().flatten().all(|branch| branch.get("const").is_some());
    match constraints {
        ["anyOf"] => schema["anyOf"].is_array(),
        ["oneOf"] => schema["oneOf"].is_array() && single(&schema["oneOf"]),
        _ => false,
    }
}

fn branches<'a>(schema: &'a Value, constraints: &[&str]) -> Vec<&'a Value> {
    let inner = constraints.first().filter(|_| is_choice(schema, constraints)).and_then(|key| schema.get(key));
    inner.and_then(Value::as_array).map_or_else(|| vec![schema], |inner| inner.iter().collect())
}

/// The values that a schema names one by one.
fn allowed(schema: &Value) -> Option<Vec<&Value>> {
    let named = schema.get("enum").and_then(Value::as_array).map(|values| values.iter().collect::<Vec<_>>());
    match (schema.get("const"), named) {
        (Some(only), None) => Some(vec![only]),
        (Some(only), Some(named)) => Some(named.into_iter().filter(|value| *value == only).collect()),
        (None, named) => named,
    }
}

/// The types that a schema allows; nothing when one is unknown.
fn types(value: Option<&Value>) -> Option<BTreeSet<&str>> {
    const ALL: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
    let named: Vec<&str> = match value {
        None => return Some(ALL.into()),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().map(Value::as_str).collect::<Option<_>>()?,
        Some(_) => return None,
    };
    named.iter().all(|kind| ALL.contains(kind)).then(|| named.into_iter().collect())
}
