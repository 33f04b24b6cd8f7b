//! Servers that cut, ignore ranges, lie about lengths and change what they have, and what comes of it: which requests are made, and what
//! is installed or said in the end.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};

use super::*;
use crate::{
    egress::RegistryRequest,
    install::{
        net::{Download, FromRegistry, NoAnswer, Rest, fake::run},
        store,
    },
};

const GOOD: &[u8] = b"0123456789";
const EVIL: &[u8] = b"xxxxxxxxxx";

/// How a server answers a request for the whole, or for the rest.
type Step = Box<dyn Fn(Option<&Rest>) -> Answer + Send + Sync>;

/// An answer; `stays` keeps the connection open after the last piece.
#[derive(Default)]
struct Answer {
    status: u16,
    length: Option<u64>,
    range: Option<String>,
    validator: Option<&'static str>,
    pieces: Vec<Result<Bytes, String>>,
    stays: bool,
}

fn piece(bytes: &[u8]) -> Vec<Result<Bytes, String>> {
    vec![Ok(Bytes::copy_from_slice(bytes))]
}

/// An honest server of a file.
fn file(bytes: &'static [u8], validator: Option<&'static str>) -> Step {
    Box::new(move |rest| {
        let size = bytes.len() as u64;
        let same = |rest: &&Rest| rest.validator.is_none() || rest.validator.as_deref() == validator;
        let Some(rest) = rest.filter(same) else {
            return Answer { status: 200, length: Some(size), validator, pieces: piece(bytes), ..Answer::default() };
        };
        if rest.from >= size {
            return Answer { status: 416, ..Answer::default() };
        }
        let range = Some(format!("bytes {}-{}/{size}", rest.from, size - 1));
        let from = usize::try_from(rest.from).unwrap();
        let length = Some(size - rest.from);
        Answer { status: 206, length, range, validator, pieces: piece(&bytes[from..]), ..Answer::default() }
    })
}

/// A server without ranges, which tells no length either.
fn plain(bytes: &'static [u8]) -> Step {
    Box::new(|_| Answer { status: 200, pieces: piece(bytes), ..Answer::default() })
}

fn status(status: u16) -> Step {
    Box::new(move |_| Answer { status, ..Answer::default() })
}

/// Changes what another one answers.
fn but(step: Step, change: impl Fn(&mut Answer) + Send + Sync + 'static) -> Step {
    Box::new(move |rest| {
        let mut answer = step(rest);
        change(&mut answer);
        answer
    })
}

fn first_bytes(answer: &mut Answer, most: usize) {
    let bytes = answer.pieces.remove(0).unwrap();
    answer.pieces = piece(&bytes[..most.min(bytes.len())]);
}

/// Breaks off after so many bytes.
fn cut(step: Step, after: usize) -> Step {
    but(step, move |answer| {
        first_bytes(answer, after);
        answer.pieces.push(Err("connection reset".into()));
    })
}

/// Says nothing more after so many bytes.
fn hangs(step: Step, after: usize) -> Step {
    but(step, move |answer| {
        first_bytes(answer, after);
        answer.stays = true;
    })
}

/// A part whose `Content-Range` says something else than it should.
fn range(text: &'static str, bytes: &'static [u8]) -> Step {
    Box::new(move |_| {
        let (range, length) = (Some(text.to_owned()).filter(|text| !text.is_empty()), Some(bytes.len() as u64));
        Answer { status: 206, length, range, pieces: piece(bytes), ..Answer::default() }
    })
}

/// Servers by the host of a URL. Each takes its steps in turn; after the last nothing answers.
#[derive(Default)]
struct Net {
    servers: Mutex<BTreeMap<String, VecDeque<Step>>>,
    asked: Mutex<Vec<String>>,
}

