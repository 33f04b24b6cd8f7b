//! The invariants of ARCHITECTURE.md that a look at the source can check.
#![allow(clippy::expect_used, reason = "a test that cannot read the source must fail")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines of a file before it has a seam somewhere; the interface's generated bindings are exempt.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// Every Rust file of the repository with its path from the root.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if entry.is_dir() && !name.starts_with('.') && name != "target" {
                walk(&entry, found);
            } else if entry.extension().is_some_and(|ending| ending == "rs") {
                found.push(entry);
            }
        }
    }
    let (root, mut found) = (root(), Vec::new());
    walk(&root, &mut found);
    found.sort();
    let name = |path: &PathBuf| path.strip_prefix(&root).expect("below the root").display().to_string();
    found.iter().map(|path| (name(path), fs::read_to_string(path).expect("text"))).collect()
}

/// The part of a file that is not its tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Fails with every line of `folder` that contains `word` outside the allowed files.
fn only_in(folder: &str, word: &str, allowed: &[&str]) {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let is_test = path.contains("/tests") || path.contains("testing") || path.contains("test_");
        if !path.starts_with(folder) || is_test || allowed.iter().any(|allowed| path.starts_with(allowed)) {
            continue;
        }
        found.extend(
            code(&text).filter(|(_, line)| line.contains(word)).map(|(n, line)| format!("{path}:{}: {line}", n + 1)),
        );
    }
    assert!(found.is_empty(), "`{word}` belongs in {allowed:?} only:\n{}", found.join("\n"));
}

#[test]
fn only_the_client_dials_out() {
    only_in("host/src/", "reqwest::", &["host/src/egress/client"]);
    only_in("host/src/", "TcpStream", &["host/src/egress/client"]);
    only_in("host/src/", "lookup_host", &["host/src/egress/client"]);
}

#[test]
fn only_the_gate_reads_secrets() {
    only_in("host/src/", ".expose()", &["host/src/egress/inject", "host/src/egress/redact", "host/src/secrets"]);
}

#[test]
fn only_secrets_and_the_binary_read_the_environment() {
    only_in("host/src/", "env::var", &["host/src/secrets", "host/src/cli"]);
}

#[test]
fn no_hash_order_can_be_seen() {
    for word in ["HashMap", "HashSet"] {
        only_in("host/src/", word, &[]);
        only_in("specs/src/", word, &[]);
    }
}

#[test]
fn unsafe_code_is_named() {
    only_in("host/src/", "unsafe {", &["host/src/audit/journal/file.rs", "host/src/sandbox/compiled.rs"]);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut problems = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > MAX_LINES && path != "sdk/src/bindings.rs" {
            problems.push(format!("{path} has {lines} lines, more than {MAX_LINES}"));
        }
        let documented = text.lines().take(5).any(|line| line.starts_with("//!"));
        let fixture = path.contains("/ui/") || path == "sdk/src/bindings.rs";
        if !documented && !fixture {
            problems.push(format!("{path} does not say what it is for"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Every folder that the code map names exists, and every folder of the workspace is named there.
#[test]
fn the_code_map_is_true() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page");
    let map = text.split("## Code map").nth(1).and_then(|rest| rest.split("## Invariants").next()).expect("a code map");
    let mut named = Vec::new();
    for row in map.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split('|').nth(1).unwrap_or_default();
        named.extend(cell.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('*').to_owned()));
    }
    for name in &named {
        let exists = [root().join(name), root().join(format!("{name}.rs")), root().join("host/src").join(name)];
        assert!(exists.iter().any(|path| path.exists()), "the code map names `{name}`, which does not exist");
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace's manifest");
    let members = manifest.lines().find(|line| line.starts_with("members")).expect("members");
    for member in members.split('"').skip(1).step_by(2) {
        let member = member.trim_end_matches("/*");
        let covers = |name: &String| name.trim_end_matches('/') == member || name.starts_with(&format!("{member}/"));
        assert!(named.iter().any(covers), "the code map leaves out `{member}`");
    }
}
