//! Words for people: foreign text made safe to show, and the name that a wrong one was probably meant to be.

/// How far a misspelt key may be from the key that is offered instead.
const NEAR: usize = 3;

/// A longer word is no slip of the fingers, and comparing it would cost its length times that of every candidate.
const MAX_WORD: usize = 128;

/// A text on one line that a terminal shows as it is: control characters, characters that change the direction of text, and
/// invisible ones are written as escapes; line breaks become spaces.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            _ if is_hidden(c) => out.extend(c.escape_unicode()),
            _ => out.push(c),
        }
    }
    out
}

/// Whether a character steers a terminal or deceives a reader instead of being seen.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The candidate that looks most like a word, if any looks like it at all.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let distance = |candidate: &str| strsim::damerau_levenshtein(&word.to_lowercase(), candidate);
    let near = |(distance, candidate): &(usize, &str)| *distance <= NEAR.min(candidate.len().div_ceil(2));
    candidates.into_iter().map(|candidate| (distance(candidate), candidate)).filter(near).min().map(|(_, best)| best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_shown_on_one_line_and_steers_nothing() {
        assert_eq!(plain("a\x1b[31m\u{202e}b\nc\u{200b}"), "a\\u{1b}[31m\\u{202e}b c\\u{200b}");
    }

    #[test]
    fn only_slips_have_a_nearest() {
        for (word, expected) in
            [("polcy", Some("policy")), ("Packs", Some("packs")), ("zebra", None), (&"p".repeat(200), None)]
        {
            assert_eq!(nearest(word, ["packs", "policy"]), expected, "{word}");
        }
    }
}