impl Downloader for Net {
    fn download<'a>(&'a self, url: &'a Url, rest: Option<&'a Rest>) -> BoxFuture<'a, Result<Download, NoAnswer>> {
        let host = url.host_str().unwrap().to_owned();
        let asked = match rest {
            None => host.clone(),
            Some(Rest { from, validator: None }) => format!("{host} {from}-"),
            Some(Rest { from, validator: Some(validator) }) => format!("{host} {from}- if {validator}"),
        };
        self.asked.lock().unwrap().push(asked);
        let step = self.servers.lock().unwrap().get_mut(&host).and_then(VecDeque::pop_front);
        let answer = step.map(|step| step(rest));
        async move {
            let none = || NoAnswer { why: "connection refused".into(), hint: None };
            let answer = answer.ok_or_else(none)?;
            let body = stream::iter(answer.pieces);
            let body = if answer.stays { body.chain(stream::pending()).boxed() } else { body.boxed() };
            Ok(Download {
                status: answer.status,
                content_length: answer.length,
                content_type: None,
                content_range: answer.range,
                validator: answer.validator.map(str::to_owned),
                url: url.clone(),
                body,
            })
        }
        .boxed()
    }

    fn registry<'a>(&'a self, _: &'a RegistryRequest) -> BoxFuture<'a, Result<FromRegistry, NoAnswer>> {
        async { Err(NoAnswer { why: "there is no registry here".into(), hint: None }) }.boxed()
    }
}

struct Setup {
    folder: tempfile::TempDir,
    home: Home,
    net: Net,
    told: Mutex<Vec<String>>,
}

fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("rig"));
    Setup { folder, home, net: Net::default(), told: Mutex::default() }
}

impl Setup {
    fn serve(&self, host: &str, steps: Vec<Step>) -> &Self {
        self.net.servers.lock().unwrap().insert(host.into(), steps.into());
        self
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.net.asked.lock().unwrap())
    }

    fn with<T>(&self, urls: &[&str], offline: bool, act: impl FnOnce(Fetcher<'_>, Vec<Url>) -> T) -> T {
        let urls = urls.iter().map(|url| url.parse().unwrap()).collect();
        let progress = |progress: Progress<'_>| match progress.event {
            Event::Continued(from) => self.told.lock().unwrap().push(format!("continued {from}")),
            Event::NextPlace { error, next } => self.told.lock().unwrap().push(format!("{error} → {next}")),
            Event::Planned(_) | Event::Received { .. } | Event::Done => {}
        };
        act(Fetcher { downloader: &self.net, home: &self.home, offline, progress: &progress }, urls)
    }

    fn fetch(&self, urls: &[&str], expected: Expected) -> Result<(Staged, Url), FetchError> {
        self.with(urls, false, |fetcher, urls| run(fetcher.fetch("x", &urls, expected)))
    }

    /// As a rig that is killed while it waits for more.
    fn killed(&self, urls: &[&str], expected: Expected) {
        self.with(urls, false, |fetcher, urls| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _inside = runtime.enter();
            assert!(fetcher.fetch("x", &urls, expected).now_or_never().is_none());
        });
    }

    fn staging(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home.staging()).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().into_string().unwrap().chars().take(8).collect()).collect();
        names.sort();
        names
    }
}

fn of(bytes: &[u8]) -> Expected {
    Expected { sha256: Sha256::of(bytes), size: Some(bytes.len() as u64) }
}

const V1: Option<&str> = Some("\"v1\"");
const V2: Option<&str> = Some("\"v2\"");

#[test]
fn interrupted_downloads_go_on_and_what_does_not_belong_together_is_fetched_anew() {
    let good = || file(GOOD, V1);
    let cases: Vec<(&str, Vec<Step>, &[&str])> = vec![
        ("it goes on", vec![cut(good(), 4), good()], &["a", "a 4- if \"v1\""]),
        ("and on", vec![cut(good(), 4), cut(good(), 3), good()], &["a", "a 4- if \"v1\"", "a 7- if \"v1\""]),
        ("no validator", vec![cut(file(GOOD, None), 4), file(GOOD, None)], &["a", "a 4-"]),
        ("ranges are ignored", vec![cut(plain(GOOD), 4), plain(GOOD)], &["a", "a 4-"]),
        ("it ends early", vec![but(plain(GOOD), |answer| first_bytes(answer, 4)), good()], &["a", "a 4-"]),
        ("another version since", vec![cut(file(EVIL, V1), 4), file(GOOD, V2)], &["a", "a 4- if \"v1\""]),
        ("the same mark on other bytes", vec![cut(file(EVIL, V1), 4), good(), good()], &["a", "a 4- if \"v1\"", "a"]),
        (
            "a part from elsewhere",
            vec![cut(good(), 4), range("bytes 5-9/10", b"56789"), good()],
            &["a", "a 4- if \"v1\"", "a"],
        ),
        (
            "a part of another file",
            vec![cut(good(), 4), range("bytes 4-11/12", b"456789xx"), good()],
            &["a", "a 4- if \"v1\"", "a"],
        ),
        (
            "a part of a part",
            vec![cut(good(), 4), range("bytes 4-7/10", b"4567"), good()],
            &["a", "a 4- if \"v1\"", "a"],
        ),
        (
            "a part of another length",
            vec![cut(good(), 4), range("bytes 4-9/10", b"45678"), good()],
            &["a", "a 4- if \"v1\"", "a"],
        ),
        (
            "a part that does not say which",
            vec![cut(good(), 4), range("", b"456789"), good()],
            &["a", "a 4- if \"v1\"", "a"],
        ),
        ("nothing there any more", vec![cut(good(), 4), status(416), good()], &["a", "a 4- if \"v1\"", "a"]),
    ];
    for (name, steps, requests) in cases {
        let setup = setup();
        setup.serve("a", steps);
        let (staged, _) = setup.fetch(&["https://a/x"], of(GOOD)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (setup.asked(), staged.read().unwrap()),
            (requests.iter().map(ToString::to_string).collect(), GOOD.into()),
            "{name}"
        );
        drop(staged);
        assert!(setup.staging().is_empty(), "{name}: {:?}", setup.staging());
    }
}

