//! Versions of packages from PyPI, which are written by other rules (PEP 440), and versions of rig, which are those of semver.

use semver::{Comparator, Op, Version, VersionReq};

use crate::install::source::Wanted;

/// A version from PyPI as one of semver, in the same order: `1.2` is 1.2.0, `1.0rc1` is 1.0.0-rc.1, `1.0.post1` is 1.0.0+post.1. What
/// semver has no place for goes behind the `+`.
pub(super) fn of_pypi(text: &str) -> Option<Version> {
    let text = text.trim().to_ascii_lowercase();
    let (text, local) = text.split_once('+').map_or((text.as_str(), None), |(text, local)| (text, Some(local)));
    let (epoch, text) = text.split_once('!').map_or((None, text), |(epoch, rest)| (Some(epoch), rest));
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (release, mut rest) = text.split_at(end);
    let numbers =
        release.trim_end_matches('.').split('.').map(str::parse::<u64>).collect::<Result<Vec<_>, _>>().ok()?;
    let mut pre = Vec::new();
    let mut build: Vec<String> = epoch.iter().map(|epoch| format!("epoch.{epoch}")).collect();
    build.extend(numbers.get(3..).unwrap_or_default().iter().map(u64::to_string));
    while !rest.is_empty() {
        rest = rest.trim_start_matches(['.', '-', '_']);
        let word_end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        let after = after.trim_start_matches(['.', '-', '_']);
        let number_end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, next) = after.split_at(number_end);
        let number: u64 = if number.is_empty() { 0 } else { number.parse().ok()? };
        match word {
            "a" | "alpha" => pre.push(format!("a.{number}")),
            "b" | "beta" => pre.push(format!("b.{number}")),
            "rc" | "c" | "pre" | "preview" => pre.push(format!("rc.{number}")),
            "dev" if pre.is_empty() => pre.push(format!("0.dev.{number}")),
            "dev" => pre.push(format!("dev.{number}")),
            "" | "post" | "rev" | "r" => build.push(format!("post.{number}")),
            _ => return None,
        }
        if next.len() == rest.len() {
            return None;
        }
        rest = next;
    }
    build.extend(local.map(|local| local.replace('_', "-")));
    let number = |at: usize| numbers.get(at).copied().unwrap_or(0);
    let mut version = Version::new(number(0), number(1), number(2));
    version.pre = pre.join(".").parse().ok()?;
    version.build = build.join(".").parse().ok()?;
    Some(version)
}

/// What a person wants as pip writes it, for example `>=1.2.0,<2`.
pub(super) fn to_pip(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Exact(version) => format!("=={}", bare(version)),
        Wanted::Range(range) => range_to_pip(range),
    }
}

/// `-rc.1` is a pre-release there too; what stands behind the `+` is not part of the comparison.
fn bare(version: &Version) -> String {
    Version { build: semver::BuildMetadata::EMPTY, ..version.clone() }.to_string()
}

fn range_to_pip(range: &VersionReq) -> String {
    let bounds: Vec<String> = range.comparators.iter().flat_map(bounds).collect();
    bounds.join(",")
}

fn bounds(part: &Comparator) -> Vec<String> {
    let (minor, patch) = (part.minor.unwrap_or(0), part.patch.unwrap_or(0));
    let pre = if part.pre.is_empty() { String::new() } else { format!("-{}", part.pre) };
    let low = format!("{}.{minor}.{patch}{pre}", part.major);
    // The first version that is above all that have these numbers.
    let above = match (part.minor, part.patch) {
        (None, _) => format!("{}", part.major + 1),
        (Some(minor), None) => format!("{}.{}", part.major, minor + 1),
        (Some(minor), Some(patch)) => format!("{}.{minor}.{}", part.major, patch + 1),
    };
    let next_minor =
        || part.minor.map_or_else(|| format!("{}", part.major + 1), |minor| format!("{}.{}", part.major, minor + 1));
    match part.op {
        Op::Exact if part.patch.is_some() => vec![format!("=={low}")],
        Op::Exact | Op::Wildcard => vec![format!(">={low}"), format!("<{above}")],
        Op::Greater if part.patch.is_some() => vec![format!(">{low}")],
        Op::Greater => vec![format!(">={above}")],
        Op::Less => vec![format!("<{low}")],
        Op::LessEq if part.patch.is_some() => vec![format!("<={low}")],
        Op::LessEq => vec![format!("<{above}")],
        Op::Tilde => vec![format!(">={low}"), format!("<{}", next_minor())],
        Op::Caret => {
            let high = match (part.major, part.minor, part.patch) {
                (0, Some(0), Some(patch)) => format!("0.0.{}", patch + 1),
                (0, Some(minor), _) => format!("0.{}", minor + 1),
                (major, ..) => format!("{}", major + 1),
            };
            vec![format!(">={low}"), format!("<{high}")]
        }
        // At least that. The enum may grow; a bound that is missing asks for more, which consent shows.
        _ => vec![format!(">={low}")],
    }
}

