//! Choosing versions, and saying why there are none.

use std::fmt::Write as _;

use super::*;

/// A problem from text. A line is `pack version: needs…`, with `!` before a withdrawn version and `@9.9.9` for a rig that it needs.
fn problem(releases: &str, roots: &[(&str, Root)]) -> Problem {
    let mut problem = Problem::default();
    for line in releases.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (head, needs) = line.split_once(':').unwrap_or((line, ""));
        let mut words = head.split_whitespace();
        let id: PackId = words.next().unwrap().parse().unwrap();
        let text = words.next().unwrap();
        let withdrawn = text.starts_with('!').then_some(Barred::Withdrawn);
        let rig = words.next().map(|word| Barred::NeedsRig(word.trim_start_matches('@').parse().unwrap()));
        let need = |text: &str| {
            let (id, range) = text.trim().split_once(' ').unwrap();
            (id.parse().unwrap(), range.parse().unwrap())
        };
        let needs = needs.split(';').filter(|need| !need.trim().is_empty()).map(need).collect();
        let release = Release { needs, barred: withdrawn.or(rig) };
        let known = problem.packs.entry(id).or_default();
        known.versions.insert(text.trim_start_matches('!').parse().unwrap(), release);
    }
    for (id, root) in roots {
        let id: PackId = id.parse().unwrap();
        // As the planner does it: of what stays, only that version is known.
        if let Root::Kept(version) = root {
            let known = problem.packs.get_mut(&id).unwrap();
            known.versions.retain(|other, _| other == version);
        }
        problem.roots.insert(id, root.clone());
    }
    problem
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn any() -> Root {
    Root::Named(None)
}

fn range(text: &str) -> Root {
    Root::Named(Some(Wanted::Range(text.parse().unwrap())))
}

fn exact(text: &str) -> Root {
    Root::Named(Some(Wanted::Exact(version(text))))
}

fn kept(text: &str) -> Root {
    Root::Kept(version(text))
}

#[track_caller]
fn chooses(problem: &Problem, expected: &str) {
    let chosen = solve(problem).unwrap_or_else(|none| panic!("{none:#?}"));
    let text: Vec<String> = chosen.iter().map(|(id, version)| format!("{id} {version}")).collect();
    assert_eq!(text.join(", "), expected);
}

#[track_caller]
fn fails(problem: &Problem, expected: &[&str]) -> NoSolution {
    let none = solve(problem).expect_err("there is no solution");
    let mut lines = none.facts.clone();
    lines.push(none.conclusion.clone());
    assert_eq!(lines, expected);
    none
}

#[test]
fn the_newest_release_that_fits_is_chosen() {
    let releases =
        "a 1.0.0\n a 1.1.0\n a !1.2.0\n a 1.3.0 @9.0.0\n a 2.0.0-rc.1\n a 2.0.0-rc.2\n b 1.0.0\n b 2.0.0-rc.1";
    for (root, expected) in [
        (any(), "a 1.1.0"),
        (range("^1"), "a 1.1.0"),
        (range("=1.0.0"), "a 1.0.0"),
        (range("^2.0.0-rc.1"), "a 2.0.0-rc.2"),
        (exact("2.0.0-rc.1"), "a 2.0.0-rc.1"),
        (Root::Updated(version("1.0.0")), "a 1.1.0"),
        // From a pre-release there is no way back to an older release, and a newer one comes only from there.
        (Root::Updated(version("2.0.0-rc.1")), "a 2.0.0-rc.2"),
    ] {
        chooses(&problem(releases, &[("a", root.clone())]), expected);
    }
    // A range matches a pre-release only when it names one of the same version: semver's rule, not an order of numbers.
    let needing = format!("{releases}\n x 1.0.0: b >=1.0.0\n y 1.0.0: b >=2.0.0-rc.1");
    chooses(&problem(&needing, &[("x", any())]), "b 1.0.0, x 1.0.0");
    chooses(&problem(&needing, &[("y", any())]), "b 2.0.0-rc.1, y 1.0.0");
    // A pre-release when there is nothing else.
    chooses(&problem("a 1.0.0-rc.1\n a 1.0.0-rc.2", &[("a", any())]), "a 1.0.0-rc.2");
}

#[test]
fn what_is_preferred_is_tried_first_even_when_withdrawn() {
    let mut problem = problem("a 1.0.0: b ^1\n b 1.0.0\n b 1.1.0\n b 2.0.0", &[("a", any()), ("b", Root::Movable)]);
    let b = problem.packs.get_mut(&"b".parse().unwrap()).unwrap();
    b.preferred = Some(version("1.0.0"));
    chooses(&problem, "a 1.0.0, b 1.0.0");
    let a = problem.packs.get_mut(&"a".parse().unwrap()).unwrap();
    a.versions.get_mut(&version("1.0.0")).unwrap().needs.insert("b".parse().unwrap(), "^1.1".parse().unwrap());
    chooses(&problem, "a 1.0.0, b 1.1.0");
}

#[test]
fn packs_are_chosen_together() {
    // The newest of both do not fit; an older one of what was named second does.
    let releases =
        "a 1.0.0: c ^1\n a 2.0.0: c ^2\n b 1.0.0: c ^1\n b 2.0.0: c ^3\n b 1.5.0: c ^2\n c 1.0.0\n c 2.0.0\n c 3.0.0";
    chooses(&problem(releases, &[("a", any()), ("b", any())]), "a 2.0.0, b 1.5.0, c 2.0.0");
    chooses(&problem(releases, &[("a", any()), ("b", kept("1.0.0"))]), "a 1.0.0, b 1.0.0, c 1.0.0");
    // Round and round.
    chooses(&problem("a 1.0.0: b ^1\n b 1.0.0: a ^1", &[("a", any())]), "a 1.0.0, b 1.0.0");
}

