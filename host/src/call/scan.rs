//! The quick way to check a JSON text against a schema: one pass over the bytes that builds nothing.
//!
//! Most arguments and outputs are right, and most schemas are plain: objects with typed fields. For those, reading the text into a
//! tree and walking the tree costs more than the call itself. [`Shape::fits`] answers yes only when the text is one JSON object by the
//! strict rules of [`super::json`] and the schema accepts it. Whatever it cannot tell, a keyword it does not know or a number it
//! would have to round, it leaves to the tree and the validator. It never says no; the slow way has the last word and the reasons.

use serde_json::{Map, Value};

/// serde_json's bound; deeper texts are left to it to refuse.
const MAX_DEPTH: usize = 100;
/// Keys of one object that are compared one by one. Objects with more are left to the tree.
const MAX_KEYS: usize = 64;
/// Digits that a number may have to be taken without rounding it.
const MAX_DIGITS: usize = 15;

const NULL: u8 = 1;
const BOOLEAN: u8 = 2;
const INTEGER: u8 = 4;
const FRACTION: u8 = 8;
const STRING: u8 = 16;
const ARRAY: u8 = 32;
const OBJECT: u8 = 64;
const ANY: u8 = 127;

/// What of a schema can be checked in passing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    kinds: u8,
    fields: Vec<(String, Shape)>,
    /// Bits of the fields that must be there.
    required: u64,
    /// Whether fields that are not listed are refused.
    closed: bool,
    items: Option<Box<Shape>>,
}

/// Keywords that say nothing about validity.
const ANNOTATIONS: [&str; 9] =
    ["$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly"];

impl Shape {
    const fn any() -> Self {
        Self { kinds: ANY, fields: Vec::new(), required: 0, closed: false, items: None }
    }

    /// The shape of a schema whose every keyword is understood.
    pub(super) fn of(schema: &Value) -> Option<Self> {
        let schema = match schema {
            Value::Object(schema) => schema,
            Value::Bool(true) => return Some(Self::any()),
            _ => return None,
        };
        let mut shape = Self::any();
        for (keyword, value) in schema {
            match keyword.as_str() {
                "type" => shape.kinds = kinds(value)?,
                "properties" => shape.fields = fields(value.as_object()?)?,
                "items" => shape.items = Some(Box::new(Self::of(value)?)),
                "additionalProperties" => match value {
                    Value::Bool(open) => shape.closed = !open,
                    _ => return None,
                },
                "required" | "format" => {}
                annotation if ANNOTATIONS.contains(&annotation) => {}
                _ => return None,
            }
        }
        // An assertion only for formats that name a number's size, which the kind does not check.
        if let Some(format) = schema.get("format").and_then(Value::as_str)
            && shape.kinds & (STRING | INTEGER | FRACTION) != 0
            && !matches!(format, "int32" | "int64" | "uint32" | "uint64" | "uint" | "double" | "float")
        {
            return None;
        }
        shape.require(schema)?;
        Some(shape)
    }

    fn require(&mut self, schema: &Map<String, Value>) -> Option<()> {
        let Some(required) = schema.get("required") else { return Some(()) };
        for name in required.as_array()? {
            let name = name.as_str()?;
            let position = self.fields.iter().position(|(field, _)| field == name)?;
            self.required |= 1 << position;
        }
        Some(())
    }

    /// Whether a text is certainly one strict JSON object that the schema accepts.
    pub(super) fn fits(&self, text: &str) -> bool {
        let mut scan = Scan { bytes: text.as_bytes(), at: 0, keys: Vec::with_capacity(MAX_KEYS) };
        scan.space();
        scan.peek() == Some(b'{') && scan.value(self, 0).is_some() && {
            scan.space();
            scan.at == scan.bytes.len()
        }
    }
}

/// Whether a text is certainly one strict JSON object, whatever is in it.
pub(super) fn is_plain_object(text: &str) -> bool {
    ANYTHING.fits(text)
}

fn kinds(value: &Value) -> Option<u8> {
    let one = |name: &str| match name {
        "null" => Some(NULL),
        "boolean" => Some(BOOLEAN),
        "integer" => Some(INTEGER),
        "number" => Some(INTEGER | FRACTION),
        "string" => Some(STRING),
        "array" => Some(ARRAY),
        "object" => Some(OBJECT),
        _ => None,
    };
    match value {
        Value::String(name) => one(name),
        Value::Array(names) => names.iter().try_fold(0, |kinds, name| Some(kinds | one(name.as_str()?)?)),
        _ => None,
    }
}

