//! What stands in the pages besides commands: code that compiles, files that are valid, links that lead somewhere.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use rig_sdk::mock;
use rig_specs::manifest::Manifest;
use rig_tests::{Project, console};

use super::{alone, hold, packs::stars, read, root};

/// The pages that show the files of packs.
const SHOWING: [&str; 4] = ["README.md", "docs/quickstart.md", "docs/pack-manifest.md", "docs/packs-in-rust.md"];

/// Every page of the repository, as a path from its root.
fn pages() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            let hidden = name.to_string_lossy().starts_with('.');
            if path.is_dir() && !hidden && name != "target" && name != "node_modules" {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let (root, mut found) = (root(), Vec::new());
    walk(&root, &mut found);
    found.sort();
    found.iter().map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()).collect()
}

/// The page without its blocks of code.
fn prose(page: &str) -> String {
    let mut inside = false;
    let lines = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = prose(&read(&page));
        for after in text.split("](").skip(1) {
            let target = after.split(')').next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path =
                if file.is_empty() { root().join(&page) } else { root().join(&page).parent().unwrap().join(file) };
            if !path.exists() {
                broken.push(format!("{page}: there is no {target}"));
            } else if !fragment.is_empty() {
                let linked = prose(&fs::read_to_string(&path).unwrap());
                if !linked.lines().any(|line| line.starts_with('#') && anchor(line) == fragment) {
                    broken.push(format!("{page}: no heading of {} is `#{fragment}`", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// A block after `<!-- file: PATH -->` is that file.
#[test]
fn the_code_that_is_shown_is_the_code_that_is_tested() {
    let _alone = alone();
    let mut shown = 0;
    for page in pages() {
        let text = read(&page);
        let mut expected = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("\n<!-- file: ") {
            let (path, after) = after.split_once(" -->\n").unwrap_or_else(|| panic!("{page}: a mark without an end"));
            let (fence, after) = after.split_once('\n').unwrap();
            assert!(fence.starts_with("```"), "{page}: a block follows the mark of {path}");
            let (_, after) =
                after.split_once("```\n").unwrap_or_else(|| panic!("{page}: the block of {path} has no end"));
            let file = read(path);
            let _ = write!(expected, "{before}\n<!-- file: {path} -->\n{fence}\n{file}```\n");
            rest = after;
            shown += 1;
        }
        expected += rest;
        hold(&page, &text, &expected, "a block differs from the file that it shows");
    }
    assert!(shown >= 2, "the pages show two packs");
}

/// Pieces of a program stand in one that is compiled and tested here, but for how far they are indented.
#[test]
fn the_pieces_of_rust_are_compiled() {
    let lines = |text: &str| text.lines().flat_map(|line| [line.trim(), "\n"]).collect::<String>();
    let program = lines(&read("tests/tests/docs/packs/chat.rs"));
    for (page, expected) in [("docs/packs-in-rust.md", 2), ("docs/errors.md", 1)] {
        let text = read(page);
        let pieces: Vec<&str> = text.split("\n```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert_eq!(pieces.len(), expected, "{page}");
        for piece in pieces {
            assert!(program.contains(&lines(piece)), "{page} shows what is not in the program:\n{piece}");
        }
    }
}

#[test]
fn the_pack_of_the_readme_asks_github() {
    let mock = mock::http(|request| match request.path() {
        "/repos/rust-lang/rust" => {
            Ok(mock::Response::new(200).body(r#"{"full_name": "rust-lang/rust", "stargazers_count": 7, "id": 1}"#))
        }
        _ => Ok(mock::Response::new(404)),
    });
    assert_eq!(stars::get("rust-lang".into(), "rust".into()).unwrap().stargazers_count, 7);
    assert_eq!(stars::get("rust-lang".into(), "gone".into()).unwrap_err().kind(), rig_sdk::ErrorKind::NotFound);
    assert_eq!(mock.requests().len(), 2);
}

#[test]
fn the_manifests_are_valid() {
    for page in SHOWING {
        let blocks = console::blocks(&read(page), "toml");
        assert!(!blocks.is_empty(), "{page} shows a manifest");
        for (line, text) in blocks {
            let manifest: Manifest = toml::from_str(&text).unwrap_or_else(|error| panic!("{page}:{line}: {error}"));
            assert_eq!(manifest.problems(), Vec::<String>::new(), "{page}:{line}");
        }
    }
}

#[test]
fn the_settings_are_valid() {
    let blocks = console::blocks(&read("docs/rig-yaml.md"), "yaml");
    assert!(!blocks.is_empty());
    for (line, text) in blocks {
        let project = Project::empty();
        project.write("rig.yaml", &text);
        let output = project.rig(&["packs"]);
        assert_eq!(output.code, Some(0), "docs/rig-yaml.md:{line}: {output}");
    }
}