/// The control of `the same mark on other bytes`: it is the hash that keeps a mixture out, and nothing else would.
#[test]
fn a_mixture_would_be_taken_if_it_had_the_hash() {
    let setup = setup();
    setup.serve("a", vec![cut(file(EVIL, V1), 4), file(GOOD, V1)]);
    let (staged, _) = setup.fetch(&["https://a/x"], of(b"xxxx456789")).unwrap();
    assert_eq!((staged.read().unwrap().as_slice(), setup.asked().len()), (&b"xxxx456789"[..], 2));
}

#[test]
fn a_place_that_fails_is_followed_by_the_next_and_it_is_said_why() {
    let (wanted, evil) = (Sha256::of(GOOD), Sha256::of(EVIL));
    let endless = || but(plain(GOOD), |answer| answer.pieces.extend(piece(EVIL)));
    let long = || but(plain(GOOD), |answer| answer.length = Some(11));
    let wrong = |size: u64| {
        format!("https://a/x is not what it should be: it should have {wanted} and 10 bytes, but has {size} bytes")
    };
    let cases: Vec<(&str, Vec<Step>, String, &[&str])> = vec![
        ("no connection", vec![], "cannot fetch https://a/x: connection refused".into(), &["a", "b"]),
        ("404", vec![status(404)], "cannot fetch https://a/x: the server answered with status 404".into(), &["a", "b"]),
        ("503", vec![status(503)], "cannot fetch https://a/x: the server answered with status 503".into(), &["a", "b"]),
        (
            "a part of nothing",
            vec![range("bytes 0-9/10", GOOD)],
            "cannot fetch https://a/x: the server answered with status 206".into(),
            &["a", "b"],
        ),
        (
            "other bytes",
            vec![file(EVIL, V1)],
            format!("https://a/x is not what it should be: it should have {wanted}, but has {evil}"),
            &["a", "b"],
        ),
        ("another length", vec![long()], wrong(11), &["a", "b"]),
        ("more than it says", vec![endless()], wrong(20), &["a", "b"]),
        (
            "it breaks at once",
            vec![cut(file(GOOD, V1), 0)],
            "cannot fetch https://a/x: connection reset".into(),
            &["a", "b"],
        ),
    ];
    for (name, steps, why, requests) in cases {
        let setup = setup();
        setup.serve("a", steps).serve("b", vec![file(GOOD, V1)]);
        let (staged, url) = setup.fetch(&["https://a/x", "https://b/x"], of(GOOD)).unwrap();
        assert_eq!((staged.sha256(), url.as_str()), (wanted, "https://b/x"), "{name}");
        assert_eq!(setup.asked(), requests, "{name}");
        assert_eq!(*setup.told.lock().unwrap(), [format!("{why} → https://b/x")], "{name}");
    }
    // The control: without a size to hold it against, all of it is taken.
    let setup = setup();
    setup.serve("a", vec![endless()]);
    let all = [GOOD, EVIL].concat();
    setup.fetch(&["https://a/x"], Expected { size: None, ..of(&all) }).unwrap();
}

