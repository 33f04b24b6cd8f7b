//! The text that is read, and where in it reading stands: everything about JSON that does not depend on the type that is read.

use std::borrow::Cow;

use serde::de::{Error as _, Expected, Unexpected, Visitor};

use super::{
    fault::{Fault, Result},
    number,
};

/// How deep values may be nested: the reader calls itself for each level, on a stack of a megabyte.
const MAX_DEPTH: u8 = 128;

/// A text that is being read.
pub(super) struct Reader<'de> {
    text: &'de str,
    /// How many bytes have been read.
    at: usize,
    /// How many more levels there may be.
    depth: u8,
}

impl<'de> Reader<'de> {
    /// The beginning of a text.
    pub(super) const fn new(text: &'de str) -> Self {
        Self { text, at: 0, depth: MAX_DEPTH }
    }

    /// The next byte that is no white space, still unread; 0 at the end, which is no byte of JSON either.
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn fault(&mut self, expected: &str) -> Fault {
        if self.peek() == 0 && self.at >= self.text.len() {
            Fault::custom(format_args!("the text ends early: expected {expected}"))
        } else {
            Fault::custom(format_args!("expected {expected}"))
        }
    }

    /// The fault with the place where reading stopped.
    #[cold]
    #[inline(never)]
    pub(super) fn placed(&self, fault: &Fault) -> Fault {
        let read = self.text.as_bytes().get(..self.at).unwrap_or_default();
        let line = read.split(|byte| *byte == b'\n').count();
        let column = read.iter().rev().take_while(|byte| **byte != b'\n').count().max(1);
        Fault::custom(format_args!("{fault} at line {line} column {column}"))
    }

