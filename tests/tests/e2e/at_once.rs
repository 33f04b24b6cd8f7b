//! Many installs at the same moment, in one project and in many that share a store: all succeed, and what is there afterwards is whole.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rig_tests::{Child, IndexServer, Project, files, packs};
use serde_json::json;

/// How many processes run at once.
const AT_ONCE: usize = 32;
/// How many different packs they install.
const PACKS: usize = 12;
/// On two busy cores, the last one may wait for all others.
const PATIENCE: Duration = Duration::from_mins(10);

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("p{number:03}")).collect()
}

/// An index of packs that do what echo does, over loopback HTTP.
fn offered(project: &Project, ids: &[String]) -> IndexServer {
    let echo = packs::built("echo");
    let components: Vec<Vec<u8>> = ids.iter().map(|id| packs::renamed(&echo, id)).collect();
    packs::index_of(&project.index_dir(), &components);
    IndexServer::start(&project.index_dir())
}

fn all_succeed(children: Vec<Child>) {
    for child in children {
        child.wait_within(PATIENCE).ok();
    }
}

/// No file that was only meant to live for a moment.
fn nothing_is_left_over(home: &Path, projects: &[PathBuf]) {
    let staging: Vec<PathBuf> = files(&home.join("store/staging")).into_keys().collect();
    assert_eq!(staging, [] as [PathBuf; 0]);
    for folder in projects.iter().map(PathBuf::as_path).chain([home]) {
        let temporary = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(".tmp") || name.contains(".tmp") || name == "journal.json"
        };
        let left: Vec<PathBuf> = files(folder).into_keys().filter(temporary).collect();
        assert_eq!(left, [] as [PathBuf; 0]);
    }
}

/// A call each, by one process after the other: the packs themselves are the same in all projects.
fn is_whole(project: &Project, home: &str, ids: &[String]) {
    project.run(["verify", "--deep"]).env("RIG_HOME", home).timeout(PATIENCE).output().ok();
    for id in ids {
        let call = project.run(["call", &format!("{id}.message.send"), r#"{"message":"x"}"#]).env("RIG_HOME", home);
        assert_eq!(call.output().output(), json!({ "message": "x" }), "{id}");
    }
}

#[test]
fn thirty_two_installs_in_one_project_all_succeed() {
    let project = Project::empty();
    let ids = ids(PACKS);
    let server = offered(&project, &ids);
    project.set_index(&server.url(packs::INDEX));
    // Each pack by two or three processes, alone and beside others.
    let spawn = |number: usize| {
        let (one, other) = (&ids[number % PACKS], &ids[(number * 5 + 1) % PACKS]);
        let names: &[&String] = if number.is_multiple_of(3) { &[one, other] } else { &[one] };
        let names = names.iter().map(|id| id.as_str());
        project.run(["install", "--yes"]).args(names).timeout(PATIENCE).spawn()
    };
    all_succeed((0..AT_ONCE).map(spawn).collect());
    let (lock, config) = (project.lock(), project.config());
    assert_eq!(lock.packs.len(), PACKS);
    assert_eq!((config.packs.len(), config.pack_metadata.len()), (PACKS, PACKS), "no update was lost");
    let home = project.home();
    nothing_is_left_over(&home, &[project.dir()]);
    is_whole(&project, home.to_str().unwrap(), &ids);
}

/// As above, but each process brings a pack of its own: nobody's entry takes the place of another one's.
#[test]
fn thirty_two_different_packs_at_once_are_thirty_two_entries() {
    let project = Project::empty();
    let ids = ids(AT_ONCE);
    let server = offered(&project, &ids);
    project.set_index(&server.url(packs::INDEX));
    let spawn = |id: &String| project.run(["install", "--yes", id]).timeout(PATIENCE).spawn();
    all_succeed(ids.iter().map(spawn).collect());
    assert_eq!((project.lock().packs.len(), project.config().packs.len()), (AT_ONCE, AT_ONCE));
    nothing_is_left_over(&project.home(), &[project.dir()]);
    is_whole(&project, project.home().to_str().unwrap(), &ids);
}

#[test]
fn thirty_two_projects_that_share_a_store_all_succeed() {
    let shared = Project::empty();
    let ids = ids(PACKS);
    let server = offered(&shared, &ids);
    let home = shared.home().to_str().unwrap().to_owned();
    let projects: Vec<Project> = (0..AT_ONCE).map(|_| Project::empty()).collect();
    let of = |number: usize| [0, 1, 5].map(|step| ids[(number + step) % PACKS].clone());
    let spawn = |(number, project): (usize, &Project)| {
        project.set_index(&server.url(packs::INDEX));
        project.run(["install", "--yes"]).args(of(number)).env("RIG_HOME", &home).timeout(PATIENCE).spawn()
    };
    all_succeed(projects.iter().enumerate().map(spawn).collect());
    let dirs: Vec<PathBuf> = projects.iter().map(Project::dir).collect();
    nothing_is_left_over(Path::new(&home), &dirs);
    assert_eq!(fs::read_dir(Path::new(&home).join("store/sha256")).unwrap().count(), PACKS);
    for (number, project) in projects.iter().enumerate() {
        assert_eq!(project.lock().packs.len(), 3);
        is_whole(project, &home, &of(number));
    }
}
