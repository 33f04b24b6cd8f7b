//! Everything that can be done to a log by who can write its file: each is found, and the untouched log is the control.

use std::fmt::Write as _;

use rusqlite::params;

use super::*;
use crate::audit::chain::Link;

const ROWS: u64 = 8;

async fn filled() -> Place {
    let place = Place::new();
    let audit = place.audit();
    for n in 1..=ROWS {
        let row = Row { run_id: format!("run {n}"), ..full_row() };
        audit
            .record(if n == 3 { Row { event: Event::Intent, outcome: None, error_type: None, ..row } } else { row })
            .await
            .unwrap();
    }
    place
}

/// Takes the protection away that stops accidents, and puts it back, as an attacker would.
fn tamper(place: &Place, sql: &str) {
    let file = place.attacker();
    let triggers: Vec<String> = file
        .prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for trigger in schema::TRIGGERS {
        file.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    file.execute_batch(sql).unwrap();
    for trigger in triggers {
        file.execute_batch(&trigger).unwrap();
    }
}

/// What verifying says, without the place.
fn found(place: &Place) -> Vec<String> {
    let report = place.verify();
    assert_eq!(report.ok, report.problems.is_empty());
    let at = |seq: Option<u64>| seq.map_or("-".to_owned(), |seq| seq.to_string());
    report.problems.into_iter().map(|problem| format!("{} {}", at(problem.seq), problem.what)).collect()
}

#[tokio::test]
async fn a_change_of_any_column_is_found() {
    let place = filled().await;
    assert_eq!(found(&place), Vec::<String>::new(), "the control");
    let columns: Vec<(String, String)> = place
        .attacker()
        .prepare("SELECT name, type FROM pragma_table_info('log') WHERE name <> 'seq'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(columns.len(), 21);
    for (column, kind) in columns {
        let change = match kind.as_str() {
            "INTEGER" => format!("{column} + 1"),
            "BLOB" => "zeroblob(32)".into(),
            _ => format!("{column} || ' '"),
        };
        let place = filled().await;
        tamper(&place, &format!("UPDATE log SET {column} = {change} WHERE seq = 5"));
        let found = found(&place);
        // A hash that was changed no longer is what the next row follows.
        let expected = match column.as_str() {
            "prev_hash" => vec!["5 the row does not follow the row before it", "5 the row was changed"],
            "hash" => vec!["5 the row was changed", "6 the row does not follow the row before it"],
            _ => vec!["5 the row was changed"],
        };
        assert_eq!(found, expected, "{column}");
    }
    // Columns that may be empty.
    for column in ["outcome", "error_type", "decision", "args"] {
        let place = filled().await;
        tamper(&place, &format!("UPDATE log SET {column} = NULL WHERE seq = 5"));
        assert_eq!(found(&place), ["5 the row was changed"], "{column}");
    }
}

#[tokio::test]
async fn rows_that_are_added_removed_or_moved_are_found() {
    let copy = "INSERT INTO log SELECT 9, event, at, tenant_id, run_id, actor, tool, pack, pack_version, pack_hash, interface_hash, \
                input_hash, outcome, error_type, duration_us, auth, egress, decision, isolation, args, prev_hash, hash FROM log \
                WHERE seq = 8";
    for (attack, expected) in [
        ("SELECT 1", vec![]),
        ("DELETE FROM log WHERE seq = 4", vec!["5 row 4 is missing"]),
        ("DELETE FROM log WHERE seq BETWEEN 4 AND 6", vec!["7 rows 4 to 6 are missing"]),
        ("DELETE FROM log WHERE seq = 1", vec!["2 row 1 is missing"]),
        (
            "DELETE FROM log WHERE seq = 8",
            vec!["- the log ends with row 7, but this machine has written row 8: rows were cut off"],
        ),
        ("DELETE FROM log", vec!["- the log ends with row 0, but this machine has written row 8: rows were cut off"]),
        (copy, vec!["9 the row does not follow the row before it", "9 the row was changed"]),
        (
            "UPDATE log SET seq = -4 WHERE seq = 4; UPDATE log SET seq = 4 WHERE seq = 5; UPDATE log SET seq = 5 WHERE seq = -4",
            vec![
                "4 the row does not follow the row before it",
                "4 the row was changed",
                "5 the row does not follow the row before it",
                "5 the row was changed",
                "6 the row does not follow the row before it",
            ],
        ),
        // Renumbered so that nothing is missing.
        (
            "DELETE FROM log WHERE seq = 4; UPDATE log SET seq = -seq WHERE seq > 4; UPDATE log SET seq = -seq - 1 WHERE seq < 0",
            vec![
                "4 the row does not follow the row before it",
                "4 the row was changed",
                "5 the row was changed",
                "6 the row was changed",
                "7 the row was changed",
                "- the log ends with row 7, but this machine has written row 8: rows were cut off",
            ],
        ),
        // Retention that nobody wrote down.
        (
            "DELETE FROM log WHERE seq <= 2; UPDATE origin SET seq = 2, hash = (SELECT prev_hash FROM log WHERE seq = 3)",
            vec!["- the log begins with row 3, but by what retention wrote it begins with row 1"],
        ),
        (
            "CREATE TRIGGER silence BEFORE INSERT ON log WHEN NEW.actor = 'eve' BEGIN SELECT RAISE(IGNORE); END",
            vec!["- the triggers that keep rows from being changed are not those that rig made"],
        ),
    ] {
        let place = filled().await;
        tamper(&place, attack);
        assert_eq!(found(&place), expected, "{attack}");
    }
}

#[tokio::test]
async fn the_triggers_stop_accidents() {
    let place = filled().await;
    let file = place.attacker();
    for (accident, expected) in [
        ("UPDATE log SET actor = 'x'", "rows of the audit log never change"),
        ("DELETE FROM log WHERE seq = 1", "only retention removes rows of the audit log"),
        ("DELETE FROM origin", "the audit log has one beginning"),
        ("UPDATE origin SET seq = -1", "the audit log never begins earlier again"),
    ] {
        assert_eq!(file.execute_batch(accident).unwrap_err().to_string(), expected);
    }
    assert_eq!(place.good_rows(), ROWS);
}

/// Changes a row and computes every hash after it anew, as rig would.
fn rebuild(place: &Place, change: &str) {
    tamper(place, change);
    let mut file = place.attacker();
    let rows: Vec<_> = file
        .prepare(&format!("SELECT {} FROM log ORDER BY seq", log::COLUMNS))
        .unwrap()
        .query_map([], |row| log::stored(row).map(|(stored, ..)| stored))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut sql = String::new();
    let mut previous = Link::origin().hash;
    for (seq, mut row) in (1..).zip(rows) {
        let old = row.seq;
        row.seq = seq;
        let hash = row.hash(&previous, &mut Vec::new());
        let (before, after) = (previous.hex(), hash.hex());
        writeln!(sql, "UPDATE log SET seq = {seq}, prev_hash = x'{before}', hash = x'{after}' WHERE seq = {old};")
            .unwrap();
        previous = hash;
    }
    let transaction = file.transaction().unwrap();
    for trigger in schema::TRIGGERS {
        transaction.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    transaction.execute_batch(&sql).unwrap();
    transaction.rollback().unwrap();
    drop(file);
    tamper(place, &sql);
}

#[tokio::test]
async fn a_chain_that_was_computed_anew_is_found_by_the_anchor() {
    for (change, expected) in [
        (
            "UPDATE log SET actor = 'somebody else' WHERE seq = 2",
            "- row 8 is not the one that this machine wrote: rows were computed anew",
        ),
        (
            "DELETE FROM log WHERE seq = 2",
            "- the log ends with row 7, but this machine has written row 8: rows were cut off",
        ),
    ] {
        let place = filled().await;
        rebuild(&place, change);
        assert_eq!(found(&place), [expected]);
        // Writing on does not heal it.
        let audit = place.audit();
        for _ in 0..3 {
            audit.record(row("after")).await.unwrap();
        }
        drop(audit);
        assert_eq!(place.verify().anchor, verify::AnchorState::Differs);
        assert_eq!(found(&place).len(), 1, "{:?}", found(&place));
        // The control: the chain itself is whole, and without the anchor nothing is wrong with it.
        fs::remove_dir_all(&place.settings.anchors).unwrap();
        let report = place.verify();
        assert_eq!((report.ok, report.anchor, report.problems), (true, verify::AnchorState::None, vec![]));
    }
}

#[tokio::test]
async fn a_forged_anchor_is_found() {
    let place = filled().await;
    let anchor = fs::read_dir(&place.settings.anchors).unwrap().map(|entry| entry.unwrap().path());
    let note = anchor.into_iter().find(|path| !path.ends_with("key")).unwrap();
    let good = fs::read_to_string(&note).unwrap();
    fs::write(&note, good.replace("00008 ", "00007 ")).unwrap();
    let expected =
        "- what this machine noted about the log was changed: whether rows are missing at its end cannot be known";
    assert_eq!(found(&place), [expected]);
    fs::write(&note, good).unwrap();
    assert_eq!(place.good_rows(), ROWS);
}

/// Queries look at summaries: one that leaves a row out would hide it.
#[tokio::test]
async fn a_changed_summary_is_found() {
    let place = Place::new();
    {
        let mut log = log::Log::open(&place.settings.path, &Arc::default()).unwrap();
        let stored = |n: u64| chain::Stored::new(row(n.to_string()), Timestamp::now());
        let mut rows: Vec<_> = (0..=summary::ROWS).map(stored).collect();
        log.append(rows.iter_mut()).unwrap();
        assert!(summary::make_next(&mut log, || ()).unwrap());
        assert!(!summary::make_next(&mut log, || ()).unwrap());
    }
    assert_eq!(found(&place), Vec::<String>::new(), "the control");
    let file = place.attacker();
    let columns: Vec<u8> = file.query_row("SELECT columns FROM summary", [], |row| row.get(0)).unwrap();
    let mut hidden = columns.clone();
    hidden[9 + 77] = 0;
    let total = || place.query(&AuditQuery::default()).total;
    assert_eq!(total(), summary::ROWS + 1);
    file.execute("UPDATE summary SET columns = ?1", params![hidden]).unwrap();
    assert_eq!(total(), summary::ROWS, "a row is hidden");
    assert_eq!(found(&place), ["4096 what queries look at for rows 1 to 4096 is not what these rows say"]);
    file.execute("UPDATE summary SET columns = x'00'", []).unwrap();
    let error =
        read::query(&place.settings.path, &place.settings.anchors, &AuditQuery::default(), Events::Calls).unwrap_err();
    assert!(error.to_string().ends_with("is damaged: the summary of the rows up to 4096 is not one"), "{error}");
    file.execute("UPDATE summary SET columns = ?1, first_seq = 2", params![columns]).unwrap();
    assert_eq!(found(&place).len(), 2);
    file.execute("UPDATE summary SET first_seq = 1, last_seq = 9000", []).unwrap();
    assert!(found(&place).contains(&"- queries look at rows that are not there".to_owned()));
}
