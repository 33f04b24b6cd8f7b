//! The commands of the pages print what the pages say.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rig_specs::{
    index::Publisher,
    rtp::{RiskClass, ToolDef},
};
use rig_tests::{
    Project, Registry, Reply, Upstream, console,
    guest::Guest,
    normalised, packs, rig_path,
    toolchains::{for_builds, has_built},
};

use super::{alone, hold, read, root};

/// The home of whoever reads the pages. In it stand the checkout, `rig`, and the folder that the commands run in.
const HOME: &str = "/home/you";

/// Runs the commands of a page, each in a shell, in one fresh folder, with the built packs where a checkout has them.
fn check(page: &str, folder: &str) {
    check_on(&machine(folder), page, folder);
}

fn check_on(project: &Project, page: &str, folder: &str) {
    check_with(project, page, folder, None);
}

/// `port` takes the place of one that the page names.
fn check_with(project: &Project, page: &str, folder: &str, port: Option<(&str, u16)>) {
    let adapted = |text: &str| port.map_or_else(|| text.to_owned(), |(from, to)| text.replace(from, &to.to_string()));
    let shown = |text: &str| port.map_or_else(|| text.to_owned(), |(to, from)| text.replace(&from.to_string(), to));
    let _alone = alone();
    let text = read(page);
    // What differs on every machine is written anew on request only, or each change to a page would be buried in such lines.
    let is_renewed = env::var_os("UPDATE_DOCS").is_some_and(|value| value == "all");
    let mut changes = Vec::new();
    let mut report = String::new();
    let home = project.root().join("user");
    let mut dir = home.join(folder);
    let mut additions = console::additions(&text).into_iter().peekable();
    for step in console::steps(&text) {
        while let Some((_, file, more)) = additions.next_if(|(line, ..)| *line < step.line()) {
            let path = dir.join(file);
            fs::write(&path, fs::read_to_string(&path).unwrap_or_default() + &adapted(&more)).unwrap();
        }
        // Each command has a shell of its own; where the reader is lasts.
        if let Some(target) = step.command.strip_prefix("cd ") {
            dir = target.strip_prefix("~/").map_or_else(|| dir.join(target), |inner| home.join(inner));
            assert!(dir.is_dir(), "{page}: {}", step.command);
            continue;
        }
        let printed = shown(&run(project, &dir, &adapted(&step.command)));
        if comparable(&printed) != comparable(&step.printed) || (is_renewed && printed != step.printed) {
            let (line, command, said) = (step.line(), &step.command, &step.printed);
            let _ =
                write!(report, "\n{page}:{line}: $ {command}\n--- the page says\n{said}\n--- it prints\n{printed}\n");
            changes.push((step, printed));
        }
    }
    hold(page, &text, &console::replaced(&text, &changes), &report);
}

/// A project's folders with a checkout in the home, whose packs are built.
fn machine(folder: &str) -> Project {
    let mut project = Project::running("/bin/sh".into());
    let home = project.root().join("user");
    let built = home.join("rig/target/packs");
    fs::create_dir_all(&built).unwrap();
    fs::create_dir(home.join(folder)).unwrap();
    let mut index =
        packs::index_of(&built, &[packs::built("conformance"), packs::built("echo"), packs::built("github")]);
    for pack in index.packs.values_mut() {
        pack.publisher = Some(Publisher { name: "rig".into(), homepage: None, key: None });
    }
    let written = packs::write_index(&built, &index);
    fs::rename(written, built.join("pack_index.json")).unwrap();

    let rig = rig_path();
    let path = format!("{}:{}", rig.parent().unwrap().display(), env::var("PATH").unwrap_or_default());
    project.set_env("PATH", &path);
    project.set_env("RIG_HOME", home.join(folder).join("home").to_str().unwrap());
    project
}

/// What a command prints, as a terminal in [`HOME`] shows it.
fn run(project: &Project, dir: &Path, command: &str) -> String {
    let home = project.root().join("user");
    let script = format!("exec 2>&1\n{command}");
    let output = for_builds(project.run(["-c", &script]).in_dir(dir).timeout(Duration::from_mins(30))).output();
    let mut printed = output.stdout.trim_end().to_owned();
    assert!(!printed.contains("panicked at"), "{printed}");
    match output.code {
        Some(0) => {}
        code => {
            let code = code.expect("no signal ended it");
            let _ = write!(printed, "\n(exit code {code})");
        }
    }
    printed.trim_start_matches('\n').replace(home.to_str().unwrap(), HOME)
}

