//! Every way to approve what nobody approved fails with its own error; the control shows what would happen without the seal.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    sync::Barrier,
};

use rusqlite::Connection;
use serde_json::json;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("project/.rig/approvals.sqlite")
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("home/keys")
    }

    fn approvals(&self) -> Approvals {
        Approvals::new(self.path(), self.keys())
    }

    fn attack(&self, sql: &str) {
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }
}

fn bound(tenant: &str, amount: u32) -> Bound {
    let args = json!({ "amount": amount });
    Bound {
        tenant_id: tenant.into(),
        actor: "ann".into(),
        request_id: "r1".into(),
        tool: "pay.money.send".into(),
        risk_class: RiskClass::Money,
        pack_hash: Sha256::of(b"pack"),
        policy_hash: Sha256::of(b"policy"),
        args: args.to_string(),
        shown_args: args.as_object().unwrap().clone(),
    }
}

fn unknown<T>() -> Result<T, ApprovalError> {
    not_found("it was never given out")
}

#[test]
fn a_call_waits_is_shown_and_is_claimed_once() {
    let place = Place::new();
    let approvals = place.approvals();
    assert_eq!(approvals.list(None), Ok(vec![]));
    assert!(!place.path().exists(), "looking makes nothing");
    let now: Timestamp = "2026-11-21T10:00:00.25Z".parse().unwrap();
    let first = approvals.request_at(&bound("acme", 1), 15 * MINUTE, now).unwrap();
    assert_eq!(
        first,
        ApprovalRequired {
            token: first.token.clone(),
            tool_name: "pay.money.send".into(),
            risk_class: RiskClass::Money,
            args: bound("acme", 1).shown_args,
            tenant_id: "acme".into(),
            actor: "ann".into(),
            requested_at: "2026-11-21T10:00:00Z".into(),
            expires_at: "2026-11-21T10:15:00Z".into(),
        }
    );
    let second = approvals.request_at(&bound("other", 2), 15 * MINUTE, now + Duration::from_secs(1)).unwrap();
    assert_ne!(first.token, second.token);
    // A new process.
    let approvals = place.approvals();
    let later = now + MINUTE;
    assert_eq!(approvals.list_at(None, later), Ok(vec![first.clone(), second.clone()]));
    assert_eq!(approvals.list_at(Some("other"), later), Ok(vec![second]));
    assert_eq!(approvals.get_at(&first.token, Some("acme"), later), Ok(bound("acme", 1)));
    assert_eq!(approvals.claim_at(&first.token, "bob", later), Ok(()));
    assert_eq!(approvals.claim_at(&first.token, "bob", later), not_found("it was approved already"));
    assert_eq!(approvals.get_at(&first.token, None, later), not_found("it was approved already"));
    assert_eq!(approvals.deny(&first.token, None, "bob"), not_found("it was approved already"));
    assert_eq!(approvals.list_at(None, later).unwrap().len(), 1);
}

