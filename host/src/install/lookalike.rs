//! Names of packs that a person takes for another's: one slip of the fingers away, or the same to the eye. Pure.
//!
//! What is not here: whether one of the two is in the right. Whoever asks knows which was there first.

use rig_specs::PackId;

/// Names shorter than this differ from most others by little, and are told apart by looking at all of them.
const MIN_SLIP: usize = 4;

/// Words that say nothing about whose a pack is, and are added to a known name to borrow its fame.
const DECORATIONS: [&str; 8] = ["official", "pack", "rig", "tools", "tool", "api", "sdk", "mcp"];

/// Whether two different names are easily taken for each other.
pub(crate) fn close(one: &PackId, other: &PackId) -> bool {
    if one == other {
        return false;
    }
    let (a, b) = (one.as_str(), other.as_str());
    if skeleton(a) == skeleton(b) {
        return true;
    }
    let long = a.len().min(b.len()) >= MIN_SLIP;
    // Names that count (`probe-1`, `probe-2`) are told apart by their numbers.
    let numbered = a.trim_end_matches(|c: char| c.is_ascii_digit()) == b.trim_end_matches(|c: char| c.is_ascii_digit())
        && a.ends_with(|c: char| c.is_ascii_digit())
        && b.ends_with(|c: char| c.is_ascii_digit());
    long && !numbered && strsim::damerau_levenshtein(a, b) <= 1
}

/// What is left of a name when what looks alike is the same, and what says nothing is gone.
fn skeleton(name: &str) -> String {
    let words = name.split('-').filter(|word| !DECORATIONS.contains(word));
    let bare: String = words.collect();
    let bare = if bare.is_empty() { name.replace('-', "") } else { bare };
    let same = |c: char| match c {
        '0' => 'o',
        '1' | 'i' => 'l',
        '5' => 's',
        other => other,
    };
    bare.replace("rn", "m").replace("vv", "w").chars().map(same).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_for_each_other() {
        let id = |text: &str| text.parse::<PackId>().unwrap();
        for (a, b) in [
            ("stripe", "str1pe"),
            ("stripe", "strlpe"),
            ("stripe", "stripes"),
            ("stripe", "stirpe"),
            ("stripe", "stripe-official"),
            ("stripe", "rig-stripe"),
            ("slack", "s1ack"),
            ("github", "git-hub"),
            ("notion", "n0tion"),
            ("twilio", "tvvilio"),
            ("modern", "modem"),
            ("a1", "al"),
        ] {
            assert!(close(&id(a), &id(b)) && close(&id(b), &id(a)), "{a} {b}");
        }
        for (a, b) in [
            ("stripe", "stripe"),
            ("github", "gitlab"),
            ("echo", "slack"),
            ("one", "two"),
            ("ab", "ac"),
            ("probe-1", "probe-2"),
            ("api", "sdk"),
        ] {
            assert!(!close(&id(a), &id(b)), "{a} {b}");
        }
    }
}