/// The text without what differs from machine to machine.
fn comparable(text: &str) -> String {
    let lines = text.lines().map(|line| {
        // What compiles packs is another on each machine, and with it the name of a set of packs, a hash over their bytes.
        let starts = ["packs are compiled by ", "  \"pack_set_version\": "];
        let start = starts.into_iter().find(|start| line.starts_with(start));
        let line = start.map_or(line.to_owned(), |start| format!("{start}[ANY]"));
        line.split_once(" toolchain ").map_or(line.clone(), |(mark, _)| format!("{mark} toolchain [ANY]"))
    });
    let text = normalised(&lines.collect::<Vec<_>>().join("\n"));
    text.lines().map(timeless).collect::<Vec<_>>().join("\n")
}

/// A row of the audit log without how long the call took, and without the width that this gives the column.
fn timeless(line: &str) -> String {
    if !line.starts_with("[TIME]") && !line.starts_with("Time ") {
        return line.to_owned();
    }
    let cell = |cell: &str| if cell.parse::<f64>().is_ok() { "[MS]".to_owned() } else { cell.to_owned() };
    line.split_whitespace().map(cell).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_tour_of_the_readme() {
    check("README.md", "tour");
}

#[test]
fn an_index_behind_nginx() {
    let Some(nginx) = nginx() else { return };
    let mut project = machine("hosting");
    let path = format!("{}:{}", nginx.parent().unwrap().display(), project.env()["PATH"]);
    project.set_env("PATH", &path);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _stopped = Stopped(project.root().join("user/hosting/nginx.pid"));
    check_with(&project, "docs/hosting-an-index.md", "hosting", Some(("8790", free)));
}

#[test]
fn packs_in_a_registry() {
    let Some(registry) = Registry::program() else { return };
    let mut project = machine("oci");
    let path = format!("{}:{}", registry.parent().unwrap().display(), project.env()["PATH"]);
    project.set_env("PATH", &path);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _stopped = Stopped(project.root().join("user/oci/registry.pid"));
    check_with(&project, "docs/oci.md", "oci", Some(("8791", free)));
}

/// Stops the program whose number is in a file, when a page did not come to the end where it does.
struct Stopped(PathBuf);

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(&self.0) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}

/// nginx of the machine, or the one that `cargo xtask clients` unpacked. Without one the reason is printed, and the test that asked is
/// to end; with `RIG_TEST_CLIENTS=required` that is a failure instead.
#[allow(clippy::print_stdout, reason = "what is skipped on a machine is said")]
fn nginx() -> Option<PathBuf> {
    let unpacked = rig_path().parent().unwrap().join("../clients/nginx/usr/sbin");
    let folders = env::var("PATH").unwrap_or_default();
    let folders = env::split_paths(&folders).chain(["/usr/sbin".into(), unpacked]).collect::<Vec<_>>();
    let found = folders.into_iter().map(|folder| folder.join("nginx")).find(|path| path.is_file());
    if found.is_none() {
        let why = "there is no nginx: `cargo xtask clients` unpacks Debian's, or `apt-get install nginx-light`";
        let required = env::var_os("RIG_TEST_CLIENTS").is_some_and(|value| value == "required");
        assert!(!required, "{why}");
        println!("SKIPPED: {why}");
    }
    found
}

#[test]
fn the_quickstart() {
    check("docs/quickstart.md", "first");
}