/// Whether a version of Node is one that a package wants: alternatives between `||`, each of conditions that all hold. What cannot be read
/// asks for nothing.
pub(super) fn suits(needs: &str, version: &str) -> bool {
    let Ok(version) = version.parse::<semver::Version>() else { return true };
    let one = |alternative: &str| {
        // `>= 18` is one condition, `>=18 <20` are two.
        let mut conditions = alternative.trim().to_owned();
        for operator in [">", "<", "=", "^", "~"] {
            while conditions.contains(&format!("{operator} ")) {
                conditions = conditions.replace(&format!("{operator} "), operator);
            }
        }
        let conditions = conditions.split_whitespace().collect::<Vec<_>>().join(", ");
        let plain = conditions.starts_with(|c: char| c.is_ascii_digit()) && !conditions.contains(['-', 'x', '*', ',']);
        // A bare number is that version: `18` is any 18, `18.1.0` that one.
        let conditions = match conditions.matches('.').count() {
            2 if plain => format!("={conditions}"),
            1 if plain => format!("~{conditions}"),
            0 if plain => format!("^{conditions}"),
            _ => conditions,
        };
        conditions.is_empty()
            || conditions.parse::<semver::VersionReq>().map_or(true, |wanted| wanted.matches(&version))
    };
    needs.split("||").any(one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::source::wanted;

    #[test]
    fn versions_of_pypi_keep_their_order() {
        let ordered = ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.1", "1.2", "2024.1.1"];
        let read: Vec<Version> = ordered.iter().map(|text| of_pypi(text).unwrap_or_else(|| panic!("{text}"))).collect();
        assert!(read.windows(2).all(|pair| pair[0] < pair[1]), "{read:?}");
        for (text, expected) in [
            ("1.2", "1.2.0"),
            ("v1.0rc1", "1.0.0-rc.1"),
            ("1.0.post1", "1.0.0+post.1"),
            ("1.0-1", "1.0.0+post.1"),
            ("1.2.3.4", "1.2.3+4"),
            ("1!2.0+cpu", "2.0.0+epoch.1.cpu"),
        ] {
            assert_eq!(of_pypi(text).map(|version| version.to_string()).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "x", "1.0x1", "1..2", "1.0~"] {
            assert_eq!(of_pypi(text), None, "{text}");
        }
    }

    #[test]
    fn wishes_are_written_for_pip() {
        for (text, expected) in [
            ("1.2.0", "==1.2.0"),
            ("1.0.0-rc.1", "==1.0.0-rc.1"),
            ("^1.2", ">=1.2.0,<2"),
            ("^0.2.3", ">=0.2.3,<0.3"),
            ("~1.2.3", ">=1.2.3,<1.3"),
            ("1", ">=1.0.0,<2"),
            ("=1.2", ">=1.2.0,<1.3"),
            (">1.2, <=2", ">=1.3,<3"),
            ("latest", ""),
        ] {
            assert_eq!(to_pip(&wanted(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn versions_of_node_that_packages_want() {
        for (needs, fits) in [
            (">=18", true),
            (">= 18.0.0", true),
            (">=22", false),
            (">=18 <20", false),
            ("^18 || ^20 || >=22", true),
            ("^18.0.0 || >=22.1", false),
            ("20", true),
            ("20.x", true),
            ("18", false),
            ("20.19.4", true),
            ("20.19.3", false),
            ("~20.19", true),
            ("18 - 21", true),
            ("*", true),
            ("", true),
            ("what", true),
        ] {
            assert_eq!(suits(needs, "20.19.4"), fits, "{needs}");
        }
    }
}
