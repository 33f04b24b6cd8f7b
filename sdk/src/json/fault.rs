//! What is wrong with a text that is read, or with a value that has no form in JSON.

use std::fmt;

use serde::{
    de::{self, Expected, Unexpected},
    ser,
};

/// What reading and writing answer.
pub(super) type Result<T = ()> = std::result::Result<T, Fault>;

/// What is wrong. Boxed, since it stands in the result of every function that reads or writes: a thin pointer is small code.
#[derive(Debug)]
#[allow(clippy::box_collection, reason = "the box is what makes it thin")]
pub(crate) struct Fault(Box<String>);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(message.to_string()))
    }

    /// As by default, but for floats: how the standard library shows them is 7 KB of code.
    #[cold]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Float(_) => {
                Self::custom(format_args!("invalid type: a number with a fraction, expected {expected}"))
            }
            Unexpected::Unit => Self::custom(format_args!("invalid type: null, expected {expected}")),
            Unexpected::Bool(value) => Self::custom(format_args!("invalid type: {value}, expected {expected}")),
            Unexpected::Unsigned(value) => {
                Self::custom(format_args!("invalid type: integer `{value}`, expected {expected}"))
            }
            Unexpected::Signed(value) => {
                Self::custom(format_args!("invalid type: integer `{value}`, expected {expected}"))
            }
            Unexpected::Str(value) => {
                Self::custom(format_args!("invalid type: string \"{value}\", expected {expected}"))
            }
            Unexpected::Seq => Self::custom(format_args!("invalid type: sequence, expected {expected}")),
            Unexpected::Map => Self::custom(format_args!("invalid type: map, expected {expected}")),
            _ => Self::custom(format_args!("invalid type, expected {expected}")),
        }
    }

    /// As the type.
    #[cold]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let Self(message) = Self::invalid_type(found, expected);
        Self(Box::new(message.replacen("type", "value", 1)))
    }
}

impl ser::Error for Fault {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        de::Error::custom(message)
    }
}
