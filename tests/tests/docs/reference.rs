//! The reference pages leave nothing out: every key of every file, every command and every option.

use std::collections::BTreeSet;

use rig_specs::{ByteSize, config::Config, index::Index};
use rig_tests::{IndexServer, Project};
use serde_json::{Map, Value, json};

use super::{read, root};

/// The paths of all keys that a schema knows: `policy.retries`, with `*` for names that the user chooses. What is in lists has the
/// path of the list. A key that stands in `whole` is not looked into.
fn keys(schema: &Value, whole: &[&str]) -> BTreeSet<String> {
    fn walk(root: &Value, at: &Value, path: &str, whole: &[&str], found: &mut BTreeSet<String>) {
        if whole.contains(&path) {
            return;
        }
        if let Some(name) = at["$ref"].as_str() {
            let target = root.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{name}"));
            walk(root, target, path, whole, found);
        }
        for (key, inner) in at["properties"].as_object().unwrap_or(&Map::new()) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            walk(root, inner, &path, whole, found);
            found.insert(path);
        }
        let named = at["patternProperties"].as_object().into_iter().flat_map(Map::values);
        for inner in named.chain(at.get("additionalProperties")) {
            walk(root, inner, &format!("{path}.*"), whole, found);
        }
        let choices = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|word| at[word].as_array()).flatten();
        for inner in choices.chain(at.get("items")) {
            walk(root, inner, path, whole, found);
        }
    }
    let mut found = BTreeSet::new();
    walk(schema, schema, "", whole, &mut found);
    found
}

fn schema(name: &str) -> Value {
    serde_json::from_str(&read(&format!("specs/{name}.schema.json"))).unwrap()
}

