//! The command line itself: help, listings, exit codes, and what is printed where.

use std::fs;

use rig_specs::config::Config;
use rig_tests::Project;
use serde_json::Value;

const COMMANDS: [&str; 20] = [
    "init",
    "install",
    "uninstall",
    "packs",
    "info",
    "list",
    "call",
    "approvals",
    "approve",
    "deny",
    "serve",
    "export",
    "verify",
    "inspect",
    "build",
    "tenant",
    "audit",
    "doctor",
    "completions",
    "help",
];

#[test]
fn help_names_every_command() {
    let project = Project::empty();
    let help = project.rig(&["--help"]);
    help.ok();
    for command in COMMANDS {
        help.shows(command);
        if command != "help" {
            let output = project.rig(&[command, "--help"]);
            output.ok().shows("Usage: rig");
            assert_eq!(output.stderr, "", "{command}");
        }
    }
    for option in ["--quiet", "--verbose", "--offline", "--yes", "--project"] {
        help.shows(option);
    }
    let version = project.rig(&["--version"]);
    assert_eq!(version.ok().stdout, format!("rig {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_exit_code_two_and_explained_on_stderr() {
    let project = Project::new();
    for args in [
        &[][..],
        &["nope"],
        &["instal", "echo"],
        &["--nope"],
        &["audit"],
        &["audit", "query", "--limit", "0"],
        &["audit", "query", "--ok", "--failed"],
        &["audit", "query", "--since", "yesterday"],
        &["audit", "export", "--format", "xml"],
        &["init", "extra", "arguments"],
        &["init", "--index-url"],
        &["install", "--runtime", "ruby", "echo"],
        &["install", "echo", "--version"],
        &["install", "echo", "--version", "not a version"],
        &["install", "echo", "github", "--version", "1.0.0"],
        &["uninstall"],
        &["packs", "echo"],
        &["info"],
        &["info", "echo", "github"],
        &["list", "echo", "extra"],
        &["call"],
        &["verify", "--nope"],
        &["inspect"],
        &["doctor", "extra"],
        &["completions"],
        &["completions", "tcsh-9"],
        &["--quiet", "--verbose", "list"],
    ] {
        let output = project.rig(args);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{args:?}: {output}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    // A misspelt command is put right.
    project.rig(&["instal", "echo"]).says("install");
    assert!(!project.has("rig.lock"));
}

#[test]
fn a_project_is_begun_once() {
    let project = Project::empty();
    project.rig(&["init"]).ok();
    assert_eq!(project.config(), Config::default());
    assert!(project.read("rig.yaml").contains('#'), "comments say what can be set");
    assert!(project.read(".gitignore").contains(".rig/"));

    let before = project.read("rig.yaml");
    project.rig(&["init"]).fails_with(1).explains(&["rig.yaml"]);
    assert_eq!(project.read("rig.yaml"), before);

    let project = Project::empty();
    project.rig(&["init", "--index-url", "https://example.com/i.json"]).ok();
    assert_eq!(project.config().index.url.as_deref(), Some("https://example.com/i.json"));
}

#[test]
fn installed_packs_are_listed() {
    let project = Project::with(&["github", "echo"]);
    let table = project.rig(&["packs"]);
    let lines: Vec<&str> = table.ok().stdout.lines().collect();
    for title in ["ID", "Package", "Version", "Runtime", "Installed"] {
        assert!(lines[0].contains(title), "{table}");
    }
    let ids: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|id| ["echo", "github"].contains(id))
        .collect();
    assert_eq!(ids, ["echo", "github"], "sorted: {table}");

    let listed = project.rig(&["packs", "--json"]).json();
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|pack| pack["id"].as_str().unwrap()).collect();
    assert_eq!((ids, &listed[0]["runtime"]), (vec!["echo", "github"], &Value::from("wasm")));
    assert_eq!(listed[0]["version"], project.locked("echo").version.to_string());

    // Nothing installed is an empty listing, not an error.
    let empty = Project::new();
    empty.rig(&["packs"]).ok();
    assert_eq!(empty.rig(&["packs", "--json"]).json(), Value::Array(vec![]));
    assert_eq!(empty.rig(&["list", "--json"]).json(), Value::Array(vec![]));
}

#[test]
fn offered_packs_are_listed() {
    let project = Project::with(&["echo"]);
    let table = project.rig(&["packs", "--available"]);
    table.ok().shows("echo").shows("github");
    let listed = project.rig(&["packs", "--available", "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
}

#[test]
fn tools_are_listed() {
    let project = Project::with(&["echo", "github"]);
    let names = [
        "echo.message.send",
        "github.issues.comment",
        "github.issues.create",
        "github.pulls.create",
        "github.pulls.list",
    ];
    let table = project.rig(&["list"]);
    table.ok();
    let at: Vec<_> =
        names.iter().map(|name| table.stdout.find(name).unwrap_or_else(|| panic!("{name}: {table}"))).collect();
    assert!(at.is_sorted(), "{table}");

    let tools = project.rig(&["list", "--json"]).json();
    let listed: Vec<&str> = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names);
    let keys =
        "auth_slots description error_schema examples input_schema name output_schema policy_defaults risk_class tags";
    for tool in tools.as_array().unwrap() {
        let mut found: Vec<_> = tool.as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), keys);
        assert_eq!(tool["input_schema"]["type"], "object");
    }
    assert_eq!(tools[0]["risk_class"], "read");
    assert_eq!((&tools[2]["risk_class"], &tools[2]["auth_slots"][0]), (&"write".into(), &"GITHUB_TOKEN".into()));

    project.rig(&["list", "--packs"]).ok().shows("github").shows("4");
    let packs = project.rig(&["list", "--packs", "--json"]).json();
    assert_eq!((&packs[0]["id"], &packs[0]["tools"]), (&"echo".into(), &1.into()));
    assert_eq!(
        (&packs[1]["id"], &packs[1]["tools"], &packs[1]["runtime"]),
        (&"github".into(), &4.into(), &"wasm".into())
    );
}

