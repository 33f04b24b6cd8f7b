//! What differs from run to run, and the names that stand for it in snapshots.

use regex::Regex;

/// Patterns and what replaces them, in the order they are applied.
pub(crate) const FILTERS: &[(&str, &str)] = &[
    (r"[0-9a-f]{64}", "[SHA256]"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[UUID]"),
    // Shortened hashes, as listings show them. A letter is needed, so that long numbers stay.
    (r"\b(?:[0-9]+[a-f]|[a-f]+[0-9])[0-9a-f]{6,38}(?:…|\.\.\.)?", "[HASH]"),
    (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})", "[TIME]"),
    (r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}(?::\d{2})?)?(?: UTC)?", "[TIME]"),
    (r"\brig(-host)? \d+\.\d+\.\d+\S*", "rig [VERSION]"),
    (r"(127\.0\.0\.1|\[::1\]|localhost):\d{4,5}", "$1:[PORT]"),
    (r"\b\d+(?:\.\d+)? ?(?:[KMG]i?B|kB|bytes|B)\b", "[SIZE]"),
    (r"\b\d+(?:\.\d+)? ?(?:ns|µs|ms|s|seconds?)\b", "[DURATION]"),
    (r"[ \t]+\n", "\n"),
];

/// A text with everything replaced that differs from run to run, so that two of them can be compared.
#[must_use]
pub fn normalised(text: &str) -> String {
    FILTERS.iter().fold(text.to_owned(), |text, (pattern, shown)| {
        let pattern = Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        pattern.replace_all(&text, *shown).into_owned()
    })
}

/// A path as a pattern that matches it literally.
pub(crate) fn literal(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if !c.is_alphanumeric() && !matches!(c, '/' | '_' | ' ') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_what_varies_and_nothing_else() {
        let mut settings = insta::Settings::clone_current();
        settings.set_filters(FILTERS.iter().copied());
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let text = format!(
            "sha256:{hex}\n{}…\n6f9619ff-8b86-4d01-b42d-00cf4fc964ff\n2026-11-21T10:00:00.123Z\n2026-11-21 10:00\nrig 0.1.0\n\
             http://127.0.0.1:39999/i.json\n57.3 KiB in 12 ms, 1.5s\necho 1.0.0 wasm   \nissue 1234567890123 facade",
            &hex[..12]
        );
        settings.bind(|| {
            insta::assert_snapshot!(text, @r"
            sha256:[SHA256]
            [HASH]
            [UUID]
            [TIME]
            [TIME]
            rig [VERSION]
            http://127.0.0.1:[PORT]/i.json
            [SIZE] in [DURATION], [DURATION]
            echo 1.0.0 wasm
            issue 1234567890123 facade
            ");
        });
    }
}