#[test]
fn neither_token_nor_call_can_be_read_from_the_file() {
    let place = Place::new();
    let approvals = place.approvals();
    let token = approvals.request(&bound("acme", 77_123_456), MINUTE).unwrap().token;
    for ending in ["", "-wal"] {
        let file = place.path().with_file_name(format!("approvals.sqlite{ending}"));
        let bytes = fs::read(&file).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!holds(&token) && !holds("77123456") && !holds("pay.money.send"), "{ending}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(place.keys()).unwrap().permissions().mode() & 0o777, 0o700);
    let wal = fs::read(place.path().with_file_name("approvals.sqlite-wal")).unwrap();
    let hash = Sha256::of(token.as_bytes());
    assert!(wal.windows(32).any(|part| part == hash.as_bytes()), "the control: this is where the row is");
}

#[test]
fn a_denied_call_stays_denied() {
    let place = Place::new();
    let approvals = place.approvals();
    let token = approvals.request(&bound("acme", 1), MINUTE).unwrap().token;
    assert_eq!(approvals.deny(&token, Some("other"), "eve"), unknown());
    assert_eq!(approvals.deny(&token, Some("acme"), "bob"), Ok(bound("acme", 1)));
    assert_eq!(approvals.claim(&token, "bob"), not_found("it was denied"));
    assert_eq!(approvals.deny(&token, None, "bob"), not_found("it was denied"));
    assert_eq!(approvals.get(&token, None), not_found("it was denied"));
    // To another tenant it is as unknown as before.
    assert_eq!(approvals.get(&token, Some("other")), unknown());
}

#[test]
fn what_is_no_token_is_unknown_without_a_look() {
    // A folder in the place of the file: any look at it would be another error.
    let place = Place::new();
    fs::create_dir_all(place.path()).unwrap();
    let approvals = place.approvals();
    let good = Uuid::new_v4().to_string();
    for token in ["", "x", "../../etc/passwd", &good.to_uppercase(), &good.replace('-', ""), &format!("{{{good}}}")] {
        assert_eq!(approvals.get(token, None), unknown(), "{token}");
        assert_eq!(approvals.claim(token, "bob"), unknown(), "{token}");
        assert_eq!(approvals.deny(token, None, "bob"), unknown(), "{token}");
    }
    assert!(matches!(approvals.get(&good, None), Err(ApprovalError::Store { .. })), "the control");
    assert_eq!(Place::new().approvals().get(&good, None), unknown(), "without a file nothing was ever given out");
}

#[test]
fn an_expired_call_does_not_come_back_with_the_clock() {
    let place = Place::new();
    let approvals = place.approvals();
    let now = Timestamp::now();
    let seen = approvals.request_at(&bound("acme", 1), MINUTE, now).unwrap().token;
    assert_eq!(approvals.get_at(&seen, None, now + MINUTE - Duration::from_micros(2)), Ok(bound("acme", 1)));
    assert_eq!(approvals.claim_at(&seen, "bob", now + MINUTE), not_found("it expired"));
    assert_eq!(approvals.claim_at(&seen, "bob", now), not_found("it expired"), "though the clock is back");
    assert_eq!(approvals.get_at(&seen, Some("other"), now), unknown());
    let listed = approvals.request_at(&bound("acme", 2), MINUTE, now).unwrap().token;
    assert_eq!(approvals.list_at(None, now + MINUTE), Ok(vec![]));
    assert_eq!(approvals.claim_at(&listed, "bob", now), not_found("it expired"));
}

#[test]
fn a_row_that_was_changed_is_not_used() {
    let place = Place::new();
    for (attack, expected) in [
        // The control: the row as it is.
        ("SELECT 1", Ok(())),
        // The call of another row: a small amount was shown, a large one would be paid.
        (
            "UPDATE approval SET sealed = (SELECT sealed FROM approval WHERE tenant_id = 'big') WHERE tenant_id = 'acme'",
            Err(ApprovalError::Broken),
        ),
        ("UPDATE approval SET expires_at = expires_at + 1000000 WHERE tenant_id = 'acme'", Err(ApprovalError::Broken)),
        ("UPDATE approval SET requested_at = requested_at + 1 WHERE tenant_id = 'acme'", Err(ApprovalError::Broken)),
        ("UPDATE approval SET tenant_id = 'eve' WHERE tenant_id = 'acme'", Err(ApprovalError::Broken)),
        (
            "UPDATE approval SET sealed = CAST(sealed || x'00' AS BLOB) WHERE tenant_id = 'acme'",
            Err(ApprovalError::Broken),
        ),
        ("UPDATE approval SET sealed = x'' WHERE tenant_id = 'acme'", Err(ApprovalError::Broken)),
        ("UPDATE approval SET sealed = zeroblob(length(sealed)) WHERE tenant_id = 'acme'", Err(ApprovalError::Broken)),
        ("UPDATE approval SET state = 'approved' WHERE tenant_id = 'acme'", not_found("it was approved already")),
        ("DELETE FROM approval WHERE tenant_id = 'acme'", unknown()),
    ] {
        let approvals = place.approvals();
        let token = approvals.request(&bound("acme", 1), MINUTE).unwrap().token;
        approvals.request(&bound("big", 1_000_000), MINUTE).unwrap();
        place.attack(attack);
        assert_eq!(approvals.get(&token, None).map(drop), expected, "{attack}");
        let listed = approvals.list(None).unwrap();
        assert_eq!(listed.iter().any(|waiting| waiting.token == token), expected.is_ok(), "{attack}");
        assert!(listed.iter().any(|waiting| waiting.tenant_id == "big"), "others are still listed: {attack}");
        assert_eq!(approvals.claim(&token, "bob"), expected, "{attack}");
        place.attack("DELETE FROM approval");
    }
}

/// The control of the test above: without the frame in the seal, a row with another tenant and a later end opens.
#[test]
fn the_seal_is_what_binds() {
    let place = Place::new();
    let seal = Seal::new(&place.keys()).unwrap();
    let frame = |tenant: &str, expires_at| Frame {
        token_hash: Sha256::of(b"t"),
        tenant_id: tenant.into(),
        requested_at: 1,
        expires_at,
    };
    let (mine, other) = (frame("acme", 2), frame("eve", 3));
    let sealed = seal.close(&mine, b"call".to_vec()).unwrap();
    assert_eq!(seal.open(&mine, &sealed).as_deref(), Some(&b"call"[..]));
    assert_eq!(seal.open(&other, &sealed), None);
    let unbound = seal.close(&frame("", 0), b"call".to_vec()).unwrap();
    assert_eq!(
        seal.open(&frame("", 0), &unbound).as_deref(),
        Some(&b"call"[..]),
        "one frame for all rows binds nothing"
    );
    assert_ne!(seal.close(&mine, b"call".to_vec()), Some(sealed), "no nonce is used twice");
}

#[test]
fn a_used_token_stays_used_whatever_is_put_back() {
    for (decide, expected) in [("claim", "it was approved already"), ("deny", "it was denied")] {
        let place = Place::new();
        let approvals = place.approvals();
        let token = approvals.request(&bound("acme", 1), MINUTE).unwrap().token;
        place.attack("CREATE TABLE before AS SELECT * FROM approval");
        match decide {
            "claim" => approvals.claim(&token, "bob").unwrap(),
            _ => approvals.deny(&token, None, "bob").map(drop).unwrap(),
        }
        place.attack("UPDATE approval SET state = 'waiting'");
        assert_eq!(approvals.claim(&token, "eve"), not_found(expected));
        place.attack("DELETE FROM approval; INSERT INTO approval SELECT * FROM before");
        assert_eq!(approvals.claim(&token, "eve"), not_found(expected));
        assert_eq!(place.approvals().get(&token, None), not_found(expected));
        assert_eq!(approvals.list(None), Ok(vec![]));
        // The control: without the mark, the row that was put back is approved again.
        fs::remove_dir_all(place.keys().join("used")).unwrap();
        assert_eq!(approvals.claim(&token, "eve"), Ok(()));
    }
}

#[test]
fn another_machine_cannot_use_the_file() {
    let place = Place::new();
    let token = place.approvals().request(&bound("acme", 1), MINUTE).unwrap().token;
    let elsewhere = Approvals::new(place.path(), place.folder.path().join("other-home/keys"));
    assert_eq!(elsewhere.claim(&token, "eve"), Err(ApprovalError::Broken));
    assert_eq!(elsewhere.list(None), Ok(vec![]));
    assert_eq!(place.approvals().claim(&token, "bob"), Ok(()), "the control");
}

#[test]
fn one_of_a_hundred_racing_threads_wins() {
    let place = Place::new();
    for shared in [true, false] {
        let approvals = place.approvals();
        let token = approvals.request(&bound("acme", 1), MINUTE).unwrap().token;
        let barrier = Barrier::new(100);
        let results: Vec<_> = std::thread::scope(|scope| {
            let race = || {
                // The same handle, or one each, as other processes have.
                let own = place.approvals();
                barrier.wait();
                if shared { &approvals } else { &own }.claim(&token, "bob")
            };
            let threads: Vec<_> = (0..100).map(|_| scope.spawn(race)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        let lost = results.into_iter().filter(Result::is_err);
        assert!(lost.into_iter().all(|result| result == not_found("it was approved already")));
    }
}

const CHILD: &str = "RIG_TEST_APPROVAL";

#[test]
#[ignore = "the part of another test that runs in a process of its own"]
fn claims_in_a_process_of_its_own() {
    let Ok(given) = std::env::var(CHILD) else { return };
    let (folder, token) = given.split_once('|').unwrap();
    let folder = PathBuf::from(folder);
    let approvals = Approvals::new(folder.join("project/.rig/approvals.sqlite"), folder.join("home/keys"));
    let said =
        approvals.claim(token, "child").map_or_else(|error| format!("lost: {error}"), |()| "won the race".into());
    writeln!(std::io::stdout(), "{said}").unwrap();
}

#[test]
fn one_of_racing_processes_wins() {
    let place = Place::new();
    let token = place.approvals().request(&bound("acme", 1), MINUTE).unwrap().token;
    let start = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["approvals::tests::claims_in_a_process_of_its_own", "--exact", "--ignored", "--nocapture"]);
        command.env(CHILD, format!("{}|{token}", place.folder.path().display())).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let children: Vec<_> = (0..12).map(|_| start()).collect();
    let said: Vec<String> = children
        .into_iter()
        .map(|child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap())
        .collect();
    assert_eq!(said.iter().filter(|text| text.contains("won the race")).count(), 1, "{said:?}");
    let lost = "lost: no call waits for approval under this token: it was approved already";
    assert_eq!(said.iter().filter(|text| text.contains(lost)).count(), 11, "{said:?}");
}

#[test]
fn no_more_wait_than_may() {
    let place = Place::new();
    let approvals = place.approvals();
    let now = Timestamp::now();
    approvals.request_at(&bound("acme", 1), MINUTE, now).unwrap();
    place.attack(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MAX_WAITING})
         INSERT INTO approval SELECT randomblob(32), 'waiting', requested_at, expires_at, tenant_id, sealed, NULL, NULL
         FROM approval, n LIMIT {MAX_WAITING} - 1"
    ));
    let full = approvals.request_at(&bound("acme", 1), MINUTE, now).unwrap_err();
    assert_eq!(full, ApprovalError::Full);
    assert_eq!(full.to_string(), "10000 calls wait for approval already, which is the most that may");
    // Those that expired make room.
    approvals.request_at(&bound("acme", 1), MINUTE, now + MINUTE).unwrap();
}

