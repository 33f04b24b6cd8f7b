//! The journal of a process that lives long: what is committed there is found, moves into the chain once, and cannot be changed on the
//! way.

use super::*;
use crate::audit::journal::ids;

/// What a reader sees, newest first.
fn names(place: &Place) -> Vec<String> {
    place.all().entries.into_iter().map(|entry| entry.run_id).collect()
}

/// Waits until the chain has so many rows without anybody's help.
async fn moved(place: &Place, rows: i64) {
    let file = place.attacker();
    let count = || file.query_row("SELECT count(*) FROM log", [], |row| row.get::<_, i64>(0)).unwrap();
    for _ in 0..1000 {
        if count() == rows {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} rows instead of {rows}", count());
}

/// A handle whose journal is open: the first row made it.
async fn begun(place: &Place) -> Audit {
    let audit = place.long_lived();
    audit.record(row("first")).await.unwrap();
    assert!(audit.shared.intake.is_open());
    audit
}

/// Keeps the thread from moving rows by itself. Who abandons the intake before the guard is dropped leaves what a kill leaves.
fn hold(audit: &Audit) -> parking_lot::MutexGuard<'_, writer::Writer> {
    audit.shared.writer()
}

#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "the writer that is held is what the journal does without")]
async fn readers_see_what_waits_in_the_journal() {
    let place = Place::new();
    let audit = begun(&place).await;
    let held = hold(&audit);
    for n in 0..5 {
        audit.record(row(n.to_string())).await.unwrap();
    }
    assert_eq!(audit.shared.intake.waiting(), 5);
    assert_eq!(names(&place), ["4", "3", "2", "1", "0", "first"]);
    assert_eq!(place.good_rows(), 6);
    drop(held);
    // What a reader moved is not moved again, and what comes later is.
    audit.record(row("after")).await.unwrap();
    drop(audit);
    assert_eq!(names(&place), ["after", "4", "3", "2", "1", "0", "first"]);
    assert_eq!(place.good_rows(), 7);
    assert_eq!(ids(&place.settings.path), Vec::<String>::new(), "a process that ends takes its journal with it");
}

#[tokio::test]
async fn rows_move_by_themselves() {
    let place = Place::new();
    let audit = begun(&place).await;
    for n in 0..3000 {
        audit.record(row(n.to_string())).await.unwrap();
    }
    moved(&place, 3001).await;
    // Long enough for the thread to sleep: it wakes again.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    audit.record(row("late")).await.unwrap();
    moved(&place, 3002).await;
}

