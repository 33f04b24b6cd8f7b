//! Numbers of JSON: from text to `u64`, `i64` or `f64`.
//!
//! The standard library's conversion to `f64` brings tables of 10 KB. Here a number that needs more than one exact operation is
//! multiplied or divided by ten as often as its exponent says, with 128 bits: exact enough for the nearest `f64` of what programs
//! write, and for its neighbour at worst.

use super::scan::Number;

/// Reads the number that a text begins with; answers it, or nothing when it is too large, and how long it is. Nothing at all when the
/// text does not begin with a number.
pub(super) fn parse(text: &str) -> Option<(Option<Number>, usize)> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let whole = digits(start);
    if whole == 0 || (whole > 1 && bytes[start] == b'0') {
        return None;
    }
    let mut end = start + whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        end += 1 + fraction;
        if fraction == 0 {
            return None;
        }
    }
    let mantissa = end;
    let mut exponent = 0_i32;
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = bytes.get(end + 1).copied();
        let from = end + 1 + usize::from(matches!(sign, Some(b'+' | b'-')));
        let count = digits(from);
        if count == 0 {
            return None;
        }
        end = from + count;
        for digit in &bytes[from..end] {
            exponent = exponent.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
        }
        if sign == Some(b'-') {
            exponent = -exponent;
        }
    }
    // The digits as far as they fit; of those after them only the number counts.
    let mut value = 0_u64;
    let mut dropped = 0_i32;
    for digit in bytes[start..mantissa].iter().filter(|byte| byte.is_ascii_digit()) {
        let more = if dropped == 0 {
            value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0')))
        } else {
            None
        };
        match more {
            Some(more) => value = more,
            None => dropped = dropped.saturating_add(1),
        }
    }
    if end == start + whole && dropped == 0 {
        if !negative {
            return Some((Some(Number::Unsigned(value)), end));
        }
        // `-0` is the one whole number that only a float can be.
        if let Some(value) = 0_i64.checked_sub_unsigned(value).filter(|value| *value != 0) {
            return Some((Some(Number::Signed(value)), end));
        }
    }
    let places = i32::try_from(fraction).unwrap_or(i32::MAX);
    let float = scale(value, exponent.saturating_sub(places).saturating_add(dropped));
    let float = if negative { -float } else { float };
    Some((float.is_finite().then_some(Number::Float(float)), end))
}

/// `value * 10^exponent`; infinite when that is too large.
fn scale(value: u64, exponent: i32) -> f64 {
    // Powers up to this one, and whole numbers up to 2^53, are exact as `f64`, so that one operation rounds once.
    const EXACT: u32 = 22;
    if value < 1 << f64::MANTISSA_DIGITS && exponent.unsigned_abs() <= EXACT {
        let power = (0..exponent.unsigned_abs()).fold(1.0, |power: f64, _| power * 10.0);
        #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
        let value = value as f64;
        return if exponent < 0 { value / power } else { value * power };
    }
    // As `mantissa * 2^binary` with the highest bit set, ten by ten: each step loses less than 2^-123.
    let (mut mantissa, mut binary) = normal(value.into(), 0);
    for _ in 0..exponent.unsigned_abs() {
        if mantissa == 0 || binary.unsigned_abs() > 2000 {
            break;
        }
        (mantissa, binary) =
            if exponent < 0 { normal(tenth(mantissa), binary) } else { normal((mantissa >> 4) * 10, binary + 4) };
    }
    #[allow(clippy::cast_precision_loss, reason = "this is the rounding")]
    let rounded = mantissa as f64;
    // In two halves, since 2^binary alone can be out of range where the product is not.
    rounded * power_of_two(binary / 2) * power_of_two(binary - binary / 2)
}

/// A tenth, rounded down: digit by digit, since a division of 128 bits by any number is a kilobyte of code.
fn tenth(number: u128) -> u128 {
    let (mut quotient, mut rest) = (0, 0);
    for digit in (0..4).rev() {
        let part = rest << 32 | u64::try_from(number >> (digit * 32) & 0xffff_ffff).unwrap_or_default();
        quotient = quotient << 32 | u128::from(part / 10);
        rest = part % 10;
    }
    quotient
}

/// Shifts the highest bit to the top.
fn normal(mantissa: u128, binary: i32) -> (u128, i32) {
    let shift = mantissa.leading_zeros().min(127);
    (mantissa << shift, binary - shift.cast_signed())
}

fn power_of_two(exponent: i32) -> f64 {
    let exponent = exponent.clamp(f64::MIN_EXP - 1, f64::MAX_EXP - 1) + f64::MAX_EXP - 1;
    f64::from_bits(u64::from(exponent.unsigned_abs()) << (f64::MANTISSA_DIGITS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_the_standard_library_reads() {
        let cases = "0 -0 1 -1 18446744073709551615 -9223372036854775808 0.1 -0.1 1e2 1.5E-7 3.141592653589793 1e22 1e23 \
                     9007199254740993 123456789012345678 1.7976931348623157e308 2.2250738585072014e-308 5e-324 4.9e-324 1e-400 \
                     18446744073709551616 -9223372036854775809 0.000000000000000000000000000001 59.91273940000001 8.41e21 \
                     0.30000000000000004 123456789.123456789 1e-5 6.02214076e23 1.6e-35 9.5e-200 7.7e250 2e-308";
        for text in cases.split_whitespace() {
            let (number, length) = parse(text).unwrap();
            assert_eq!(length, text.len(), "{text}");
            let float = match number.unwrap() {
                Number::Unsigned(number) => {
                    assert_eq!(text.parse(), Ok(number));
                    continue;
                }
                Number::Signed(number) => {
                    assert_eq!(text.parse(), Ok(number));
                    continue;
                }
                Number::Float(float) => float,
            };
            assert_eq!(float.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}: {float:e}");
        }
    }

    #[test]
    fn random_floats_come_back() {
        // A fixed sequence, so that a failure comes back too.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let float = f64::from_bits(state);
            if float.is_normal() {
                let text = format!("{float:e}");
                let number = parse(&text).unwrap().0.unwrap();
                let read = match number {
                    Number::Float(read) => read,
                    #[allow(clippy::cast_precision_loss)]
                    Number::Unsigned(read) => read as f64,
                    #[allow(clippy::cast_precision_loss)]
                    Number::Signed(read) => read as f64,
                };
                assert_eq!(read.to_bits(), float.to_bits(), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused_and_what_is_too_large_is_told() {
        for text in ["", "-", "+1", ".5", "1.", "1e", "1e+", "01", "-01", "e5", "NaN"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["1e309", "-1e400", "1e999999999999"] {
            assert_eq!(parse(text), Some((None, text.len())), "{text}");
        }
        assert_eq!(parse("12,"), Some((Some(Number::Unsigned(12)), 2)));
    }
}