#[test]
fn the_next_place_goes_on_where_the_last_one_broke_off() {
    let requests = |steps: Vec<Step>, next: Vec<Step>| {
        let setup = setup();
        setup.serve("a", steps).serve("b", next);
        let (staged, url) = setup.fetch(&["https://a/x", "https://b/x"], of(GOOD)).unwrap();
        assert_eq!((staged.read().unwrap().as_slice(), url.as_str()), (GOOD, "https://b/x"));
        setup.asked()
    };
    // The validator of one place means nothing to another.
    let good = || vec![file(GOOD, V2), file(GOOD, V2)];
    assert_eq!(requests(vec![cut(file(GOOD, V1), 4)], good()), ["a", "a 4- if \"v1\"", "b 4-"]);
    // What a bad one sent is found out and does not spoil the good one.
    assert_eq!(requests(vec![cut(file(EVIL, V1), 4)], good()), ["a", "a 4- if \"v1\"", "b 4-", "b"]);
}

#[test]
fn nobody_is_asked_for_ever() {
    // A byte each time, and never the end.
    let setup = setup();
    setup.serve("a", (0..100).map(|_| cut(file(GOOD, V1), 1)).collect());
    let error = setup.fetch(&["https://a/x"], of(GOOD)).unwrap_err();
    assert_eq!(error.to_string(), "cannot fetch https://a/x: connection reset");
    assert_eq!(setup.asked().len(), 6);
    assert_eq!(setup.staging(), ["part-84d", "part-84d"], "what came is kept, with where it is from");

    // Pieces that never fit.
    let setup = self::setup();
    setup.serve("a", (0..100).flat_map(|_| [cut(file(EVIL, V1), 4), file(GOOD, V1)]).collect());
    let error = setup.fetch(&["https://a/x"], of(GOOD)).unwrap_err();
    let found = Sha256::of(b"xxxx456789");
    let wanted = Sha256::of(GOOD);
    assert_eq!(
        error.to_string(),
        format!("https://a/x is not what it should be: it should have {wanted}, but has {found}")
    );
    assert_eq!((setup.asked().len(), setup.staging()), (4, Vec::new()));

    let setup = self::setup();
    setup.serve("a", (0..100).flat_map(|_| [cut(file(GOOD, V1), 4), range("bytes 5-9/10", b"56789")]).collect());
    let error = setup.fetch(&["https://a/x"], of(GOOD)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot fetch https://a/x: the server was asked for the bytes from 4 on and sent others"
    );
    assert_eq!((setup.asked().len(), error.hint().is_some()), (4, true));
}

#[test]
fn when_all_fail_each_is_named_with_its_reason() {
    let setup = setup();
    setup.serve("b", vec![status(503)]).serve("c", vec![file(EVIL, None)]);
    let error = setup.fetch(&["https://a/x", "https://b/x", "https://c/x"], of(GOOD)).unwrap_err();
    let (wanted, evil) = (Sha256::of(GOOD), Sha256::of(EVIL));
    assert_eq!(
        error.to_string(),
        format!(
            "none of its 3 places has it:\n  cannot fetch https://a/x: connection refused\n  \
             cannot fetch https://b/x: the server answered with status 503\n  \
             https://c/x is not what it should be: it should have {wanted}, but has {evil}"
        )
    );
    assert!(error.hint().unwrap().contains("tell the publisher"), "wrong bytes matter more than a server that is down");
    assert!(setup.staging().is_empty());
    assert!(matches!(setup.fetch(&[], of(GOOD)), Err(FetchError::NoPlace)));
}