#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "the writer that is held is what the journal does without")]
async fn rows_of_a_killed_process_are_found() {
    let place = Place::new();
    let audit = begun(&place).await;
    let held = hold(&audit);
    audit.record(row("1")).await.unwrap();
    audit.record_durably(row("2")).await.unwrap();
    audit.shared.intake.abandon();
    drop(held);
    drop(audit);
    assert_eq!(ids(&place.settings.path).len(), 1);
    // Another gateway takes them in when it starts, as readers do.
    let other = place.long_lived();
    for _ in 0..500 {
        if ids(&place.settings.path).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(other);
    assert_eq!(ids(&place.settings.path), Vec::<String>::new());
    assert_eq!(names(&place), ["2", "1", "first"]);
    assert_eq!(place.good_rows(), 3);
}

#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "the writer that is held is what the journal does without")]
async fn a_changed_journal_of_a_killed_process_is_found() {
    for (attack, problem) in [
        ("none", None),
        ("changed", Some("changed or torn after its row 2")),
        ("the end taken out", Some("changed or torn after its row 3")),
        ("removed", Some("is missing")),
    ] {
        let place = Place::new();
        let audit = begun(&place).await;
        let held = hold(&audit);
        for name in ["1", "2", "3"] {
            audit.record(row(name)).await.unwrap();
        }
        audit.shared.intake.abandon();
        drop(held);
        drop(audit);
        let file = journal::path(&place.settings.path, &ids(&place.settings.path)[0]);
        let mut bytes = fs::read(&file).unwrap();
        let end = bytes.windows(4).rposition(|four| four == [255; 4]).unwrap();
        match attack {
            "changed" => {
                bytes[end - 1] ^= 1;
                fs::write(&file, bytes).unwrap();
            }
            "the end taken out" => {
                bytes[end..end + 20].fill(0);
                fs::write(&file, bytes).unwrap();
            }
            "removed" => fs::remove_file(&file).unwrap(),
            _ => {}
        }
        let report = place.verify();
        let found: Vec<&str> = report.problems.iter().map(|problem| &*problem.what).collect();
        match problem {
            None => assert_eq!((report.ok, report.rows, found), (true, 4, vec![]), "the control"),
            Some(problem) => {
                assert!(!report.ok && found.len() == 1 && found[0].contains(problem), "{attack}: {found:?}");
                assert_eq!(place.verify().problems, report.problems, "it stays found");
            }
        }
    }
}

#[tokio::test]
async fn a_journal_that_somebody_removed_is_begun_anew() {
    let place = Place::new();
    let audit = begun(&place).await;
    let first = ids(&place.settings.path).remove(0);
    fs::remove_file(journal::path(&place.settings.path, &first)).unwrap();
    for n in 0..20 {
        audit.record(row(n.to_string())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let now = ids(&place.settings.path);
    assert!(now.len() == 1 && now[0] != first, "{now:?}");
    assert_eq!(place.good_rows(), 21);
}

/// Rows that find no room go to the chain at once, and what is changed under a gateway's hands is noticed.
#[tokio::test]
async fn a_journal_has_one_size() {
    let place = Place::new();
    let audit = begun(&place).await;
    let file = journal::path(&place.settings.path, &ids(&place.settings.path)[0]);
    let size = fs::metadata(&file).unwrap().len();
    for n in 0..12 {
        let row = Row { actor: "x".repeat(1 << 20), ..row(n.to_string()) };
        audit.record_durably(row).await.unwrap();
    }
    let huge = Row { actor: "x".repeat(8 << 20), ..row("huge") };
    audit.record(huge).await.unwrap();
    assert_eq!(fs::metadata(&file).unwrap().len(), size);
    drop(audit);
    assert_eq!(place.good_rows(), 14);
}

#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "the writer that is held is what the journal does without")]
async fn a_journal_that_is_changed_while_it_is_used_is_given_up() {
    let place = Place::new();
    let audit = begun(&place).await;
    let first = ids(&place.settings.path).remove(0);
    let file = journal::path(&place.settings.path, &first);
    let held = hold(&audit);
    audit.record(row("1")).await.unwrap();
    let bytes = fs::read(&file).unwrap();
    let end = bytes.windows(4).rposition(|four| four == [255; 4]).unwrap();
    let attacker = fs::OpenOptions::new().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&attacker, &[bytes[end - 1] ^ 1], end as u64 - 1).unwrap();
    drop(held);
    // The row is lost, which is known; those that come after it are not.
    for n in 0..20 {
        audit.record(row(n.to_string())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let now = ids(&place.settings.path);
    assert!(now.len() == 2 && now.contains(&first), "{now:?}");
    drop(audit);
    let report = place.verify();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert!(report.problems[0].what.contains("changed or torn after its row 0"), "{report:?}");
}

/// The log is not believed when it says that more of a journal is in it than was ever written.
#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "the writer that is held is what the journal does without")]
async fn a_place_that_was_never_reached_is_noticed() {
    for (attack, sql) in [
        ("more rows", "UPDATE journal SET rows = 1000000, bytes = 1000000000"),
        ("more bytes", "UPDATE journal SET rows = 1, bytes = 9000000000000000000"),
    ] {
        let place = Place::new();
        let audit = begun(&place).await;
        let first = ids(&place.settings.path).remove(0);
        let held = hold(&audit);
        audit.record(row("1")).await.unwrap();
        place.attacker().execute_batch(sql).unwrap();
        drop(held);
        for n in 0..20 {
            audit.record(row(n.to_string())).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let now = ids(&place.settings.path);
        assert!(now.len() == 2 && now.contains(&first), "{attack}: {now:?}");
        drop(audit);
        assert_eq!(names(&place)[0], "19", "{attack}: what came later is in the chain");
        let report = place.verify();
        assert!(
            report.problems.len() == 1 && report.problems[0].what.contains("changed or torn"),
            "{attack}: {report:?}"
        );
    }
}

/// A log of the version before journals is taken on.
#[tokio::test]
async fn an_older_log_gets_a_journal() {
    let place = Place::new();
    place.audit().record(row("old")).await.unwrap();
    place.attacker().execute_batch("DROP TABLE journal; PRAGMA user_version = 1").unwrap();
    assert_eq!((names(&place), place.good_rows()), (vec!["old".to_owned()], 1), "it can be read as it is");
    let audit = place.long_lived();
    audit.record(row("new")).await.unwrap();
    audit.record(row("newer")).await.unwrap();
    drop(audit);
    assert_eq!((names(&place), place.good_rows()), (vec!["newer".to_owned(), "new".to_owned(), "old".to_owned()], 3));
}

#[tokio::test]
async fn a_log_that_was_replaced_gets_only_what_comes_after() {
    let place = Place::new();
    let audit = begun(&place).await;
    audit.record(row("1")).await.unwrap();
    let aside = place.folder.path().join("aside");
    fs::create_dir(&aside).unwrap();
    // Rows that wait go where the path leads when they move; these have moved.
    moved(&place, 2).await;
    for ending in ["", "-wal", "-shm"] {
        let name = format!("audit.sqlite{ending}");
        fs::rename(place.settings.path.with_file_name(&name), aside.join(&name)).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    audit.record(row("2")).await.unwrap();
    drop(audit);
    assert_eq!(names(&place), ["2"]);
}
