//! Queries and exports, against a look at every row.

use rig_specs::rgp::AuditEntry;

use super::*;
use read::export::{Format, export};

/// Rows of some tenants, actors and tools, two summaries and a rest, a second apart; every seventh failed, every ninth an intent.
fn filled(count: u64) -> (Place, Timestamp) {
    let place = Place::new();
    let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    let mut log = log::Log::open(&place.settings.path, &Arc::default()).unwrap();
    let stored = |n: u64| {
        let row = Row {
            event: if n.is_multiple_of(9) { Event::Intent } else { Event::Call },
            tenant_id: format!("t{}", n % 3),
            actor: format!("a{}", n % 5),
            tool: format!("p.x.{}", n % 11),
            outcome: (!n.is_multiple_of(9)).then_some(if n.is_multiple_of(7) { Outcome::Error } else { Outcome::Ok }),
            ..row(n.to_string())
        };
        chain::Stored::new(row, start + Duration::from_secs(n))
    };
    let mut rows: Vec<_> = (1..=count).map(stored).collect();
    log.append(rows.iter_mut()).unwrap();
    while summary::make_next(&mut log, || ()).unwrap() {}
    (place, start)
}

#[test]
fn filters_are_exact() {
    let (place, start) = filled(9000);
    assert_eq!(summary::last(&place.attacker()).unwrap(), 8192);
    let mut out = Vec::new();
    export(
        &place.settings.path,
        &place.settings.anchors,
        &AuditQuery::default(),
        Events::All,
        Format::JsonLines,
        &mut out,
    )
    .unwrap();
    let rows: Vec<AuditEntry> =
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 9000);
    let text = |text: &str| Some(text.to_owned());
    let after = |seconds: u64| Some((start + Duration::from_secs(seconds)).to_string());
    let any = AuditQuery::default;
    for query in [
        any(),
        AuditQuery { tenant_id: text("t1"), ..any() },
        AuditQuery { tenant_id: text("t1"), actor: text("a2"), tool_name: text("p.x.4"), ..any() },
        AuditQuery { ok: Some(true), ..any() },
        AuditQuery { ok: Some(false), tool_name: text("p.x.0"), ..any() },
        AuditQuery { tool_name: text("p.x"), ..any() },
        AuditQuery { start_time: after(8000), ..any() },
        AuditQuery { start_time: after(100), end_time: after(5000), ok: Some(false), limit: Some(7), ..any() },
        AuditQuery { end_time: after(1), ..any() },
        AuditQuery { start_time: after(9000), end_time: after(9001), ..any() },
    ] {
        for events in [Events::Calls, Events::All] {
            let wanted = |entry: &&AuditEntry| {
                let given =
                    |wanted: &Option<String>, found: &String| wanted.as_ref().is_none_or(|wanted| wanted == found);
                let at: Timestamp = entry.timestamp.parse().unwrap();
                let time = |text: &Option<String>| text.as_ref().map(|text| text.parse::<Timestamp>().unwrap());
                given(&query.tenant_id, &entry.tenant_id)
                    && given(&query.actor, &entry.actor)
                    && given(&query.tool_name, &entry.tool)
                    && query.ok.is_none_or(|ok| ok == (entry.outcome == Some(Outcome::Ok)))
                    && time(&query.start_time).is_none_or(|start| at >= start)
                    && time(&query.end_time).is_none_or(|end| at < end)
                    && (events == Events::All || entry.event == "call")
            };
            let expected: Vec<&AuditEntry> = rows.iter().rev().filter(wanted).collect();
            let page = read::query(&place.settings.path, &place.settings.anchors, &query, events).unwrap();
            let limit = query.limit.unwrap_or(100) as usize;
            assert_eq!(page.total, expected.len() as u64, "{query:?}");
            assert_eq!(page.entries.iter().collect::<Vec<_>>(), expected[..limit.min(expected.len())], "{query:?}");
            assert_eq!(page.has_more, expected.len() > limit);
            let mut out = Vec::new();
            let count =
                export(&place.settings.path, &place.settings.anchors, &query, events, Format::Csv, &mut out).unwrap();
            assert_eq!(count, query.limit.map_or(page.total, |limit| page.total.min(limit.into())));
        }
    }
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let place = Place::new();
    let any = AuditQuery::default;
    let text = |text: &str| Some(text.to_owned());
    for (query, expected) in [
        (AuditQuery { limit: Some(0), ..any() }, "limit is 0: it must be between 1 and 1000"),
        (AuditQuery { limit: Some(1001), ..any() }, "limit is 1001: it must be between 1 and 1000"),
        (
            AuditQuery { start_time: text("yester\u{1b}day"), ..any() },
            "start_time is `yester\\u{1b}day`, which is no RFC 3339 time such as 2026-11-21T10:00:00Z",
        ),
        (
            AuditQuery { end_time: text("2026-11-21"), ..any() },
            "end_time is `2026-11-21`, which is no RFC 3339 time such as 2026-11-21T10:00:00Z",
        ),
        (
            AuditQuery { start_time: text("2026-11-21T00:00:01Z"), end_time: text("2026-11-21T00:00:00Z"), ..any() },
            "start_time is after end_time: no row can match",
        ),
    ] {
        let error = read::query(&place.settings.path, &place.settings.anchors, &query, Events::Calls).unwrap_err();
        assert_eq!(error, AuditError::Query { why: expected.into() });
    }
}

