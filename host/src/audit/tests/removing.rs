//! Retention: old rows go, newer ones never, and the rest verifies.

use super::*;

const DAY: u64 = 24 * 3600;

/// A log with rows of so many days, a hundred a day, that keeps thirty; and the time after them.
fn filled(days: u64) -> (Place, Timestamp) {
    let mut place = Place::new();
    place.settings.retention_days = Some(30);
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut log = log::Log::open(&place.settings.path, &Arc::default()).unwrap();
    let stored = |n: u64| chain::Stored::new(row(n.to_string()), start + Duration::from_secs(n * DAY / 100));
    let mut rows: Vec<_> = (0..days * 100).map(stored).collect();
    let appended = log.append(rows.iter_mut()).unwrap();
    while summary::make_next(&mut log, || ()).unwrap() {}
    let mut anchor = anchor::Anchor::open(&place.settings.anchors, &place.settings.path).unwrap();
    anchor.advance(appended.before, appended.head, |_| None).unwrap();
    (place, start + Duration::from_secs(days * DAY))
}

#[tokio::test]
async fn old_rows_go_and_the_rest_verifies() {
    // With summaries before, across and after the cut, and without.
    for days in [31, 60, 110] {
        let (place, now) = filled(days);
        let audit = place.audit();
        let removed = (days - 30) * 100;
        assert_eq!(audit.retain(now), Ok(removed));
        let report = place.verify();
        assert_eq!(report.problems, [], "{days}");
        assert_eq!((report.rows, report.first, report.removed), (3001, Some(removed + 1), removed));
        let all = place.all();
        assert_eq!(all.total, 3001);
        let said = &all.entries[0];
        assert_eq!((said.event.as_str(), said.actor.as_str(), said.seq), ("retention", "rig", days * 100 + 1));
        let args = said.args.as_ref().unwrap();
        assert_eq!((args["removed"].as_u64(), args["up_to"].as_u64()), (Some(removed), Some(removed)));
        assert_eq!(place.query(&AuditQuery::default()).total, 3000, "what people ask for are calls");
        // The oldest that is left is not older than asked for.
        let since =
            AuditQuery { end_time: Some((now - Duration::from_secs(30 * DAY)).to_string()), ..AuditQuery::default() };
        assert_eq!(place.query(&since).total, 0);
        // Nothing to do the second time; a day later there is, and both are one chain.
        assert_eq!(audit.retain(now), Ok(0));
        audit.record(row("after")).await.unwrap();
        assert_eq!(audit.retain(now + Duration::from_secs(DAY)), Ok(100));
        assert_eq!(place.good_rows(), 2903);
    }
}

#[tokio::test]
async fn a_log_that_is_wholly_old_keeps_its_chain() {
    let (place, now) = filled(50);
    let audit = place.audit();
    assert_eq!(audit.retain(now + Duration::from_secs(1000 * DAY)), Ok(5000));
    assert_eq!(place.good_rows(), 1, "the row that says so");
    audit.record(row("after")).await.unwrap();
    drop(audit);
    assert_eq!(place.good_rows(), 2);
}

/// A row with a time before that of older rows does not take newer ones with it.
#[tokio::test]
async fn a_clock_that_went_back_removes_no_newer_row() {
    let mut place = Place::new();
    place.settings.retention_days = Some(1);
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    let mut log = log::Log::open(&place.settings.path, &Arc::default()).unwrap();
    let times = [now - Duration::from_secs(3 * DAY), now, now - Duration::from_secs(3 * DAY), now];
    let mut rows = times.map(|at| chain::Stored::new(row("x"), at));
    log.append(rows.iter_mut()).unwrap();
    assert_eq!(place.audit().retain(now), Ok(1));
    let left: Vec<u64> = place.all().entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(left, [5, 4, 3, 2]);
}

#[tokio::test]
async fn nothing_goes_unless_asked_for() {
    let (mut place, now) = filled(50);
    place.settings.retention_days = None;
    assert_eq!(place.audit().retain(now), Ok(0));
    assert_eq!(place.good_rows(), 5000);
}

#[tokio::test]
async fn the_upkeep_removes_by_itself() {
    let (place, _) = filled(50);
    let audit = place.audit();
    audit.start_upkeep();
    for _ in 0..200 {
        if place.verify().rows == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Those rows are of early 2026.
    assert_eq!(place.good_rows(), 1);
}

/// What an interrupted removal left behind is no part of the log, and goes the next time.
#[tokio::test]
async fn an_interrupted_removal_is_completed() {
    let (place, now) = filled(40);
    let audit = place.audit();
    // As if the process had ended after the decision: the first thousand rows are still there.
    let copy = Connection::open_in_memory().unwrap();
    copy.execute("ATTACH ?1 AS file", [place.settings.path.to_str().unwrap()]).unwrap();
    copy.execute_batch("CREATE TABLE old AS SELECT * FROM file.log WHERE seq <= 1000; DETACH file").unwrap();
    assert_eq!(audit.retain(now), Ok(1000));
    copy.execute("ATTACH ?1 AS file", [place.settings.path.to_str().unwrap()]).unwrap();
    copy.execute_batch("INSERT INTO file.log SELECT * FROM old; DETACH file").unwrap();
    let count = || place.attacker().query_row("SELECT count(*) FROM log", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(), 4001);
    assert_eq!((place.good_rows(), place.all().total), (3001, 3001));
    assert_eq!(audit.retain(now), Ok(0));
    assert_eq!(count(), 3001);
}

/// Rows that somebody else removed at the beginning are not taken for retention's.
#[tokio::test]
async fn what_retention_did_not_remove_is_missed() {
    let (place, now) = filled(40);
    place.audit().retain(now).unwrap();
    assert_eq!(place.good_rows(), 3001, "the control");
    let file = place.attacker();
    file.execute_batch(
        "DROP TRIGGER log_no_delete; DELETE FROM log WHERE seq <= 1500; DELETE FROM summary;
         UPDATE origin SET seq = 1500, hash = (SELECT prev_hash FROM log WHERE seq = 1501)",
    )
    .unwrap();
    let problems: Vec<String> = place.verify().problems.into_iter().map(|problem| problem.what).collect();
    assert_eq!(
        problems,
        [
            "the triggers that keep rows from being changed are not those that rig made",
            "the log begins with row 1501, but by what retention wrote it begins with row 1001",
        ]
    );
}
