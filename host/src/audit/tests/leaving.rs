//! Callers that go away: no row and no lead is lost with them.

#![allow(
    clippy::await_holding_lock,
    reason = "a writer that somebody else holds is what is tested; nothing waits for it meanwhile"
)]

use std::{pin::Pin, task::Poll};

use super::*;

type Recording<'a> = Pin<Box<dyn Future<Output = Result<(), AuditError>> + Send + 'a>>;

async fn poll_once(recording: &mut Recording<'_>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(recording.as_mut().poll(context).is_ready())).await
}

/// Recordings of which the first leads and is held up by a writer that somebody else has, and the others wait.
async fn begin<'a>(audit: &'a Audit, names: &[&str]) -> Vec<Recording<'a>> {
    let mut recordings: Vec<Recording<'a>> = Vec::new();
    for name in names {
        let mut recording: Recording<'a> = Box::pin(audit.record(row(*name)));
        assert!(!poll_once(&mut recording).await);
        recordings.push(recording);
    }
    recordings
}

async fn wait_for_rows(place: &Place, count: u64) {
    for _ in 0..500 {
        if read::query(&place.settings.path, &place.settings.anchors, &AuditQuery::default(), Events::All)
            .unwrap()
            .total
            == count
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} rows instead of {count}", place.all().total);
}

#[tokio::test]
async fn rows_of_callers_that_left_are_written() {
    // Which of the four callers leave, and when: before the writer is free, or after it was.
    for leaving in 0..16_u32 {
        for late in [false, true] {
            let place = Place::new();
            let audit = place.audit();
            audit.record(row("0")).await.unwrap();
            let held = audit.shared.writer();
            let mut recordings: Vec<Option<Recording>> =
                begin(&audit, &["1", "2", "3", "4"]).await.into_iter().map(Some).collect();
            let leave = |recordings: &mut Vec<Option<Recording>>| {
                for (n, recording) in recordings.iter_mut().enumerate() {
                    if leaving & (1 << n) != 0 {
                        *recording = None;
                    }
                }
            };
            if !late {
                leave(&mut recordings);
            }
            drop(held);
            if late {
                // The first batch is done and the lead was offered to the second caller, who has not looked yet.
                wait_for_rows(&place, 2).await;
                leave(&mut recordings);
            }
            for recording in recordings.into_iter().flatten() {
                tokio::time::timeout(Duration::from_secs(10), recording).await.expect("no lead was lost").unwrap();
            }
            wait_for_rows(&place, 5).await;
            tokio::time::timeout(Duration::from_secs(10), audit.record(row("5")))
                .await
                .expect("no lead was lost")
                .unwrap();
            drop(audit);
            assert_eq!(place.good_rows(), 6, "leaving {leaving:04b}, late {late}");
        }
    }
}

/// A runtime that is shut down drops what its blocking threads did not begin.
#[tokio::test]
async fn rows_survive_the_end_of_a_runtime() {
    let place = Place::new();
    let audit = place.audit();
    let doomed = audit.clone();
    let thread = std::thread::spawn(move || {
        for _ in 0..20 {
            let runtime =
                tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap();
            // The one blocking thread is busy, so that the batch is never begun.
            let (release, blocked) = std::sync::mpsc::channel::<()>();
            runtime.spawn_blocking(move || blocked.recv().is_err());
            let held = doomed.shared.writer();
            runtime.block_on(async { drop(begin(&doomed, &["a", "b", "c"]).await) });
            drop(held);
            runtime.shutdown_background();
            drop(release);
        }
    });
    thread.join().unwrap();
    wait_for_rows(&place, 60).await;
    drop(audit);
    assert_eq!(place.good_rows(), 60);
}