#[test]
fn a_conflict_with_what_is_installed_is_told_in_the_words_of_the_authors() {
    let releases = "mail 2.0.0: http-tools ^2\n crm 1.1.0: http-tools ^1\n crm 2.0.0: http-tools ^2\n http-tools 1.0.0\n http-tools 1.4.0\n http-tools 2.0.0\n http-tools 2.1.0";
    let none = fails(
        &problem(releases, &[("mail", any()), ("crm", kept("1.1.0"))]),
        &[
            "`mail` 2.0.0 needs `http-tools` ^2",
            "`crm` 1.1.0, which is installed, needs `http-tools` ^1",
            "so `mail` 2.0.0 cannot be installed beside `crm` 1.1.0",
        ],
    );
    assert_eq!(none.kept.iter().map(PackId::as_str).collect::<Vec<_>>(), ["crm"]);
    fails(
        &problem(releases, &[("mail", exact("2.0.0")), ("http-tools", kept("1.4.0"))]),
        &[
            "`mail` 2.0.0 needs `http-tools` ^2",
            "`http-tools` 1.4.0 is installed",
            "so `mail` 2.0.0 cannot be installed beside `http-tools` 1.4.0",
        ],
    );
    fails(
        &problem(releases, &[("crm", exact("2.0.0")), ("http-tools", range("^1"))]),
        &[
            "`crm` 2.0.0 needs `http-tools` ^2",
            "`http-tools` ^1 was asked for",
            "so `crm` 2.0.0 and `http-tools` ^1 cannot be installed together",
        ],
    );
}

#[test]
fn what_cannot_be_had_is_told_with_its_reason() {
    let mut unknown = problem("a 1.0.0: b ^1", &[("a", any())]);
    unknown.absent.insert("b".parse().unwrap(), "the index has no pack `b`".into());
    fails(&unknown, &["`a` 1.0.0 needs `b` ^1", "the index has no pack `b`", "so `a` 1.0.0 cannot be installed"]);
    fails(
        &problem("a 1.0.0: b ^3\n b 1.0.0\n b 2.0.0", &[("a", any())]),
        &["`a` 1.0.0 needs `b` ^3", "there is no `b` ^3, only 1.0.0 and 2.0.0", "so `a` 1.0.0 cannot be installed"],
    );
    fails(
        &problem("a 1.0.0: b ^2\n b 1.0.0\n b !2.0.0\n b !2.1.0", &[("a", any())]),
        &[
            "`a` 1.0.0 needs `b` ^2",
            "`b` 2.0.0 and 2.1.0 were withdrawn by their publisher",
            "so `a` 1.0.0 cannot be installed",
        ],
    );
    let rig = crate::install::rig_version();
    fails(
        &problem("a 1.0.0: b ^2\n b 1.0.0\n b 2.0.0 @9.0.0", &[("a", any())]),
        &[
            "`a` 1.0.0 needs `b` ^2",
            &format!("`b` 2.0.0 needs rig 9.0.0 or later, and this is rig {rig}"),
            "so `a` 1.0.0 cannot be installed",
        ],
    );
}

#[test]
fn many_versions_are_told_in_a_line() {
    let mut releases = String::from("b 1.0.0\n b 2.0.0\n");
    for minor in 0..40 {
        writeln!(releases, "a 1.{minor}.0: b ^2").unwrap();
    }
    let none = fails(
        &problem(&releases, &[("a", any()), ("b", kept("1.0.0"))]),
        &["all versions of `a` need `b` ^2", "`b` 1.0.0 is installed", "so `a` cannot be installed beside `b` 1.0.0"],
    );
    assert!(!none.facts.iter().any(|fact| fact.contains('|')), "{none:?}");
    releases.push_str("a 2.0.0: b ^3\n");
    fails(
        &problem(&releases, &[("a", any()), ("b", kept("1.0.0"))]),
        &[
            "`a` 1.0.0 to 1.39.0 need `b` ^2",
            "`a` 2.0.0 needs `b` ^3",
            "`b` 1.0.0 is installed",
            "so `a` cannot be installed beside `b` 1.0.0",
        ],
    );
}

#[test]
fn a_chain_of_needs_is_told_whole() {
    fails(
        &problem("a 1.0.0: b ^1\n b 1.0.0: c ^2\n c 1.0.0\n c 2.0.0", &[("a", any()), ("c", kept("1.0.0"))]),
        &[
            "`a` 1.0.0 needs `b` ^1",
            "`b` 1.0.0 needs `c` ^2",
            "`c` 1.0.0 is installed",
            "so `a` 1.0.0 cannot be installed beside `c` 1.0.0",
        ],
    );
}

#[test]
fn an_index_that_keeps_rig_busy_is_given_up() {
    // Pairwise exclusive choices in a circle: there are many, and none fits.
    let mut releases = String::new();
    for pack in 0..12 {
        for major in 1..12 {
            let needs: Vec<String> =
                (0..pack).map(|other| format!("p{other} >={}, <{}", major + 1, major + 1)).collect();
            writeln!(releases, "p{pack} {major}.0.0: {}", needs.join(";")).unwrap();
        }
    }
    let names: Vec<String> = (0..12).map(|pack| format!("p{pack}")).collect();
    let roots: Vec<(&str, Root)> = names.iter().map(|name| (name.as_str(), any())).collect();
    assert!(solve(&problem(&releases, &roots)).is_err());
}