fn fields(properties: &Map<String, Value>) -> Option<Vec<(String, Shape)>> {
    if properties.len() > MAX_KEYS {
        return None;
    }
    properties.iter().map(|(name, schema)| Some((name.clone(), Shape::of(schema)?))).collect()
}

/// Anything at all: what stands in fields that a schema leaves open.
static ANYTHING: Shape = Shape::any();

/// Bytes that stand for themselves in a string: all but control characters, the quote and the backslash.
static PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        plain[byte] = false;
        byte += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

/// A bit by a key's length and ends: equal keys have equal bits.
#[inline]
fn kind_of_key(key: &[u8]) -> u64 {
    let end = |byte: Option<&u8>| u64::from(byte.copied().unwrap_or_default());
    1 << ((key.len() as u64 ^ end(key.first()).wrapping_mul(7) ^ end(key.last()).wrapping_mul(31)) & 63)
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The keys of the objects that are open, the innermost last.
    keys: Vec<&'a [u8]>,
}

/// `None` means: not certain.
type Certain<T> = Option<T>;

impl<'a> Scan<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, word: &[u8]) -> Certain<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn value(&mut self, shape: &Shape, depth: usize) -> Certain<()> {
        let kind = match self.peek()? {
            b'"' => {
                self.string()?;
                STRING
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b'{' => return self.object(shape, depth),
            b'[' => return self.array(shape, depth),
            b't' => self.expect(b"true").map(|()| BOOLEAN)?,
            b'f' => self.expect(b"false").map(|()| BOOLEAN)?,
            b'n' => self.expect(b"null").map(|()| NULL)?,
            _ => return None,
        };
        (shape.kinds & kind != 0).then_some(())
    }

    fn object(&mut self, shape: &Shape, depth: usize) -> Certain<()> {
        if shape.kinds & OBJECT == 0 || depth >= MAX_DEPTH {
            return None;
        }
        let mut there: u64 = 0;
        // One bit for each kind of key seen: only keys of a kind that was seen can be equal to one before.
        let mut seen: u64 = 0;
        let first = self.keys.len();
        self.at += 1;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return (shape.required == 0).then_some(());
        }
        loop {
            let (key, escaped) = self.string()?;
            // A key with an escape could be equal to another without looking so.
            if escaped || self.keys.len() - first == MAX_KEYS {
                return None;
            }
            let bit = kind_of_key(key);
            if seen & bit != 0 && self.keys[first..].contains(&key) {
                return None;
            }
            seen |= bit;
            self.keys.push(key);
            self.space();
            if self.peek()? != b':' {
                return None;
            }
            self.at += 1;
            self.space();
            match shape.fields.iter().position(|(name, _)| name.as_bytes() == key) {
                Some(position) => {
                    there |= 1 << position;
                    self.value(&shape.fields[position].1, depth + 1)?;
                }
                None if shape.closed => return None,
                None => self.value(&ANYTHING, depth + 1)?,
            }
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    self.keys.truncate(first);
                    return (shape.required & !there == 0).then_some(());
                }
                _ => return None,
            }
            self.space();
        }
    }

    fn array(&mut self, shape: &Shape, depth: usize) -> Certain<()> {
        if shape.kinds & ARRAY == 0 || depth >= MAX_DEPTH {
            return None;
        }
        let items = shape.items.as_deref().unwrap_or(&ANYTHING);
        self.at += 1;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.value(items, depth + 1)?;
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
            self.space();
        }
    }

    /// The bytes between the quotes as they stand, and whether there are escapes among them.
    #[inline]
    fn string(&mut self) -> Certain<(&'a [u8], bool)> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            let byte = *self.bytes.get(at)?;
            if PLAIN[usize::from(byte)] {
                at += 1;
            } else if byte == b'"' {
                self.at = at + 1;
                return Some((&self.bytes[start..at], escaped));
            } else if byte == b'\\' {
                // `\u` may be half of a pair that does not exist: the slow way knows.
                if !matches!(self.bytes.get(at + 1)?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') {
                    return None;
                }
                escaped = true;
                at += 2;
            } else {
                return None;
            }
        }
    }

    fn number(&mut self) -> Certain<u8> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.digits();
        let leading_zero = self.bytes[self.at - whole.min(self.at)..].first() == Some(&b'0') && whole > 1;
        if whole == 0 || whole > MAX_DIGITS || leading_zero {
            return None;
        }
        match self.peek() {
            Some(b'.') => {
                self.at += 1;
                let fraction = self.digits();
                let more = matches!(self.peek(), Some(b'e' | b'E'));
                let zero = self.bytes[self.at - fraction..self.at].iter().all(|byte| *byte == b'0');
                // `1.0` is an integer to a schema; which it is to be here is left open.
                (fraction > 0 && fraction <= MAX_DIGITS && !more && !zero).then_some(FRACTION)
            }
            Some(b'e' | b'E') => None,
            _ => Some(INTEGER),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{json, schema::Schema};
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "description": "d" },
                "n": { "type": ["integer", "null"] },
                "x": { "type": "number" },
                "list": { "type": "array", "items": { "type": "object", "properties": { "k": { "type": "boolean" } }, "required": ["k"] } },
                "free": {},
            },
            "required": ["name"],
            "additionalProperties": false,
        })
    }

    #[test]
    fn says_yes_to_what_is_plainly_right() {
        let shape = Shape::of(&schema()).unwrap();
        for text in [
            r#"{"name":"a"}"#,
            r#" { "name" : "a\n" , "n" : null } "#,
            r#"{"name":"é","n":-12,"x":0.5,"list":[{"k":true},{"k":false,"z":[]}],"free":{"a":[1,{"b":{}}]}}"#,
        ] {
            assert!(shape.fits(text), "{text}");
        }
    }

    #[test]
    fn leaves_the_rest_to_the_slow_way() {
        let shape = Shape::of(&schema()).unwrap();
        for text in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"name":1}"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"a","other":1}"#,
            r#"{"name":"a","n":1.0}"#,
            r#"{"name":"a","n":01}"#,
            r#"{"name":"a","n":-}"#,
            r#"{"name":"a","x":1e9}"#,
            r#"{"name":"a","x":12345678901234567890}"#,
            r#"{"name":"a","list":[{}]}"#,
            r#"{"name":"a","list":[1,]}"#,
            r#"{"name":"a",}"#,
            r#"{"name":"a"} x"#,
            r#"{"name":"\u0041"}"#,
            r#"{"name":"\x"}"#,
            "{\"name\":\"a\nb\"}",
            r#"{"name":"a","free":{"k":1,"k":2}}"#,
            r#"{"name":"a","free":nul}"#,
            r#"{"name""a"}"#,
            r#"{"na\me":"a"}"#,
        ] {
            assert!(!shape.fits(text), "{text}");
        }
        for unknown in ["pattern", "minLength", "enum", "anyOf", "$ref", "maximum", "not", "patternProperties"] {
            assert_eq!(Shape::of(&json!({ "type": "object", unknown: [] })), None, "{unknown}");
        }
        assert_eq!(Shape::of(&json!({ "type": "string", "format": "email" })), None);
    }

    /// Whatever is accepted here, the slow way accepts too: tried on texts that are damaged a little, in all ways, repeatably.
    #[test]
    fn never_accepts_what_the_slow_way_refuses() {
        let (shape, slow) = (Shape::of(&schema()).unwrap(), Schema::compile(&schema()).unwrap());
        let seed =
            r#"{"name":"a\\b","n":-120,"x":10.5,"list":[{"k":true},{"k":false,"z":[]}],"free":{"a":[1,{"b":{}}]}}"#;
        let alphabet = b"{}[]\",:\\ 0159.-eEtfnulrk\x01\n";
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut next = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % bound
        };
        let mut accepted = 0;
        for _ in 0..60_000 {
            let mut bytes = seed.as_bytes().to_vec();
            for _ in 0..=next(3) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = alphabet[next(alphabet.len())],
                    1 => bytes.insert(at, alphabet[next(alphabet.len())]),
                    _ => drop(bytes.remove(at)),
                }
            }
            let text = String::from_utf8(bytes).unwrap();
            if shape.fits(&text) {
                accepted += 1;
                let object = json::object(&text).unwrap_or_else(|why| panic!("accepted {text}: {why}"));
                assert!(is_plain_object(&text), "{text}");
                assert!(slow.accepts(&Value::Object(object)), "accepted {text}");
            }
        }
        assert!(accepted > 1_000, "only {accepted} were accepted: the test says little");
    }
}
