//! The log as its users see it: what is written is there, in a chain, whatever happens on the way.

use super::*;

/// A row with something in every column.
pub(super) fn full_row() -> Row {
    Row {
        event: Event::Call,
        tenant_id: "acme".into(),
        run_id: "run \"1\" \u{1f600}".into(),
        actor: "ann".into(),
        tool: "pay.money.send".into(),
        pack: "pay".into(),
        pack_version: "1.2.3".into(),
        pack_hash: rig_specs::Sha256::of(b"pack").to_string().into(),
        interface_hash: rig_specs::Sha256::of(b"interface").to_string().into(),
        input_hash: rig_specs::Sha256::of(b"input").to_string(),
        outcome: Some(Outcome::Error),
        error_type: Some(ErrorKind::UpstreamError),
        duration_us: 1_234_567,
        auth: vec!["env:PAY_KEY".into()],
        egress: vec![Sent {
            host: "api.example.com".into(),
            method: "POST".into(),
            status: Some(500),
            error: None,
            bytes_sent: 12,
            bytes_received: 3_000_000_000,
        }],
        decision: Some(Decision {
            approval: rig_specs::Sha256::of(b"token").to_string(),
            decision: "approved".into(),
            by: "bob".into(),
        }),
        isolation: "sandbox",
        args: Some(serde_json::json!({ "z": 1.5, "a": ["x\n", null] }).as_object().unwrap().clone()),
    }
}

use std::{fs, sync::atomic::Ordering, time::Duration};

use rig_specs::rgp::{AuditPage, AuditQuery};
use rusqlite::Connection;

use read::{Events, verify};

mod attacks;
mod crash;
mod failures;
mod journals;
mod leaving;
mod queries;
mod removing;
mod speed;

/// A log in a folder of its own.
pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
    pub(super) settings: Settings,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("project/.rig/audit.sqlite");
        let settings = Settings { path, anchors: folder.path().join("home/audit"), retention_days: None };
        Self { folder, settings }
    }

    pub(super) fn audit(&self) -> Audit {
        Audit::new(self.settings.clone())
    }

    /// As a gateway has it: with a journal.
    pub(super) fn long_lived(&self) -> Audit {
        let audit = self.audit();
        audit.start_upkeep();
        audit
    }

    pub(super) fn query(&self, query: &AuditQuery) -> AuditPage {
        read::query(&self.settings.path, &self.settings.anchors, query, Events::Calls).unwrap()
    }

    pub(super) fn all(&self) -> AuditPage {
        let query = AuditQuery { limit: Some(1000), ..AuditQuery::default() };
        read::query(&self.settings.path, &self.settings.anchors, &query, Events::All).unwrap()
    }

    pub(super) fn verify(&self) -> verify::Report {
        verify::verify(&self.settings.path, &self.settings.anchors).unwrap()
    }

    /// Fails unless the log verifies, and gives its number of rows.
    pub(super) fn good_rows(&self) -> u64 {
        let report = self.verify();
        assert_eq!(report.problems, []);
        assert_eq!((report.ok, report.anchor), (true, verify::AnchorState::Matches));
        report.rows
    }

    /// The file as somebody has it who is not rig.
    pub(super) fn attacker(&self) -> Connection {
        Connection::open(&self.settings.path).unwrap()
    }
}

/// A row that is easily told from others.
pub(super) fn row(name: impl Into<String>) -> Row {
    Row { run_id: name.into(), tool: "p.x.y".into(), outcome: Some(Outcome::Ok), ..Row::default() }
}

