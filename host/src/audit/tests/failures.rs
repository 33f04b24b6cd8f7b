//! A file that cannot be written: callers are told, nothing is lost that can be kept, and the chain goes on.

use std::process::Command;

use super::*;

/// Where a log cannot be, because a folder above it is a file; and how it can be there after all.
fn blocked() -> (Place, impl Fn()) {
    let mut place = Place::new();
    let blocking = place.folder.path().join("blocking");
    fs::write(&blocking, "").unwrap();
    place.settings.path = blocking.join("log");
    (place, move || fs::remove_file(&blocking).unwrap())
}

#[tokio::test]
async fn rows_wait_for_the_file_and_keep_their_order() {
    let (place, unblock) = blocked();
    let audit = place.audit();
    assert_eq!(audit.problem(), None);
    let error = audit.record(row("1")).await.unwrap_err();
    let why = "File exists (os error 17)";
    assert_eq!(error, AuditError::Write { path: place.settings.path.clone(), why: why.into() });
    assert_eq!(audit.problem(), Some(error));
    assert!(audit.record_durably(row("durable")).await.is_err());
    assert!(audit.record(row("2")).await.is_err());
    assert_eq!(audit.shared.writer().backlog(), 2, "what a refused call announced is not kept");
    unblock();
    tokio::time::sleep(Duration::from_millis(300)).await;
    audit.record(row("3")).await.unwrap();
    assert_eq!(audit.problem(), None);
    let names: Vec<String> = place.all().entries.into_iter().map(|entry| entry.run_id).collect();
    assert_eq!(names, ["3", "2", "1"]);
    assert_eq!(place.good_rows(), 3);
}

#[tokio::test]
async fn rows_are_tried_again_without_a_call() {
    let (place, unblock) = blocked();
    let audit = place.audit();
    assert!(audit.record(row("1")).await.is_err());
    unblock();
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if audit.problem().is_none() {
            break;
        }
    }
    assert_eq!(audit.problem(), None);
    assert_eq!(place.good_rows(), 1);
}

#[tokio::test]
async fn the_last_handle_tries_once_more() {
    let (place, unblock) = blocked();
    let audit = place.audit();
    assert!(audit.record(row("1")).await.is_err());
    unblock();
    drop(audit);
    assert_eq!(place.good_rows(), 1);
}

#[tokio::test]
async fn rows_beyond_the_backlog_are_counted_as_lost() {
    let (place, unblock) = blocked();
    let audit = place.audit();
    for n in 0..writer::MAX_BACKLOG {
        let error = audit.record(row(n.to_string())).await.unwrap_err();
        assert!(matches!(error, AuditError::Write { .. }), "{n}: {error}");
    }
    for lost in 1..=3 {
        let error = audit.record(row("lost")).await.unwrap_err();
        assert!(matches!(error, AuditError::Lost { lost: count, .. } if count == lost), "{error}");
        assert!(error.to_string().ends_with(&format!("; {lost} rows are lost")), "{error}");
    }
    unblock();
    drop(audit);
    assert_eq!(place.good_rows(), writer::MAX_BACKLOG as u64);
}

/// SQLite's own limit stands in for a full disk where none can be mounted.
#[tokio::test]
async fn a_full_file_refuses_rows_and_takes_them_later() {
    let place = Place::new();
    let audit = place.audit();
    audit.record(row("1")).await.unwrap();
    let pages: i64 =
        audit.shared.writer().log().connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    audit.shared.writer().log().connection().pragma_update(None, "max_page_count", pages).unwrap();
    let long = Row { tool: "x".repeat(100_000), ..row("2") };
    let error = audit.record(long).await.unwrap_err();
    assert_eq!(error, AuditError::Write { path: place.settings.path.clone(), why: "database or disk is full".into() });
    assert_eq!(place.good_rows(), 1, "nothing of the transaction is there");
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The connection was opened anew, without the limit.
    audit.record(row("3")).await.unwrap();
    assert_eq!(place.good_rows(), 3);
}

