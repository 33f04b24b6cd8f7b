//! Canonical JSON straight from a text, without a tree in between: most arguments are plain objects, and their canonical form is their
//! own text with its white space left out and its keys in order. What is not that plain is left to [`super::canonical_json`].

use std::ops::Range;

/// serde_json's bound is 128; deeper texts are left to it to refuse.
const MAX_DEPTH: usize = 100;
/// Digits that an integer may have to be what it says in every reader.
const MAX_DIGITS: usize = 15;

/// The canonical form of a JSON text; none when the text is not valid, holds a key twice, or is not plain enough to tell.
#[must_use]
pub fn canonical_text(text: &str) -> Option<String> {
    let mut reader = Reader { text, at: 0, out: String::with_capacity(text.len()) };
    reader.value(0)?;
    reader.space();
    (reader.at == text.len()).then_some(reader.out)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    out: String,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Whether that byte is next; it is skipped then.
    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        self.space();
        match self.peek()? {
            b'{' if depth < MAX_DEPTH => self.object(depth),
            b'[' if depth < MAX_DEPTH => self.array(depth),
            b'"' => self.string(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'-' | b'0'..=b'9' => self.integer(),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            self.out.push_str(word);
        })
    }

    fn integer(&mut self) -> Option<()> {
        let start = self.at;
        let negative = self.skip(b'-');
        let digits = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        let length = self.at - digits;
        let zero_first = self.text.as_bytes().get(digits) == Some(&b'0');
        let plain = (1..=MAX_DIGITS).contains(&length) && !(zero_first && (length > 1 || negative));
        // A fraction or an exponent has many ways to be written.
        if !plain || matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.out.push_str(&self.text[start..self.at]);
        Some(())
    }

    /// A string, with its quotes.
    fn string(&mut self) -> Option<()> {
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let text = self.text.get(start..self.at)?;
        if escaped {
            let value: String = serde_json::from_str(text).ok()?;
            self.out.push_str(&serde_json::to_string(&value).ok()?);
        } else {
            self.out.push_str(text);
        }
        Some(())
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.out.push('[');
        self.space();
        if !self.skip(b']') {
            loop {
                self.value(depth + 1)?;
                self.space();
                if self.skip(b']') {
                    break;
                }
                if !self.skip(b',') {
                    return None;
                }
                self.out.push(',');
            }
        }
        self.out.push(']');
        Some(())
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.out.push('{');
        let body = self.out.len();
        let mut members: Vec<Member> = Vec::new();
        let mut sorted = true;
        self.space();
        if !self.skip(b'}') {
            loop {
                self.space();
                let start = self.out.len();
                if self.peek() != Some(b'"') {
                    return None;
                }
                self.string()?;
                let key = start + 1..self.out.len() - 1;
                // Escapes sort by what they stand for, not by how they are written.
                if self.out[key.clone()].contains('\\') {
                    return None;
                }
                if let Some(last) = members.last() {
                    sorted &= self.out[last.key.clone()] < self.out[key.clone()];
                }
                self.space();
                if !self.skip(b':') {
                    return None;
                }
                self.out.push(':');
                self.value(depth + 1)?;
                members.push(Member { key, all: start..self.out.len() });
                self.space();
                if self.skip(b'}') {
                    break;
                }
                if !self.skip(b',') {
                    return None;
                }
                self.out.push(',');
            }
        }
        if !sorted {
            self.sort(body, &mut members)?;
        }
        self.out.push('}');
        Some(())
    }

    /// Puts the members of the object that ends here in order; none when a key stands twice.
    fn sort(&mut self, body: usize, members: &mut [Member]) -> Option<()> {
        members.sort_by(|a, b| self.out[a.key.clone()].cmp(&self.out[b.key.clone()]));
        if members.windows(2).any(|pair| self.out[pair[0].key.clone()] == self.out[pair[1].key.clone()]) {
            return None;
        }
        let mut ordered = String::with_capacity(self.out.len() - body);
        for member in members.iter() {
            if !ordered.is_empty() {
                ordered.push(',');
            }
            ordered.push_str(&self.out[member.all.clone()]);
        }
        self.out.truncate(body);
        self.out.push_str(&ordered);
        Some(())
    }
}

/// Where a member of an object stands in the output.
struct Member {
    key: Range<usize>,
    all: Range<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::canonical_json;
    use serde_json::Value;

    #[test]
    fn it_says_what_the_tree_says() {
        for text in [
            "{}",
            " { } ",
            "[ ]",
            r#"{"message": "hello"}"#,
            r#"{"b":1,"a":{"d":[1,2, {"z":null,"y":true}],"c":"x"},"é":-7}"#,
            "{\"b\" :\n [ ] , \"aa\": {}, \"a\" :\"\\u0041\\n\\/\\ud83d\\ude00 é\"}",
            r#"["\\\"", "\u001f", ""]"#,
            "0",
            "-12",
            "\"x\"",
        ] {
            let tree: Value = serde_json::from_str(text).unwrap();
            assert_eq!(canonical_text(text), Some(canonical_json(&tree)), "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_or_not_json_is_left_to_the_tree() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for text in [
            "",
            "{",
            "{}x",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "[1,]",
            "01",
            "-",
            "-0",
            "1.0",
            "1e3",
            "1234567890123456",
            "tru",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\u{1}\"",
            r#"{"a":1,"a":1}"#,
            r#"{"b":1,"a":1,"b":2}"#,
            r#"{"\u0061":1}x"#,
            r#"{"\\":1}"#,
            &deep,
        ] {
            assert_eq!(canonical_text(text), None, "{text}");
        }
    }
}