    /// Nothing may follow the value.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.peek() == 0 && self.at >= self.text.len() {
            return Ok(());
        }
        let fault = self.fault("nothing after the value");
        Err(self.placed(&fault))
    }

    /// What has not been read. Never empty by mistake: `at` is at the end of a character. No slice here can panic, which would bring
    /// 3 KB of code to show the text.
    fn rest(&self) -> &'de str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, word: &str) -> Result<()> {
        if self.rest().starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.fault("value"))
    }

    /// Goes into a list or an object.
    #[inline(never)]
    pub(super) fn open(&mut self, bracket: u8, expected: &dyn Expected) -> Result<()> {
        if self.peek() != bracket {
            return Err(self.wrong(expected));
        }
        self.at += 1;
        self.depth = self.depth.checked_sub(1).ok_or_else(|| Fault::custom("the value is nested too deep"))?;
        Ok(())
    }

    /// Leaves a list or an object, all of which must have been read.
    #[inline(never)]
    pub(super) fn close(&mut self, bracket: u8) -> Result<()> {
        if self.peek() != bracket {
            return Err(self.fault("fewer elements"));
        }
        self.at += 1;
        self.depth += 1;
        Ok(())
    }

    /// Whether another element follows, and goes to it.
    #[inline(never)]
    pub(super) fn element(&mut self, bracket: u8, first: &mut bool) -> Result<bool> {
        let next = self.peek();
        if next == bracket {
            return Ok(false);
        }
        if !std::mem::replace(first, false) {
            if next != b',' {
                return Err(self.fault(if bracket == b']' { "`,` or `]`" } else { "`,` or `}`" }));
            }
            self.at += 1;
        }
        Ok(true)
    }

    #[inline(never)]
    pub(super) fn colon(&mut self) -> Result<()> {
        if self.peek() != b':' {
            return Err(self.fault("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// The value is of another type than the one that is read.
    #[cold]
    #[inline(never)]
    pub(super) fn wrong(&mut self, expected: &dyn Expected) -> Fault {
        let found = match self.peek() {
            b'"' => {
                return self
                    .string()
                    .map_or_else(|fault| fault, |text| Fault::invalid_type(Unexpected::Str(&text), expected));
            }
            b'{' => Unexpected::Map,
            b'[' => Unexpected::Seq,
            b't' => Unexpected::Bool(true),
            b'f' => Unexpected::Bool(false),
            b'n' => Unexpected::Unit,
            b'-' | b'0'..=b'9' => match self.number() {
                Ok(number) => number.unexpected(),
                Err(fault) => return fault,
            },
            _ => return self.fault("value"),
        };
        Fault::invalid_type(found, expected)
    }

    #[inline(never)]
    pub(super) fn null(&mut self) -> Result<bool> {
        if self.peek() != b'n' {
            return Ok(false);
        }
        self.eat("null").map(|()| true)
    }

    #[inline(never)]
    pub(super) fn boolean(&mut self, expected: &dyn Expected) -> Result<bool> {
        match self.peek() {
            b't' => self.eat("true").map(|()| true),
            b'f' => self.eat("false").map(|()| false),
            _ => Err(self.wrong(expected)),
        }
    }

    #[inline(never)]
    pub(super) fn number(&mut self) -> Result<Number> {
        let Some((number, length)) = number::parse(self.rest()) else { return Err(self.fault("a number")) };
        self.at += length;
        number.ok_or_else(|| Fault::custom("the number is out of range"))
    }

    #[inline(never)]
    pub(super) fn expected_number(&mut self, expected: &dyn Expected) -> Result<Number> {
        if matches!(self.peek(), b'-' | b'0'..=b'9') { self.number() } else { Err(self.wrong(expected)) }
    }

    #[inline(never)]
    pub(super) fn expected_string(&mut self, expected: &dyn Expected) -> Result<Cow<'de, str>> {
        if self.peek() == b'"' { self.string() } else { Err(self.wrong(expected)) }
    }

    /// The name of a field or a key of a map.
    #[inline(never)]
    pub(super) fn key(&mut self) -> Result<Cow<'de, str>> {
        if self.peek() == b'"' { self.string() } else { Err(self.fault("a text as key")) }
    }

    /// A string, of which the opening quote is next.
    pub(super) fn string(&mut self) -> Result<Cow<'de, str>> {
        self.at += 1;
        let mut text = Cow::Borrowed("");
        loop {
            let rest = self.rest();
            let Some((plain, end)) = until_special(rest) else {
                self.at = self.text.len();
                return Err(self.fault("the end of a string"));
            };
            if text.is_empty() {
                text = Cow::Borrowed(plain);
            } else {
                text.to_mut().push_str(plain);
            }
            self.at += plain.len() + 1;
            match end {
                b'"' => return Ok(text),
                b'\\' => text.to_mut().push(self.escape()?),
                _ => return Err(Fault::custom("a control character stands in a string")),
            }
        }
    }

    /// What stands after a backslash.
    #[inline(never)]
    fn escape(&mut self) -> Result<char> {
        let byte = self.text.as_bytes().get(self.at).copied().unwrap_or_default();
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex()?;
                let code = match unit {
                    // The first half of a pair: the other one gives the lower ten bits.
                    0xd800..0xdc00 if self.rest().starts_with("\\u") => {
                        self.at += 2;
                        let low = self.hex()?.wrapping_sub(0xdc00);
                        if low < 0x400 { 0x1_0000 + ((unit - 0xd800) << 10) + low } else { unit }
                    }
                    _ => unit,
                };
                return char::from_u32(code).ok_or_else(|| Fault::custom("an escape is half of a pair"));
            }
            _ => return Err(Fault::custom("an escape does not exist")),
        })
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        self.at += 4;
        let digits = digits.and_then(|digits| {
            digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
        });
        digits.ok_or_else(|| Fault::custom("an escape needs four hex digits"))
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self) -> Result<()> {
        match self.peek() {
            open @ (b'{' | b'[') => {
                // Two more is the closing one of each, in ASCII.
                let bracket = open + 2;
                let mut first = true;
                self.open(open, &"a value")?;
                while self.element(bracket, &mut first)? {
                    if open == b'{' {
                        self.key()?;
                        self.colon()?;
                    }
                    self.skip()?;
                }
                self.close(bracket)
            }
            b'"' => self.string().map(drop),
            b't' => self.eat("true"),
            b'f' => self.eat("false"),
            b'n' => self.eat("null"),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            _ => Err(self.fault("value")),
        }
    }

    /// The text of a value.
    pub(super) fn raw(&mut self) -> Result<&'de str> {
        self.peek();
        let start = self.at;
        self.skip()?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }
}

/// The text up to the next quote, backslash or control character, and that one. All of them are ASCII, so the text ends with a
/// character.
#[inline(never)]
fn until_special(text: &str) -> Option<(&str, u8)> {
    let at = text.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    Some((text.get(..at)?, *text.as_bytes().get(at)?))
}

/// A number as JSON has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Number {
    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Self::Unsigned(number) => visitor.visit_u64(number),
            Self::Signed(number) => visitor.visit_i64(number),
            Self::Float(number) => visitor.visit_f64(number),
        }
    }

    const fn unexpected(self) -> Unexpected<'static> {
        match self {
            Self::Unsigned(number) => Unexpected::Unsigned(number),
            Self::Signed(number) => Unexpected::Signed(number),
            Self::Float(number) => Unexpected::Float(number),
        }
    }
}

pub(super) fn visit_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}