#[test]
fn a_pack_is_described() {
    let project = Project::with(&["github"]);
    let output = project.rig(&["info", "github"]);
    output.ok();
    for text in ["github", "api.github.com", "GITHUB_TOKEN", "github.issues.create", "write"] {
        output.shows(text);
    }
    let info = project.rig(&["info", "github", "--json"]).json();
    assert_eq!(info["id"], "github");
    assert!(info.to_string().contains("api.github.com"), "{info}");
    // Offered but not installed, and unknown.
    project.rig(&["info", "echo"]).ok().shows("echo");
    project.rig(&["info", "gihub"]).fails_with(1).explains(&["gihub", "github"]);
}

#[test]
fn verify_tells_all_is_well() {
    let project = Project::with(&["echo", "github"]);
    project.rig(&["verify"]).ok();
    let report = project.rig(&["verify", "--json"]);
    let text = report.ok().json().to_string();
    assert!(text.contains("echo") && text.contains("github"), "{text}");
    Project::new().rig(&["verify"]).ok();
}

#[test]
fn doctor_looks_at_the_machine() {
    let project = Project::with(&["echo"]);
    project.rig(&["doctor"]).ok().shows(project.home().to_str().unwrap());
    assert!(
        project.rig(&["doctor", "--json"]).json().is_object() || project.rig(&["doctor", "--json"]).json().is_array()
    );
    // Also without a project: that may be what is wrong.
    let output = Project::empty().rig(&["doctor"]);
    output.mentions("rig init");
}

#[test]
fn completions_are_for_every_common_shell() {
    let project = Project::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = project.rig(&["completions", shell]);
        output.ok().shows("uninstall");
        assert_eq!(output.stderr, "");
    }
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = project.write(&format!("rig.{shell}"), project.rig(&["completions", shell]).stdout);
        match std::process::Command::new(shell).arg(check).arg(script).status() {
            Ok(status) => assert!(status.success(), "{shell} reads the completions"),
            Err(error) if shell == "bash" => panic!("{error}"),
            Err(_) => println!("skipped: there is no {shell} here to read its completions"),
        }
    }
}

#[test]
fn every_listing_is_json_when_asked() {
    let project = Project::with(&["echo", "github"]);
    for args in [
        &["packs"][..],
        &["packs", "--available"],
        &["list"],
        &["list", "--packs"],
        &["info", "echo"],
        &["inspect", "echo"],
        &["verify"],
        &["doctor"],
    ] {
        let run = || project.rig(&[args, &["--json"]].concat());
        let (output, again) = (run(), run());
        // One value, nothing beside it, and the same in every run.
        assert!(output.json().is_object() || output.json().is_array(), "{output}");
        assert_eq!((output.code, output.stderr.as_str(), output.stdout.as_str()), (Some(0), "", again.stdout.as_str()));
        // Without it there is text for people.
        let text = project.rig(args);
        assert!(serde_json::from_str::<Value>(&text.ok().stdout).is_err(), "{text}");
    }
}

#[test]
fn pipes_get_plain_text() {
    let project = Project::new();
    let runs = [
        project.run(["install", "github", "--dry-run"]),
        project.run(["install", "github", "--yes"]),
        project.run(["packs"]),
        project.run(["list"]),
        project.run(["info", "github"]),
        project.run(["doctor"]),
        project.run(["nope"]),
        project.run(["uninstall", "absent"]),
    ];
    for run in runs {
        // Even where colours are not forbidden, nobody looks at a pipe.
        run.without_env("NO_COLOR").output().lacks("\u{1b}").lacks("\r");
    }
}

#[test]
fn quiet_says_only_what_was_asked_for() {
    let project = Project::new();
    let output = project.rig(&["--quiet", "install", "echo", "--yes"]);
    assert_eq!((output.ok().stdout.as_str(), output.stderr.as_str()), ("", ""), "{output}");
    let output = project.rig(&["--quiet", "packs"]);
    output.ok().shows("echo");
    let output = project.rig(&["call", "echo.message.send", r#"{"message":"x"}"#, "--quiet"]);
    let _ = output.output();
    project.rig(&["--quiet", "install", "absent-pack", "--yes"]).fails_with(1).says("error: ");
}

#[test]
fn a_closed_pipe_is_no_crash() {
    let project = Project::with(&["echo", "github"]);
    let output = std::process::Command::new("sh")
        .args(["-c", "\"$RIG\" list --json | head -c 1"])
        .current_dir(project.dir())
        .env("RIG", rig_tests::rig_path())
        .env("RIG_HOME", project.home())
        .output()
        .expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_eq!(output.stdout, b"[");
}

#[test]
fn unusual_arguments_are_answered_not_crashed_on() {
    let project = Project::new();
    let long = "x".repeat(100_000);
    for odd in ["x", "--", "-", "@", "\u{202e}", "💥", "%s%n", "../../..", &long] {
        for command in ["install", "uninstall", "info", "inspect", "call"] {
            let output = project.rig(&[command, odd]);
            // Nothing comes after the dashes: `rig install --` is `rig install`, and restores a lock that is empty.
            assert!(
                matches!(output.code, Some(1..=4)) || (command, odd, output.code) == ("install", "--", Some(0)),
                "{command} {:.20}: {}",
                odd,
                output.stderr.get(..200).unwrap_or("")
            );
        }
    }
    assert!(!project.has("rig.lock"));
    assert_eq!(fs::read_dir(project.root().join("user")).unwrap().count(), 0);
}