/// A disk that is really full. Needs the right to mount; without it there is nothing to try.
#[tokio::test]
async fn a_full_disk_refuses_rows_and_takes_them_later() {
    let mut place = Place::new();
    let disk = place.folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "rig-test"]).arg(&disk).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        return;
    }
    place.settings.path = disk.join("log");
    let audit = place.audit();
    audit.record(row("first")).await.unwrap();
    let ballast = disk.join("ballast");
    let _ = fs::write(&ballast, vec![0; 2 << 20]);
    let mut refused = 0;
    for n in 0..100 {
        let intent = audit.record_durably(Row { event: Event::Intent, ..row(format!("intent {n}")) }).await;
        if let Err(error) = intent {
            refused += 1;
            assert!(matches!(error, AuditError::Write { .. }), "{error}");
            assert!(audit.record(row(format!("outcome {n}"))).await.is_err());
        }
    }
    assert!(refused > 50, "{refused}");
    let problem = audit.problem();
    fs::remove_file(&ballast).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = audit.record_durably(row("after")).await;
    drop(audit);
    let report = place.verify();
    Command::new("umount").arg("-l").arg(&disk).output().unwrap();
    assert!(problem.is_some());
    assert_eq!(after, Ok(()));
    assert_eq!(report.problems, []);
    let intents = 100 - refused;
    assert_eq!(report.rows, 1 + intents + refused + 1, "{report:?}");
}

#[tokio::test]
async fn a_file_that_is_no_log_is_left_alone() {
    let place = Place::new();
    fs::create_dir_all(place.settings.path.parent().unwrap()).unwrap();
    let garbage = vec![b'x'; 8192];
    fs::write(&place.settings.path, &garbage).unwrap();
    let audit = place.audit();
    let error = audit.record(row("1")).await.unwrap_err();
    assert!(matches!(error, AuditError::Damaged { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("the audit log {} is damaged: file is not a database", place.settings.path.display())
    );
    assert!(error.hint().contains("move them away"));
    drop(audit);
    assert_eq!(fs::read(&place.settings.path).unwrap(), garbage);

    let other = Place::new();
    fs::create_dir_all(other.settings.path.parent().unwrap()).unwrap();
    other.attacker().execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    let before = fs::read(&other.settings.path).unwrap();
    let why = "it is a database of another program".to_owned();
    let unknown = AuditError::Unknown { path: other.settings.path.clone(), why };
    assert_eq!(other.audit().record(row("1")).await, Err(unknown.clone()));
    assert_eq!(
        read::query(&other.settings.path, &other.settings.anchors, &AuditQuery::default(), Events::All),
        Err(unknown.clone())
    );
    assert_eq!(verify::verify(&other.settings.path, &other.settings.anchors), Err(unknown));
    assert_eq!(fs::read(&other.settings.path).unwrap(), before);
}

#[tokio::test]
async fn a_log_that_was_moved_away_is_begun_anew() {
    let place = Place::new();
    let audit = place.audit();
    audit.record(row("1")).await.unwrap();
    let aside = place.folder.path().join("aside");
    fs::create_dir(&aside).unwrap();
    for ending in ["", "-wal", "-shm"] {
        let name = format!("audit.sqlite{ending}");
        fs::rename(place.settings.path.with_file_name(&name), aside.join(&name)).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    audit.record(row("2")).await.unwrap();
    let names: Vec<String> = place.all().entries.into_iter().map(|entry| entry.run_id).collect();
    assert_eq!(names, ["2"]);
    let moved =
        read::query(&aside.join("audit.sqlite"), &place.settings.anchors, &AuditQuery::default(), Events::All).unwrap();
    assert_eq!(moved.total, 1);
}

#[test]
fn a_log_that_is_not_there_is_empty_and_cannot_be_verified() {
    let place = Place::new();
    assert_eq!(place.all().total, 0);
    let missing = AuditError::Missing { path: place.settings.path.clone() };
    assert_eq!(verify::verify(&place.settings.path, &place.settings.anchors), Err(missing));
    assert!(!place.settings.anchors.exists() && !place.settings.path.exists(), "reading makes nothing");
}

/// Another process holds the file for longer than a commit takes: rows wait for it on a thread that may block.
#[tokio::test]
async fn a_locked_file_is_waited_for() {
    let place = Place::new();
    let audit = place.audit();
    audit.record(row("1")).await.unwrap();
    let other = place.attacker();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = audit.record(row("2"));
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "the executor is free while the row waits");
    other.execute_batch("ROLLBACK").unwrap();
    waiting.await.unwrap();
    assert_eq!(place.good_rows(), 2);
}