/// The cells of the row of a table that is about that key.
fn row(page: &str, key: &str) -> Option<Vec<String>> {
    let start = format!("| `{key}` |");
    let line = page.lines().find(|line| line.starts_with(&start))?;
    Some(line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
}

#[test]
fn every_key_has_its_row() {
    let mut missing = Vec::new();
    for (name, page, whole) in [
        ("rig-yaml", "docs/rig-yaml.md", &[][..]),
        ("rig-pack", "docs/pack-manifest.md", &[]),
        ("pack-index", "docs/index-format.md", &[]),
        // What is granted has the form of the manifest.
        ("rig-lock", "docs/index-format.md", &["packs.*.granted"]),
    ] {
        let text = read(page);
        let keys = keys(&schema(name), whole);
        assert!(keys.len() > 10, "{name}: {keys:?}");
        missing.extend(keys.into_iter().filter(|key| row(&text, key).is_none()).map(|key| format!("{page}: `{key}`")));
    }
    assert!(missing.is_empty(), "the pages leave out:\n{}", missing.join("\n"));
}

/// The second column of the page about rig.yaml is what a file without the key means.
#[test]
fn the_defaults_of_settings_are_true() {
    fn shown(path: &str, value: &Value) -> String {
        match value {
            Value::Number(number) if path.starts_with("limits.") && path != "limits.concurrency" => {
                ByteSize(number.as_u64().unwrap()).to_string()
            }
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                format!("[{}]", items.iter().map(|item| shown(path, item)).collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        }
    }
    let page = read("docs/rig-yaml.md");
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let mut wrong = Vec::new();
    for (key, value) in defaults.as_object().unwrap() {
        let inner = value.as_object().filter(|map| !map.is_empty());
        let leaves: Vec<(String, &Value)> = match inner {
            Some(map) => map.iter().map(|(inner, value)| (format!("{key}.{inner}"), value)).collect(),
            None => vec![(key.clone(), value)],
        };
        for (path, value) in leaves {
            let expected = format!("`{}`", shown(&path, value));
            let found = row(&page, &path).and_then(|cells| cells.get(1).cloned()).unwrap_or_default();
            if found != expected {
                wrong.push(format!("`{path}`: the page says {found}, the default is {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_about_the_api_has_every_path_and_status() {
    let page = read("docs/http-api.md");
    let description: Value = serde_json::from_str(&read("specs/openapi.json")).unwrap();
    let (mut paths, mut statuses) = (BTreeSet::new(), BTreeSet::new());
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            paths.insert((path.clone(), method.to_uppercase()));
            statuses.extend(operation["responses"].as_object().unwrap().keys().cloned());
        }
    }
    let table = |title: &str| {
        let (_, rest) = page.split_once(&format!("## {title}\n")).unwrap();
        rest.split("\n## ").next().unwrap().to_owned()
    };
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let named = table("Paths")
        .lines()
        .filter(|line| line.starts_with("| `/"))
        .map(cells)
        .map(|cells| (cells[0].trim_matches('`').to_owned(), cells[1].clone()))
        .collect::<BTreeSet<_>>();
    assert_eq!(named, paths);
    let refused = table("Answers and refusals");
    let refused: BTreeSet<_> = refused
        .lines()
        .filter(|line| line.starts_with("| 4") || line.starts_with("| 5"))
        .map(|line| cells(line)[0].clone())
        .collect();
    statuses.retain(|status| status >= &"400".to_owned());
    assert_eq!(refused, statuses);
}

#[test]
fn every_command_and_option_is_described() {
    let page = read("docs/cli.md");
    let section = |title: &str| {
        let (_, rest) = page.split_once(&format!("\n## {title}\n"))?;
        Some(rest.split("\n## ").next().unwrap_or_default().to_owned())
    };
    let project = Project::empty();
    let help = |args: &[&str]| project.rig(args).ok().stdout.clone();
    // `-y, --yes` and `--project <DIR>` at the beginning of a line.
    let options = |help: &str| -> BTreeSet<String> {
        let words = help.lines().filter(|line| line.trim_start().starts_with('-'));
        let long = words.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
        long.map(str::to_owned).collect()
    };
    let main = help(&["help"]);
    let global = options(&main);
    let mut missing = Vec::new();
    let everywhere = section("Global options").expect("a section about them");
    missing.extend(global.iter().filter(|option| !everywhere.contains(&format!("`{option}"))).cloned());
    let commands = main.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("commands");
    let commands: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"install") && commands.contains(&"help"), "{commands:?}");
    for command in commands.into_iter().filter(|command| *command != "help") {
        let Some(section) = section(&format!("rig {command}")) else {
            missing.push(format!("rig {command}"));
            continue;
        };
        let own = options(&help(&["help", command]));
        let described = |option: &&String| section.contains(&format!("`{option}"));
        let own = own.difference(&global).filter(|option| !described(option));
        missing.extend(own.map(|option| format!("rig {command} {option}")));
    }
    assert!(missing.is_empty(), "docs/cli.md leaves out:\n{}", missing.join("\n"));
}

#[test]
fn the_example_of_an_index_is_one() {
    let text = read("specs/pack-index-example.json");
    let value: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema("pack-index")).unwrap();
    let problems: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert_eq!(problems, Vec::<String>::new());
    let index: Index = serde_json::from_value(value.clone()).unwrap();

    // It shows what an index can hold, all of it read: nothing is lost on the way.
    let paths = |value: &Value| {
        fn walk(at: &Value, path: &str, found: &mut BTreeSet<String>) {
            for (key, inner) in at.as_object().unwrap_or(&Map::new()) {
                let path = format!("{path}/{key}");
                walk(inner, &path, found);
                found.insert(path);
            }
        }
        let mut found = BTreeSet::new();
        walk(value, "", &mut found);
        found
    };
    let known = paths(&serde_json::to_value(&index).unwrap());
    let unknown: Vec<_> = paths(&value).difference(&known).cloned().collect();
    assert_eq!(unknown, Vec::<String>::new(), "keys that rig does not read");
    let shown = serde_json::to_string(&paths(&value)).unwrap();
    for key in ["python", "node", "publisher", "key", "yanked", "dependencies", "min_rig", "interface_hash"] {
        assert!(shown.contains(&format!("/{key}\"")), "`{key}` is not shown");
    }
    let releases = index.packs.values().filter_map(|pack| pack.wasm.as_ref()).flat_map(|wasm| wasm.versions.values());
    let releases: Vec<_> = releases.collect();
    assert!(releases.iter().any(|release| release.yanked), "a withdrawn version");
    let urls: Vec<_> = releases.iter().flat_map(|release| &release.urls).collect();
    assert!(urls.iter().any(|url| url.starts_with("https://")) && urls.iter().any(|url| !url.contains("://")));
}

/// rig itself reads the example, from a server and from a file.
#[test]
fn rig_reads_the_example_of_an_index() {
    let project = Project::empty();
    std::fs::copy(root().join("specs/pack-index-example.json"), project.index_dir().join("index.json")).unwrap();
    let server = IndexServer::start(&project.index_dir());
    for url in [server.url("index.json"), format!("file://{}", project.index_dir().join("index.json").display())] {
        project.set_index(&url);
        let listed = project.rig(&["packs", "--available", "--json"]).json();
        let newest = |id: &str| {
            let pack = listed.as_array().unwrap().iter().find(|pack| pack["id"] == id).unwrap();
            json!([pack["version"], pack["runtimes"]])
        };
        assert_eq!(newest("echo"), json!(["1.1.0", ["wasm"]]));
        assert_eq!(newest("github"), json!(["2.0.1", ["wasm"]]));
        assert_eq!(newest("stripe"), json!([null, ["python", "node"]]));
    }
}

/// The table about statuses is what the SDK does, and the one about kinds leaves none out.
#[test]
fn the_page_about_errors_is_true() {
    let page = read("docs/errors.md");
    for kind in RTP_KINDS {
        assert!(row(&page, kind).is_some_and(|cells| cells.len() == 4), "docs/errors.md has no row about {kind}");
    }
    let (_, table) = page.split_once("| Status | Kind | Retryable |\n").unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|')).map(|line| {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>()
    });
    let mut checked = 0;
    for cells in rows {
        for status in cells[0].split(", ").map(|status| status.parse::<u16>().unwrap()) {
            let _mock = rig_sdk::mock::http(move |_| Ok(rig_sdk::mock::Response::new(status)));
            let error = rig_sdk::http::get("https://api.example.com").send().unwrap().failure("x");
            let kind = error.to_string().split(':').next().unwrap().to_owned();
            assert_eq!((kind, error.is_retryable()), (cells[1].clone(), cells[2] == "yes"), "{status}");
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
}

const RTP_KINDS: [&str; 12] = [
    "validation_error",
    "auth_error",
    "permission_error",
    "not_found",
    "conflict",
    "rate_limited",
    "transient",
    "timeout",
    "upstream_error",
    "policy_blocked",
    "approval_required",
    "internal_error",
];

/// The page about cases has every key of a case.
#[test]
fn the_page_about_testing_has_every_key_of_a_case() {
    let project = Project::empty();
    std::fs::create_dir_all(project.dir().join("tests")).unwrap();
    project.write("tests/x.toml", "[[cases]]\nname = \"x\"\ntool = \"a.b.c\"\nnonsense = 1\n");
    project.write(
        "rig-pack.toml",
        "[pack]\nid = \"a\"\nversion = \"1.0.0\"\ndisplay-name = \"A\"\ndescription = \"The letter\"\n",
    );
    let refused = project.rig(&["test"]);
    refused.fails_with(1);
    let (_, known) = refused.stderr.split_once("expected one of ").unwrap();
    let known: Vec<&str> = known.lines().next().unwrap().split(", ").map(|key| key.trim_matches('`')).collect();
    assert!(known.len() > 7, "{known:?}");
    let page = read("docs/testing-packs.md");
    let missing: Vec<_> = known.into_iter().filter(|key| row(&page, key).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
