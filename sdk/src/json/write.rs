//! Writes types as JSON, compactly: outputs of tools, bodies of requests and arguments of other tools. The counterpart of the
//! reader, and for the same reason: small code for each type. What it writes is byte for byte what `serde_json` writes.

use std::fmt;

use serde::{
    Serialize,
    ser::{
        self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use self::key::Text;
use super::{
    fault::{Fault, Result},
    read::RAW,
};

mod key;

/// Writes a value.
pub(crate) fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    let mut writer = Writer { out: String::new() };
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
}

impl Writer {
    #[inline(never)]
    fn text(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.out.push('"');
        let mut start = 0;
        for (at, byte) in text.bytes().enumerate() {
            let short = match byte {
                b'"' | b'\\' => byte,
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                8 => b'b',
                12 => b'f',
                0..0x20 => b'u',
                _ => continue,
            };
            // What is escaped is ASCII, so both ends are those of characters.
            self.out.push_str(text.get(start..at).unwrap_or_default());
            start = at + 1;
            self.out.push('\\');
            self.out.push(char::from(short));
            if short == b'u' {
                self.out.push_str("00");
                self.out.push(char::from(HEX[usize::from(byte >> 4)]));
                self.out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
        self.out.push_str(text.get(start..).unwrap_or_default());
        self.out.push('"');
    }

    #[inline(never)]
    fn unsigned(&mut self, number: u64) {
        let mut unit = 1;
        while number / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            self.out.extend(char::from_digit((number / unit % 10) as u32, 10));
            unit /= 10;
        }
    }

    #[inline(never)]
    fn signed(&mut self, number: i64) {
        if number < 0 {
            self.out.push('-');
        }
        self.unsigned(number.unsigned_abs());
    }

    /// A comma before all but the first, then the name.
    #[inline(never)]
    fn field(&mut self, name: &str) {
        self.comma();
        self.text(name);
        self.out.push(':');
    }

    /// Nothing ends with a bracket that opens but what has no element yet: a text ends with its quote.
    #[inline(never)]
    fn comma(&mut self) {
        if !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
    }

    #[inline(never)]
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// `{"name":`, before what a variant has in it.
    #[inline(never)]
    fn variant(&mut self, name: &str) {
        self.put("{");
        self.field(name);
    }
}

macro_rules! whole {
    ($($method:ident $type:ty => $as:ident),*) => {
        $(fn $method(self, number: $type) -> Result {
            self.$as(number.into());
            Ok(())
        })*
    };
}

impl<'a> ser::Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Elements<'a>;
    type SerializeTupleVariant = Elements<'a>;
    type SerializeMap = Elements<'a>;
    type SerializeStruct = Elements<'a>;
    type SerializeStructVariant = Elements<'a>;

    whole!(serialize_u8 u8 => unsigned, serialize_u16 u16 => unsigned, serialize_u32 u32 => unsigned, serialize_u64 u64 => unsigned,
        serialize_i8 i8 => signed, serialize_i16 i16 => signed, serialize_i32 i32 => signed, serialize_i64 i64 => signed);

    fn serialize_u128(self, number: u128) -> Result {
        self.put(&number.to_string());
        Ok(())
    }

    fn serialize_i128(self, number: i128) -> Result {
        self.put(&number.to_string());
        Ok(())
    }

    /// What is no number in JSON is written as null.
    fn serialize_f32(self, number: f32) -> Result {
        let mut buffer = zmij::Buffer::new();
        self.put(if number.is_finite() { buffer.format_finite(number) } else { "null" });
        Ok(())
    }

    /// What is no number in JSON is written as null.
    fn serialize_f64(self, number: f64) -> Result {
        let mut buffer = zmij::Buffer::new();
        self.put(if number.is_finite() { buffer.format_finite(number) } else { "null" });
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result {
        self.put(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result {
        self.text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result {
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        self.put("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &str) -> Result {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &str, _: u32, variant: &str) -> Result {
        self.text(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Result {
        if name == RAW {
            let text = value.serialize(Text { raw: true })?;
            self.put(&text);
            return Ok(());
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &str, _: u32, variant: &str, value: &T) -> Result {
        self.variant(variant);
        value.serialize(&mut *self)?;
        self.put("}");
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>> {
        self.put("[");
        Ok(Elements { writer: self, close: "]" })
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements<'a>> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &str, _: usize) -> Result<Elements<'a>> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(self, _: &str, _: u32, variant: &str, _: usize) -> Result<Elements<'a>> {
        self.variant(variant);
        self.put("[");
        Ok(Elements { writer: self, close: "]}" })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Elements<'a>> {
        self.put("{");
        Ok(Elements { writer: self, close: "}" })
    }

    fn serialize_struct(self, _: &str, _: usize) -> Result<Elements<'a>> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(self, _: &str, _: u32, variant: &str, _: usize) -> Result<Elements<'a>> {
        self.variant(variant);
        self.put("{");
        Ok(Elements { writer: self, close: "}}" })
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result {
        self.text(&value.to_string());
        Ok(())
    }
}

/// A list or an object that has been opened, and what closes it.
struct Elements<'a> {
    writer: &'a mut Writer,
    close: &'static str,
}

impl Elements<'_> {
    fn close(self) {
        self.writer.put(self.close);
    }
}

macro_rules! lists {
    ($($trait:ident $method:ident),*) => {
        $(impl $trait for Elements<'_> {
            type Ok = ();
            type Error = Fault;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
                self.writer.comma();
                value.serialize(&mut *self.writer)
            }

            fn end(self) -> Result {
                self.close();
                Ok(())
            }
        })*
    };
}

lists!(SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field);

macro_rules! structs {
    ($($trait:ident),*) => {
        $(impl $trait for Elements<'_> {
            type Ok = ();
            type Error = Fault;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
                self.writer.field(name);
                value.serialize(&mut *self.writer)
            }

            fn end(self) -> Result {
                self.close();
                Ok(())
            }
        })*
    };
}

structs!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        let name = key.serialize(Text { raw: false })?;
        self.writer.field(&name);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result {
        self.close();
        Ok(())
    }
}
