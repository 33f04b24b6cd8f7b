//! What an answer to a request for the rest of a file is: the rest, the whole, or neither. Purely text.

/// `Content-Range`: which bytes an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The first.
    pub(super) first: u64,
    /// The last.
    pub(super) last: u64,
    /// How many bytes the whole has, when the server knows.
    pub(super) whole: Option<u64>,
}

impl ContentRange {
    /// Reads the header; nothing when it is not one for a single range of bytes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (range, whole) = text.trim().strip_prefix("bytes ")?.trim_start().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let whole = if whole == "*" { None } else { Some(number(whole)?) };
        let sound = first <= last && whole.is_none_or(|whole| last < whole);
        sound.then_some(Self { first, last, whole })
    }

    /// Whether it is what is missing of a file of which `from` bytes are here: up to the end, and of the size that is expected.
    pub(super) fn is_rest(self, from: u64, size: Option<u64>) -> bool {
        let end = self.last.checked_add(1);
        let ends = |size: Option<u64>| size.is_none() || size == end;
        self.first == from && ends(size) && ends(self.whole)
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_strictly() {
        let range = |first, last, whole| Some(ContentRange { first, last, whole });
        let cases = [
            ("bytes 5-9/10", range(5, 9, Some(10))),
            ("bytes 0-0/*", range(0, 0, None)),
            ("bytes 5-10/10", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("bytes +5-9/10", None),
            ("bytes 5-9", None),
            ("bytes 5-9/", None),
            ("items 5-9/10", None),
            ("5-9/10", None),
            ("bytes 5-99999999999999999999/*", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(ContentRange::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn only_what_is_missing_is_the_rest() {
        let cases = [
            ("bytes 5-9/10", Some(10), true),
            ("bytes 5-9/*", Some(10), true),
            ("bytes 5-9/10", None, true),
            ("bytes 5-9/*", None, true),
            ("bytes 4-9/10", Some(10), false),
            ("bytes 6-9/10", Some(10), false),
            ("bytes 0-9/10", Some(10), false),
            ("bytes 5-8/10", Some(10), false),
            ("bytes 5-8/10", None, false),
            ("bytes 5-10/11", Some(10), false),
        ];
        for (text, size, expected) in cases {
            assert_eq!(ContentRange::parse(text).unwrap().is_rest(5, size), expected, "{text} {size:?}");
        }
    }
}
