//! Changes `packs` and `pack_metadata` in the text of a `rig.yaml` and leaves every other byte alone: the file belongs to people,
//! who comment and order it. Works on lines; where the lines have a form that is not understood, the block of the one key is
//! written anew. The result is read back and must mean exactly what was wanted, else nothing is changed.

use std::{collections::BTreeMap, ops::Range, path::Path};

use rig_specs::{
    PackId,
    config::{Config, PackMetadata},
};

use super::config::{self, ConfigError};

/// The text cannot be changed safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rig.yaml cannot be changed without harm: {why}")]
pub struct EditError {
    why: String,
}

impl EditError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        "write the keys `packs` and `pack_metadata` in block form (`packs:` and below it lines `  - name`), and run the command again".into()
    }
}

/// The text with other `packs` and `pack_metadata`. Returned unchanged when it already says so.
///
/// # Errors
/// [`EditError`] when the changed text would mean something else than wanted.
pub(super) fn apply(
    text: &str,
    old: &Config,
    packs: &[PackId],
    metadata: &BTreeMap<PackId, PackMetadata>,
) -> Result<String, EditError> {
    let mut new = text.to_owned();
    if old.packs != packs {
        new = edit_packs(&new, &old.packs, packs);
    }
    if old.pack_metadata != *metadata {
        new = edit_metadata(&new, &old.pack_metadata, metadata);
    }
    let wanted = Config { packs: packs.to_vec(), pack_metadata: metadata.clone(), ..old.clone() };
    match config::parse(&new, Path::new("rig.yaml")) {
        Ok(found) if found == wanted => Ok(new),
        Ok(_) => Err(EditError { why: "the changed file would have another meaning".into() }),
        Err(error) => Err(EditError { why: format!("the changed file would not be valid ({})", reason(&error)) }),
    }
}

fn reason(error: &ConfigError) -> String {
    error.to_string()
}

/// The text cut into lines, with its ends of line.
struct Lines<'a> {
    lines: Vec<&'a str>,
    eol: &'static str,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { lines: text.split_inclusive('\n').collect(), eol }
    }

    /// The lines of a top-level key: its own and all that belong to its value, without blank lines and comments at the end, which
    /// belong to what follows.
    fn block(&self, key: &str) -> Option<Range<usize>> {
        let start = self.lines.iter().position(|line| after_key(line, key).is_some())?;
        let belongs = |line: &&str| {
            let line = line.trim_end();
            let continues = line.starts_with([' ', '\t', ']', '}']) || line == "-" || line.starts_with("- ");
            continues || line.is_empty() || line.starts_with('#')
        };
        let mut end = start + 1 + self.lines[start + 1..].iter().take_while(|line| belongs(line)).count();
        while end > start + 1 && (self.lines[end - 1].trim().is_empty() || self.lines[end - 1].starts_with('#')) {
            end -= 1;
        }
        Some(start..end)
    }

    /// The text with some lines replaced by new ones, which have no end of line yet.
    fn replaced(&self, range: Range<usize>, new: &[String]) -> String {
        let mut out = self.lines[..range.start].concat();
        if !out.is_empty() && !out.ends_with('\n') && !new.is_empty() {
            out.push_str(self.eol);
        }
        for line in new {
            out.push_str(line.trim_end_matches(['\r', '\n']));
            out.push_str(self.eol);
        }
        out + &self.lines[range.end..].concat()
    }
}