/// Several releases of small packs, as the page about updates uses them.
#[test]
fn updates_and_rollbacks() {
    let project = machine("updates");
    let index = project.root().join("user/index");
    fs::create_dir(&index).unwrap();
    let release = |id: &str, version: &str, needs: &[(&str, &str)]| {
        packs::repacked(&Guest::new(id).build(), |pack| {
            pack.manifest.pack.version = version.parse().unwrap();
            let needs = needs.iter().map(|(id, range)| (id.parse().unwrap(), range.parse().unwrap()));
            pack.manifest.dependencies.extend(needs);
        })
    };
    let notes = |version: &str, change: fn(&mut ToolDef)| {
        packs::repacked(&release("notes", version, &[]), |pack| {
            let tool = &mut pack.tools[0].def;
            tool.name = "notes.note.add".into();
            let text = serde_json::json!({ "type": "string" });
            tool.input_schema = serde_json::json!({ "type": "object", "properties": { "text": text } });
            change(tool);
        })
    };
    let components = [
        release("http-tools", "1.4.0", &[]),
        release("http-tools", "2.0.0", &[]),
        release("crm", "1.1.0", &[("http-tools", "^1")]),
        release("crm", "2.0.0", &[("http-tools", "^2")]),
        release("mail", "2.0.0", &[("http-tools", "^2")]),
        notes("1.0.0", |_| {}),
        notes("1.1.0", |tool| {
            tool.description = "Adds a note, with a colour.".into();
            tool.input_schema["properties"]["colour"] = serde_json::json!({ "enum": ["red", "blue"] });
        }),
        notes("2.0.0", |tool| {
            tool.input_schema["required"] = serde_json::json!(["text"]);
            tool.risk_class = RiskClass::Write;
        }),
    ];
    packs::index_of(&index, &components);
    fs::rename(index.join(packs::INDEX), index.join("pack_index.json")).unwrap();
    check_on(&project, "docs/updating.md", "updates");
}

/// Somebody who has `rig` and Rust and nothing else. GitHub is a stand-in, which a project around the home leads to.
fn author(upstream: &Upstream) -> Project {
    let mut project = machine("unused");
    let home = project.root().join("user");
    fs::remove_dir_all(home.join("rig")).unwrap();
    fs::remove_dir(home.join("unused")).unwrap();
    fs::write(project.root().join("rig.yaml"), upstream.yaml()).unwrap();
    upstream.on("api.github.com", |request| match request.path() {
        "/repos/rust-lang/rust/releases/latest" => Reply::json(
            200,
            serde_json::json!({ "tag_name": "1.95.0", "published_at": "2026-04-16T00:00:00Z", "draft": false }),
        ),
        _ => Reply::json(404, serde_json::json!({ "message": "Not Found" })),
    });
    project.set_env("RIG_HOME", home.join(".local/share/rig").to_str().unwrap());
    project
}

/// What `rig new` makes passes its own cases in every language, as its page says. Slow: the runtimes of other languages are large, and
/// are compiled here by a rig that is not optimised.
#[test]
fn the_pages_of_other_languages() {
    for (page, example) in [
        ("docs/packs-in-c.md", "stars-c"),
        ("docs/packs-in-javascript.md", "stars-js"),
        ("docs/packs-in-python.md", "stars-python"),
    ] {
        if has_built(example) {
            check_on(&author(&Upstream::start()), page, "");
        }
    }
}

#[test]
fn the_page_about_testing() {
    if has_built("stars-c") {
        check_on(&author(&Upstream::start()), "docs/testing-packs.md", "");
    }
}

/// Builds a pack, so it takes a minute or two the first time in a checkout.
#[test]
fn the_guide_for_authors() {
    let upstream = Upstream::start();
    let project = author(&upstream);
    check_on(&project, "docs/first-pack.md", "");
    assert_eq!(upstream.requests().len(), 1, "only the recording sends something");

    // Cargo finds the lock of the template right as it is: the crates of others are those that rig itself is tested with.
    let template = "host/templates/rust/Cargo.lock";
    let lock = fs::read_to_string(project.root().join("user/repos/Cargo.lock")).unwrap();
    hold(
        template,
        &read(template),
        &lock.replace("rig-pack-repos", "rig-pack-{{id}}"),
        "cargo changed the lock of a new pack",
    );
    let ours = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for package in lock.split("[[package]]\n").skip(1).filter(|package| package.contains("checksum")) {
        let pinned: Vec<&str> = package.lines().take_while(|line| !line.starts_with("dependencies")).collect();
        assert!(ours.contains(&pinned.join("\n")), "{template} and Cargo.lock differ:\n{}", pinned.join("\n"));
    }
}