#[test]
fn the_next_command_goes_on_where_a_killed_one_was() {
    let urls = &["https://a/x"];
    let setup = setup();
    setup.serve("a", vec![hangs(file(GOOD, V1), 4), file(GOOD, V1)]);
    setup.killed(urls, of(GOOD));
    let (staged, _) = setup.fetch(urls, of(GOOD)).unwrap();
    assert_eq!(setup.asked(), ["a", "a 4- if \"v1\""]);
    assert_eq!(*setup.told.lock().unwrap(), ["continued 4"]);
    drop(staged);
    assert!(setup.staging().is_empty());

    // What was left is of no use, and is found out.
    setup.serve("a", vec![hangs(file(EVIL, V1), 4), file(GOOD, V1), file(GOOD, V1)]);
    setup.killed(urls, of(GOOD));
    setup.fetch(urls, of(GOOD)).unwrap();
    assert_eq!(setup.asked(), ["a", "a 4- if \"v1\"", "a"]);

    // All of it had come.
    setup.serve("a", vec![hangs(file(GOOD, V1), 10)]);
    setup.killed(urls, Expected { size: None, ..of(GOOD) });
    setup.asked();
    setup.with(urls, true, |fetcher, urls| run(fetcher.fetch("x", &urls, of(GOOD)))).unwrap();
    assert!(setup.asked().is_empty(), "no server, and no network");

    // More than it can be, by what the index says now.
    setup.serve("a", vec![hangs(file(GOOD, V1), 4), file(b"01", None)]);
    setup.killed(urls, Expected { size: None, ..of(b"01") });
    setup.fetch(urls, of(b"01")).unwrap();
    assert_eq!(setup.asked(), ["a", "a"]);
}

#[test]
fn a_part_that_another_process_works_on_is_left_alone() {
    let setup = setup();
    setup.serve("a", vec![cut(file(GOOD, V1), 4)]);
    setup.fetch(&["https://a/x"], of(GOOD)).unwrap_err();
    let part = store::parts::place(&setup.home.staging(), &Sha256::of(GOOD));
    let held = store::parts::hold(&part).unwrap().unwrap();
    setup.serve("a", vec![file(GOOD, V1)]);
    setup.asked();
    let (staged, _) = setup.fetch(&["https://a/x"], of(GOOD)).unwrap();
    assert_eq!((setup.asked(), fs::read(&part).unwrap().as_slice()), (vec!["a".to_owned()], &GOOD[..4]));
    store::put_all(&setup.home, vec![staged]).unwrap();
    drop(held);
    assert_eq!(store::read(&setup.home, &Sha256::of(GOOD)).unwrap(), GOOD);
}

/// What is in the store is held by all who use it, so nobody waits for the process that fetched it.
#[test]
fn a_fetched_component_in_the_store_is_held_together() {
    let setup = setup();
    setup.serve("a", vec![file(GOOD, V1)]);
    let (staged, _) = setup.fetch(&["https://a/x"], of(GOOD)).unwrap();
    store::put_all(&setup.home, vec![staged]).unwrap();
    // The home of another process: this one's still holds the file that it put there.
    let other = Home::new(setup.home.root().to_path_buf());
    assert_eq!(store::read(&other, &Sha256::of(GOOD)).unwrap(), GOOD);
}

#[test]
fn files_of_this_machine_are_places_too() {
    let setup = setup();
    let path = setup.folder.path().join("x.wasm");
    fs::write(&path, GOOD).unwrap();
    let url = Url::from_file_path(&path).unwrap();
    let (staged, place) = setup.fetch(&["https://a/x", url.as_str()], of(GOOD)).unwrap();
    assert_eq!((staged.sha256(), place), (Sha256::of(GOOD), url));
}

#[test]
fn sizes_beyond_the_limit_are_refused_before_a_byte_is_fetched() {
    let setup = setup();
    let expected = Expected { sha256: Sha256::of(b""), size: Some(MAX_COMPONENT + 1) };
    let error = setup.fetch(&["https://a/x"], expected).unwrap_err();
    assert_eq!(error.to_string(), "https://a/x is larger than 256 MiB, the most that rig installs");
    assert!(setup.asked().is_empty());
}

#[test]
fn offline_asks_nobody() {
    let setup = setup();
    let urls = ["https://a/x", "https://b/x"];
    let error = setup.with(&urls, true, |fetcher, urls| run(fetcher.fetch("x", &urls, of(GOOD)))).unwrap_err();
    assert_eq!(error.to_string(), "https://a/x is not on this machine, and `--offline` was given");
    assert!(setup.asked().is_empty() && setup.staging().is_empty());
}

#[test]
fn downloads_run_beside_each_other_and_not_all_at_once() {
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = |number: usize| {
        let (now, most) = (&now, &most);
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Those that began later are done earlier.
            for _ in number..40 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            if number == 99 { Err("failed") } else { Ok(number) }
        }
    };
    assert_eq!(run(all((0..40).map(one))), Ok((0..40).collect()));
    assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    assert_eq!(run(all((80..120).map(one))), Err("failed"));
}