/// What follows `key:` when a line begins with that key.
fn after_key<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let line = line.trim_start_matches('\u{feff}').trim_end();
    [key.to_owned(), format!("\"{key}\""), format!("'{key}'")].iter().find_map(|key| {
        let rest = line.strip_prefix(key.as_str())?.trim_start_matches([' ', '\t']).strip_prefix(':')?;
        (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some(rest)
    })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn is_noise(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with('#')
}

/// What follows a key, split into value and comment.
fn split_comment(rest: &str) -> (&str, &str) {
    match rest.find('#') {
        Some(at) if rest[..at].ends_with([' ', '\t']) => (rest[..at].trim(), &rest[at..]),
        _ => (rest.trim(), ""),
    }
}

fn with_comment(head: &str, comment: &str) -> String {
    if comment.is_empty() { head.to_owned() } else { format!("{head} {comment}") }
}

/// An id as YAML. Some ids would be read as something else than a text.
fn scalar(id: &PackId) -> String {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if WORDS.contains(&id.as_str()) { quoted(id.as_str()) } else { id.to_string() }
}

/// A text as YAML: a JSON string is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn edit_packs(text: &str, old: &[PackId], new: &[PackId]) -> String {
    let lines = Lines::of(text);
    let items = |ids: &[PackId], indent: usize| -> Vec<String> {
        ids.iter().map(|id| format!("{}- {}", " ".repeat(indent), scalar(id))).collect()
    };
    let fresh = |comment: &str| {
        let head = if new.is_empty() { "packs: []" } else { "packs:" };
        let mut out = vec![with_comment(head, comment)];
        out.extend(items(new, 2));
        out
    };
    let Some(block) = lines.block("packs") else {
        let end = lines.lines.len();
        return lines.replaced(end..end, &fresh(""));
    };
    let (value, comment) = split_comment(after_key(lines.lines[block.start], "packs").unwrap_or_default());
    let body = &lines.lines[block.start + 1..block.end];
    let item_of = |line: &str| -> Option<PackId> {
        let (item, _) = split_comment(line.trim().strip_prefix('-')?);
        item.trim_matches(['"', '\'']).parse().ok()
    };
    let understood = value.is_empty() && body.iter().all(|line| is_noise(line) || item_of(line).is_some());
    let written: Vec<PackId> = body.iter().filter_map(|line| item_of(line)).collect();
    if !understood || written.is_empty() || written != old {
        return lines.replaced(block, &fresh(comment));
    }
    let indentation = body.iter().find(|line| !is_noise(line)).map_or(2, |line| indent(line));
    let mut out = Vec::new();
    let mut last_item = 0;
    for line in body {
        match item_of(line) {
            Some(id) if !new.contains(&id) => {}
            item => {
                out.push((*line).to_owned());
                last_item = if item.is_some() { out.len() } else { last_item };
            }
        }
    }
    let added: Vec<PackId> = new.iter().filter(|id| !written.contains(id)).cloned().collect();
    out.splice(last_item..last_item, items(&added, indentation));
    let head = if new.is_empty() { with_comment("packs: []", comment) } else { lines.lines[block.start].to_owned() };
    out.insert(0, head);
    lines.replaced(block, &out)
}