#[tokio::test]
async fn cells_of_a_spreadsheet_are_inert() {
    let place = Place::new();
    let audit = place.audit();
    let formulas = ["=1+1", "+1", "-1", "@x", "\tx", "\rx"];
    for formula in formulas {
        let row = Row { actor: formula.into(), tool: "a,\"b\"\nc".into(), ..full_row() };
        audit.record(row).await.unwrap();
    }
    drop(audit);
    let mut out = Vec::new();
    assert_eq!(
        export(
            &place.settings.path,
            &place.settings.anchors,
            &AuditQuery::default(),
            Events::Calls,
            Format::Csv,
            &mut out
        ),
        Ok(6)
    );
    let mut reader = csv::Reader::from_reader(&*out);
    let heading = reader.headers().unwrap().clone();
    let column = |name: &str| heading.iter().position(|found| found == name).unwrap();
    let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    for (record, formula) in records.iter().zip(formulas) {
        assert_eq!(record[column("actor")], format!("'{formula}"));
        assert_eq!(&record[column("tool")], "a,\"b\"\nc");
        assert_eq!(&record[column("auth")], "env:PAY_KEY");
        assert_eq!(&record[column("duration_ms")], "1234.567");
        let cells = record.iter().filter(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
        assert_eq!(cells.count(), 0, "{record:?}");
    }
}

/// An exported log can be checked by anybody: sha256 over the hash before and the canonical JSON of the rest.
#[tokio::test]
async fn an_export_verifies_without_rig() {
    let place = Place::new();
    let audit = place.audit();
    for _ in 0..3 {
        audit.record(full_row()).await.unwrap();
    }
    drop(audit);
    let mut out = Vec::new();
    export(
        &place.settings.path,
        &place.settings.anchors,
        &AuditQuery::default(),
        Events::All,
        Format::JsonLines,
        &mut out,
    )
    .unwrap();
    let mut previous = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned();
    for line in String::from_utf8(out).unwrap().lines() {
        let mut entry: Map<String, Value> = serde_json::from_str(line).unwrap();
        let (hash, before) = (entry.remove("hash").unwrap(), entry.remove("prev_hash").unwrap());
        assert_eq!(before, previous);
        let canonical = rig_specs::digest::canonical_json(&Value::Object(entry));
        assert_eq!(hash, rig_specs::Sha256::of(format!("{previous}{canonical}").as_bytes()).to_string());
        previous = hash.as_str().unwrap().to_owned();
    }
}
