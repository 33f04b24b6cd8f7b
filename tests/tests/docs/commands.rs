//! The commands of the pages print what the pages say.

use std::{fmt::Write as _, fs};

use rig_specs::index::Publisher;
use rig_tests::{
    Project,
    console::{self, Step},
    normalised, packs, rig_path,
};

use super::{alone, hold, read};

/// The home of whoever reads the pages. In it stand the checkout, `rig`, and the folder that the commands run in.
const HOME: &str = "/home/you";

/// Runs the commands of a page, each in a shell, in one fresh folder, with the built packs where a checkout has them.
fn check(page: &str, folder: &str) {
    let _alone = alone();
    let project = machine(folder);
    let text = read(page);
    let mut changes = Vec::new();
    let mut report = String::new();
    for step in console::steps(&text) {
        let printed = run(&project, folder, &step);
        if comparable(&printed) != comparable(&step.printed) {
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
    let path = format!("{}:{}", rig.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    project.set_env("PATH", &path);
    project.set_env("RIG_HOME", home.join(folder).join("home").to_str().unwrap());
    project
}

/// What a command prints, as a terminal in [`HOME`] shows it.
fn run(project: &Project, folder: &str, step: &Step) -> String {
    let home = project.root().join("user");
    let script = format!("exec 2>&1\n{}", step.command);
    let output = project.run(["-c", &script]).in_dir(&home.join(folder)).output();
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
        // What compiles packs is another on each machine.
        line.split_once(" toolchain ").map_or(line.to_owned(), |(mark, _)| format!("{mark} toolchain [ANY]"))
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
fn the_quickstart() {
    check("docs/quickstart.md", "first");
}