fn edit_metadata(text: &str, old: &BTreeMap<PackId, PackMetadata>, new: &BTreeMap<PackId, PackMetadata>) -> String {
    let lines = Lines::of(text);
    let entry = |id: &PackId, entry: &PackMetadata, indent: usize| -> Vec<String> {
        let (outer, inner) = (" ".repeat(indent), " ".repeat(indent + 2));
        let field = |name: &str, value: &str| format!("{inner}{name}: {}", quoted(value));
        vec![
            format!("{outer}{}:", scalar(id)),
            field("version", &entry.version),
            field("source", &entry.source),
            field("installed_at", &entry.installed_at),
        ]
    };
    let fresh = |comment: &str| {
        let head = if new.is_empty() { "pack_metadata: {}" } else { "pack_metadata:" };
        let mut out = vec![with_comment(head, comment)];
        out.extend(new.iter().flat_map(|(id, meta)| entry(id, meta, 2)));
        out
    };
    let Some(block) = lines.block("pack_metadata") else {
        let end = lines.lines.len();
        return lines.replaced(end..end, &fresh(""));
    };
    let (value, comment) = split_comment(after_key(lines.lines[block.start], "pack_metadata").unwrap_or_default());
    let body = &lines.lines[block.start + 1..block.end];
    let Some(indentation) =
        body.iter().find(|line| !is_noise(line)).map(|line| indent(line)).filter(|_| value.is_empty())
    else {
        return lines.replaced(block, &fresh(comment));
    };
    // Each line belongs to the entry above it; comments and blank lines at the indentation of the entries belong to none.
    let id_at = |line: &str| {
        (indent(line) == indentation && !is_noise(line)).then(|| {
            let (key, rest) = line.trim().split_once(':')?;
            let id: PackId = key.trim().trim_matches(['"', '\'']).parse().ok()?;
            split_comment(rest).0.is_empty().then_some(id)
        })
    };
    let mut out = vec![lines.lines[block.start].to_owned()];
    let mut keep = true;
    let mut written = Vec::new();
    for line in body {
        match id_at(line) {
            Some(None) => return lines.replaced(block, &fresh(comment)),
            Some(Some(id)) => {
                keep = new.contains_key(&id) && old.get(&id) == new.get(&id);
                if let (false, Some(meta)) = (keep, new.get(&id)) {
                    out.extend(entry(&id, meta, indentation));
                }
                written.push(id);
            }
            None if is_noise(line) && indent(line) <= indentation => keep = true,
            None => {}
        }
        if keep {
            out.push((*line).to_owned());
        }
    }
    if new.is_empty() {
        out[0] = with_comment("pack_metadata: {}", comment);
    }
    for (id, meta) in new.iter().filter(|(id, _)| !written.contains(id)) {
        out.extend(entry(id, meta, indentation));
    }
    lines.replaced(block, &out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<PackId> {
        text.split_whitespace().map(|id| id.parse().unwrap()).collect()
    }

    fn meta(version: &str) -> PackMetadata {
        PackMetadata { version: version.into(), source: "s".into(), installed_at: "t".into() }
    }

    fn packs(text: &str, new: &str) -> Result<String, EditError> {
        let old = config::parse(text, Path::new("rig.yaml")).unwrap();
        apply(text, &old, &ids(new), &old.pack_metadata)
    }

    #[test]
    fn packs_are_changed_in_place() {
        let cases = [
            // Missing, empty, null and flow forms.
            ("", "a", "packs:\n  - a\n"),
            ("# only a comment", "a", "# only a comment\npacks:\n  - a\n"),
            ("packs: []\n", "a b", "packs:\n  - a\n  - b\n"),
            ("packs: [] # none yet\nserver: { port: 1 }\n", "a", "packs: # none yet\n  - a\nserver: { port: 1 }\n"),
            ("packs: [a, b]\n", "a b c", "packs:\n  - a\n  - b\n  - c\n"),
            ("packs: [\n  a, # x\n  b\n]\n\n# next\nserver: {}\n", "a", "packs:\n  - a\n\n# next\nserver: {}\n"),
            ("packs: [a]", "", "packs: []\n"),
            // Comments stay where they are.
            (
                "# top\npacks: # mine\n  - a # first\n  # - old\n  - b\n\n# the server\nserver:\n  port: 1 # one\n",
                "a b c",
                "# top\npacks: # mine\n  - a # first\n  # - old\n  - b\n  - c\n\n# the server\nserver:\n  port: 1 # one\n",
            ),
            ("packs:\n  - a # first\n  # - old\n  - b\nserver: {}\n", "b", "packs:\n  # - old\n  - b\nserver: {}\n"),
            ("packs:\n  # why\n  - a\nserver: {}\n", "", "packs: []\n  # why\nserver: {}\n"),
            // Lists at the margin, deep lists, quotes, CRLF, a missing last newline, a byte order mark.
            ("packs:\n- a\n- b\nserver: {}\n", "a b c", "packs:\n- a\n- b\n- c\nserver: {}\n"),
            ("packs:\n      - a\nserver: {}\n", "a b", "packs:\n      - a\n      - b\nserver: {}\n"),
            ("\"packs\":\n  - \"a\"\n", "a b", "\"packs\":\n  - \"a\"\n  - b\n"),
            ("packs:\r\n  - a\r\nserver: {}\r\n", "a b", "packs:\r\n  - a\r\n  - b\r\nserver: {}\r\n"),
            ("server: {}\npacks:\n  - a", "a b", "server: {}\npacks:\n  - a\n  - b\n"),
            ("\u{feff}packs:\n  - a\n", "a b", "\u{feff}packs:\n  - a\n  - b\n"),
            ("---\npacks: []\n", "a", "---\npacks:\n  - a\n"),
            // Ids that YAML would not read as text.
            ("packs: []\n", "null on", "packs:\n  - \"null\"\n  - \"on\"\n"),
            // A key with the same beginning is another key.
            ("pack_metadata: {}\n", "a", "pack_metadata: {}\npacks:\n  - a\n"),
        ];
        for (before, new, after) in cases {
            assert_eq!(packs(before, new).as_deref(), Ok(after), "{before:?}");
        }
    }

    #[test]
    fn an_unchanged_list_changes_no_byte() {
        for text in ["packs: [ a,b ]\n", "packs:\n   - 'a'\n   - b", "packs: [a, b]\r\n# x"] {
            assert_eq!(packs(text, "a b").as_deref(), Ok(text));
        }
    }

    #[test]
    fn metadata_is_changed_entry_by_entry() {
        let check = |before: &str, change: &dyn Fn(&mut BTreeMap<PackId, PackMetadata>), after: &str| {
            let old = config::parse(before, Path::new("rig.yaml")).unwrap();
            let mut new = old.pack_metadata.clone();
            change(&mut new);
            assert_eq!(apply(before, &old, &old.packs, &new).as_deref(), Ok(after), "{before:?}");
        };
        let a = "  a:\n    version: \"1\"\n    source: \"s\"\n    installed_at: \"t\"\n";
        let b = a.replace("  a:", "  b:");
        let add_b = |map: &mut BTreeMap<_, _>| drop(map.insert("b".parse().unwrap(), meta("1")));
        let drop_a = |map: &mut BTreeMap<PackId, _>| drop(map.remove(&"a".parse::<PackId>().unwrap()));
        let bump_a = |map: &mut BTreeMap<_, _>| drop(map.insert("a".parse().unwrap(), meta("2")));

        check("packs: []\n", &add_b, &format!("packs: []\npack_metadata:\n{b}"));
        check("pack_metadata: {}\nserver: {}\n", &add_b, &format!("pack_metadata:\n{b}server: {{}}\n"));
        check(
            &format!("pack_metadata: # by rig\n  # about a\n{a}\n# end\nserver: {{}}\n"),
            &add_b,
            &format!("pack_metadata: # by rig\n  # about a\n{a}{b}\n# end\nserver: {{}}\n"),
        );
        check(&format!("pack_metadata:\n{a}  # about b\n{b}"), &drop_a, &format!("pack_metadata:\n  # about b\n{b}"));
        check(&format!("pack_metadata:\n{a}{b}"), &bump_a, &format!("pack_metadata:\n{}{b}", a.replace('1', "2")));
        check(&format!("pack_metadata:\n{a}"), &drop_a, "pack_metadata: {}\n");
        let flow = "pack_metadata: { a: { version: '1', source: s, installed_at: t } }\n";
        check(flow, &add_b, &format!("pack_metadata:\n{a}{b}"));
    }

    #[test]
    fn texts_are_quoted_so_that_they_survive() {
        let nasty =
            PackMetadata { version: "1".into(), source: "C:\\x \"y\": # é\n".into(), installed_at: "t".into() };
        let new = BTreeMap::from([("a".parse().unwrap(), nasty)]);
        let text = apply("", &Config::default(), &ids("a"), &new).unwrap();
        assert_eq!(config::parse(&text, Path::new("rig.yaml")).unwrap().pack_metadata, new);
    }

    #[test]
    fn what_cannot_be_changed_safely_is_refused() {
        for (text, why) in [
            ("{ packs: [a] }\n", "rig.yaml cannot be changed without harm: the changed file would not be valid"),
            ("packs: &p [a]\nnetwork: { allow_private: *p }\n", "rig.yaml cannot be changed without harm"),
        ] {
            let error = packs(text, "a b").unwrap_err();
            assert!(error.to_string().starts_with(why), "{error}");
        }
    }
}
