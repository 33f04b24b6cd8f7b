//! Rows come back from a journal as they were put in, around its end too, and nothing that was changed is believed.

use jiff::Timestamp;

use super::*;
use crate::audit::{Row, tests::full_row};

fn key(text: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, text)
}

fn stored(name: &str) -> Stored {
    Stored::new(Row { run_id: name.into(), ..full_row() }, Timestamp::UNIX_EPOCH)
}

/// Appends with the time that the row has already.
fn append(journal: &mut Journal, row: &Stored, moved: Place) -> Result<(), Refused> {
    journal.append(&mut Encoded::new(row), row.at, moved)
}

/// The ids of the rows from a place on, how reading ended, and where.
fn read(left: &Left, from: Place, most: u64) -> (Vec<String>, End, Place) {
    let mut rows = left.rows(from, most);
    let mut ids = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        ids.push(row.run_id.to_owned());
    }
    (ids, rows.end(), rows.place())
}

fn open(log: &Path, journal_id: &str) -> Left {
    Left::open(log, journal_id, key(b"k")).unwrap().unwrap()
}

#[test]
fn rows_come_back_as_they_were_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut journal = Journal::create(&log, key(b"k")).unwrap();
    assert_eq!(ids(&log), [journal.id().to_string()]);
    let left = open(&log, journal.id());
    assert_eq!(read(&left, Place::default(), 9), (vec![], End::All, Place::default()));
    let rows = [stored("1"), Stored::new(Row::default(), Timestamp::now()), stored("ü\u{0}\n")];
    for row in &rows {
        append(&mut journal, row, Place::default()).unwrap();
    }
    for left in [&left, &journal.left()] {
        let mut given = left.rows(Place::default(), u64::MAX);
        for row in &rows {
            assert_eq!(given.next().unwrap(), Some(row.view()));
        }
        assert_eq!(given.next().unwrap(), None);
        assert_eq!((given.end(), given.place()), (End::All, journal.end()));
    }
    // From the middle, and some at a time.
    let (first, end, place) = read(&left, Place::default(), 1);
    assert_eq!((first, end, place.rows), (vec!["1".to_owned()], End::Enough, 1));
    let (others, end, place) = read(&left, place, 9);
    assert_eq!((others.len(), end, place), (2, End::All, journal.end()));
    assert!(!left.is_abandoned(), "its process lives");
    drop(journal);
    assert!(left.is_abandoned());
}

#[test]
fn what_has_moved_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut journal = Journal::create(&log, key(b"k")).unwrap();
    let left = open(&log, journal.id());
    let wide = Row { actor: "x".repeat(10_000), ..full_row() };
    let (mut moved, mut number) = (Place::default(), 0);
    // Three times around, and rows lie across the end of the ring.
    while journal.end().bytes < 3 * journal.ring.reader().size() {
        let mut expected = Vec::new();
        loop {
            let row = Stored::new(Row { run_id: number.to_string(), ..wide.clone() }, Timestamp::UNIX_EPOCH);
            match append(&mut journal, &row, moved) {
                Ok(()) => expected.push(number.to_string()),
                Err(Refused::Full) => break,
                Err(Refused::Failed(error)) => panic!("{error}"),
            }
            number += 1;
        }
        assert!(expected.len() > 300, "{}", expected.len());
        let (ids, end, place) = read(&left, moved, u64::MAX);
        assert_eq!((ids, end, place), (expected, End::All, journal.end()));
        moved = place;
    }
    let huge = Stored::new(Row { actor: "x".repeat(5 << 20), ..full_row() }, Timestamp::UNIX_EPOCH);
    let all = journal.end();
    assert!(matches!(append(&mut journal, &huge, all), Err(Refused::Full)), "larger than the ring");
    assert_eq!(read(&left, moved, 9), (vec![], End::All, moved));
}

#[test]
fn changed_bytes_end_what_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut journal = Journal::create(&log, key(b"k")).unwrap();
    let file = path(&log, journal.id());
    let start = usize::try_from(fs::metadata(&file).unwrap().len() - journal.ring.reader().size()).unwrap();
    let mut ends = vec![start];
    let mut older = Vec::new();
    for name in ["1", "2", "3"] {
        append(&mut journal, &stored(name), Place::default()).unwrap();
        ends.push(start + usize::try_from(journal.end().bytes).unwrap());
        older.push(fs::read(&file).unwrap());
    }
    let good = fs::read(&file).unwrap();
    let believed = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let (rows, end, _) = read(&open(&log, journal.id()), Place::default(), u64::MAX);
        (rows.len(), end)
    };
    for at in (0..MAGIC.len()).chain(start..ends[3] + HEAD) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let whole = ends[1..].iter().filter(|end| **end <= at).count();
        let expected = if at < MAGIC.len() { 0 } else { whole };
        assert_eq!(believed(&bad), (expected, End::Torn), "byte {at}");
    }
    let part = |from: usize, to: usize| good[ends[from]..ends[to]].to_vec();
    let rest = |from: usize| good[ends[from]..].to_vec();
    let cut = |to: usize, fill: u8| [good[..ends[to]].to_vec(), vec![fill; good.len() - ends[to]]].concat();
    for (attack, bytes, expected) in [
        ("the control", good.clone(), (3, End::All)),
        ("taken out", [good[..start].to_vec(), part(0, 1), part(2, 3), rest(3)].concat(), (1, End::Torn)),
        ("moved", [good[..start].to_vec(), part(1, 2), part(0, 1), part(2, 3), rest(3)].concat(), (0, End::Torn)),
        ("said twice", [good[..start].to_vec(), part(0, 1), part(0, 1), rest(3)].concat(), (1, End::Torn)),
        ("cut in a row", good[..ends[3] - 1].to_vec(), (2, End::Torn)),
        ("zeros after a row", cut(2, 0), (2, End::Torn)),
        ("marks after a row", cut(2, 255), (2, End::Torn)),
        ("the end moved", [good[..ends[2]].to_vec(), rest(3)].concat(), (2, End::Torn)),
        ("empty", Vec::new(), (0, End::Torn)),
        // Who kept an older state can bring it back: nobody sees that from the journal alone.
        ("an older state", older[1].clone(), (2, End::All)),
    ] {
        assert_eq!(believed(&bytes), expected, "{attack}");
    }
    fs::write(&file, &good).unwrap();
    let guess = Left::open(&log, journal.id(), key(b"guess")).unwrap().unwrap();
    assert_eq!(read(&guess, Place::default(), 9).1, End::Torn, "another key");
}