/// A log in another process's hands: opened by itself, knowing nothing of the other handles here.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_row_of_many_writers_is_in_one_chain() {
    let place = Place::new();
    let handles = [place.audit(), place.long_lived()];
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..32 {
        let audit = handles[task % 2].clone();
        tasks.spawn(async move {
            for n in 0..50 {
                audit.record(row(format!("{task}/{n}"))).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(place.good_rows(), 1600);
    let page = place.all();
    assert_eq!((page.total, page.entries.len(), page.has_more), (1600, 1000, true));
    // What one task wrote stands in the order in which it wrote.
    for task in 0..32 {
        let prefix = format!("{task}/");
        let own: Vec<u32> =
            page.entries.iter().filter_map(|entry| entry.run_id.strip_prefix(&prefix)?.parse().ok()).collect();
        assert!(own.is_sorted_by(|a, b| a > b), "newest first: {own:?}");
    }
}

#[tokio::test]
async fn a_row_comes_back_as_it_was_written() {
    let place = Place::new();
    place.audit().record(full_row()).await.unwrap();
    let page = place.query(&AuditQuery::default());
    assert_eq!((page.total, page.has_more), (1, false));
    let (entry, row) = (&page.entries[0], full_row());
    assert_eq!(
        (entry.seq, entry.event.as_str(), entry.prev_hash.as_str()),
        (1, "call", &*chain::Link::origin().hash.to_string())
    );
    assert_eq!(entry.prev_hash, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(
        (&entry.tenant_id, &entry.run_id, &entry.actor, &entry.tool),
        (&row.tenant_id, &row.run_id, &row.actor, &row.tool)
    );
    assert_eq!(
        [&*entry.pack, &entry.pack_version, &entry.pack_hash, &entry.interface_hash, &entry.input_hash],
        [&*row.pack, &row.pack_version, &row.pack_hash, &row.interface_hash, &row.input_hash]
    );
    assert_eq!(
        (entry.outcome, entry.error_type, entry.isolation.as_str()),
        (row.outcome, row.error_type, row.isolation)
    );
    assert_eq!(
        (&entry.auth, &entry.egress, &entry.decision, &entry.args),
        (&row.auth, &row.egress, &row.decision, &row.args)
    );
    assert!((entry.duration_ms - 1234.567).abs() < f64::EPSILON);
    let written: Timestamp = entry.timestamp.parse().unwrap();
    assert!(Timestamp::now().duration_since(written).as_secs() < 60);
}

#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let audit = place.audit();
    audit.record(row("1")).await.unwrap();
    for file in [place.settings.path.clone(), log::wal_path(&place.settings.path), place.settings.anchors.join("key")] {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    assert_eq!(fs::metadata(&place.settings.anchors).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn durable_rows_are_synced_and_others_are_not() {
    let place = Place::new();
    let audit = place.audit();
    audit.record(row("1")).await.unwrap();
    assert_eq!(audit.shared.status.synced(), 0);
    audit.record_durably(Row { event: Event::Intent, ..row("2") }).await.unwrap();
    assert_eq!(audit.shared.status.synced(), 2);
    audit.record(row("3")).await.unwrap();
    assert_eq!(audit.shared.status.synced(), 2);
    drop(audit);
    let report = place.verify();
    assert!(report.ok);
    let open: Vec<_> = report.open_intents.iter().map(|intent| (intent.seq, intent.run_id.as_str())).collect();
    assert_eq!(open, [(2, "2")], "an intent without an outcome is reported");
    place.audit().record(row("2")).await.unwrap();
    assert_eq!(place.verify().open_intents, [], "with its outcome it is not");
}

/// What is left in the write-ahead log is bounded, however many short processes write.
#[tokio::test]
async fn short_processes_leave_little_behind() {
    let place = Place::new();
    let mut largest = 0;
    for n in 0..600 {
        let audit = place.audit();
        audit.record(row(n.to_string())).await.unwrap();
        drop(audit);
        largest = largest.max(fs::metadata(log::wal_path(&place.settings.path)).map_or(0, |metadata| metadata.len()));
    }
    assert!((500_000..1_200_000).contains(&largest), "{largest} bytes in the write-ahead log");
    assert_eq!(place.good_rows(), 600);
}

/// Under load the write-ahead log begins anew instead of growing for ever. Slow: it needs more than 64 MiB of it, and then as many rows
/// as come while the disk takes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_stays_bounded() {
    let place = Place::new();
    // Row by row: a journal would move a thousand with one change of each page.
    let audit = place.audit();
    let mut before = 0;
    let mut rows = 0_u64;
    loop {
        audit.record(row(rows.to_string())).await.unwrap();
        rows += 1;
        let pages = audit.shared.status.wal_pages.load(Ordering::Relaxed);
        if pages < before {
            break;
        }
        assert!(rows < 1_000_000, "{pages} pages");
        before = pages;
    }
    assert!(before > 16_000, "{before} pages");
    drop(audit);
    let left = fs::metadata(log::wal_path(&place.settings.path)).map_or(0, |metadata| metadata.len());
    // As large as it ever was: what begins anew writes over it. A page has a frame of 24 bytes around it.
    assert!(left <= (before + 1000) * (4096 + 24), "{left} bytes");
    assert_eq!(place.good_rows(), rows);
    let summarised = summary::last(&place.attacker()).unwrap();
    assert!(summarised + 2 * summary::ROWS > rows, "{summarised} of {rows}");
}