#[test]
fn what_is_over_is_forgotten_after_a_week() {
    let place = Place::new();
    let approvals = place.approvals();
    let now = Timestamp::now();
    let day = Duration::from_hours(24);
    let used = approvals.request_at(&bound("acme", 1), MINUTE, now).unwrap().token;
    approvals.claim_at(&used, "bob", now).unwrap();
    let marks = || fs::read_dir(place.keys().join("used")).unwrap().count();
    approvals.request_at(&bound("acme", 2), MINUTE, now + 6 * day).unwrap();
    assert_eq!(approvals.get_at(&used, None, now + 6 * day), not_found("it was approved already"));
    assert_eq!(marks(), 1);
    approvals.request_at(&bound("acme", 3), MINUTE, now + 8 * day).unwrap();
    assert_eq!(approvals.get_at(&used, None, now + 8 * day), unknown());
    assert_eq!(marks(), 0);
}

#[test]
fn a_file_that_cannot_be_used_is_said_and_left_alone() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    fs::write(place.path(), vec![b'x'; 4096]).unwrap();
    let error = place.approvals().request(&bound("acme", 1), MINUTE).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the approvals in {} cannot be used: file is not a database", place.path().display())
    );
    assert_eq!(fs::read(place.path()).unwrap(), vec![b'x'; 4096]);

    let other = Place::new();
    fs::create_dir_all(other.path().parent().unwrap()).unwrap();
    other.attack("CREATE TABLE t (x)");
    let error = other.approvals().request(&bound("acme", 1), MINUTE).unwrap_err();
    assert!(error.to_string().ends_with("it is a database of another program or of a newer rig"), "{error}");
}
