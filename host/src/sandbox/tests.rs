//! The sandbox against components that misbehave, made from text so that no toolchain stands between test and machine code.

use std::time::{Duration, Instant};

use rig_specs::Sha256;
use tokio_util::sync::CancellationToken;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::*;

/// A component whose `call` has this body and whose module has these other parts. Locals: `$name` and `$args` with their lengths,
/// and what follows. The body leaves a pointer to the result.
pub(super) fn component(parts: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            {parts}
            (memory (export "memory") 2)
            (data (i32.const 16) "{{}}")
            (data (i32.const 32) "\00\00\00\00\10\00\00\00\02\00\00\00")
            (global $next (mut i32) (i32.const 1024))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                global.get $next
                (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16)))))
            (func (export "rig:pack/tools@0.1.0#describe") (result i32) unreachable)
            (func $call (export "rig:pack/tools@0.1.0#call")
                (param $name i32) (param $name_len i32) (param $args i32) (param $args_len i32)
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
                {body}))"#
    );
    let mut module = wat::parse_str(&text).expect("valid text");
    let mut resolve = wit_parser::Resolve::default();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/0.1.0");
    let (package, _) = resolve.push_path(path).expect("the interface parses");
    let world = resolve.select_world(&[package], Some("pack")).expect("the world exists");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata");
    ComponentEncoder::default().module(&module).expect("a module").encode().expect("a component")
}

/// Answers with `{}`.
const OK: &str = "i32.const 32";

fn input(deadline: Duration, cancel: &CancellationToken, limits: CallLimits) -> CallInput {
    CallInput {
        tool: "p.a.b".into(),
        args: "{}".into(),
        context: Context {
            request_id: "r".into(),
            tenant_id: String::new(),
            actor: String::new(),
            attempt: 1,
            idempotency_key: "r".into(),
            deadline_ms: 0,
        },
        deadline: Instant::now() + deadline,
        cancel: cancel.clone(),
        limits,
        reach: CallReach::default(),
    }
}

fn load(sandbox: &Sandbox, bytes: &[u8]) -> Program {
    sandbox.load(&Sha256::of(bytes), bytes).expect("it loads")
}

async fn run(parts: &str, body: &str) -> Outcome {
    let sandbox = Sandbox::new(PoolSize::SINGLE, None).unwrap();
    let program = load(&sandbox, &component(parts, body));
    let outcome = program.call(input(Duration::from_secs(1), &CancellationToken::new(), CallLimits::DEFAULT)).await;
    // Whatever happened, the next call of the same program is as good as new.
    let neighbour = load(&sandbox, &component("", OK));
    let next = neighbour.call(input(Duration::from_secs(1), &CancellationToken::new(), CallLimits::DEFAULT)).await;
    assert_eq!(next.result.expect("the neighbour runs"), "{}");
    outcome
}

fn stop(outcome: Outcome) -> String {
    match outcome.result {
        Err(Failure::Stopped(stop)) => stop.to_string(),
        other => panic!("expected the sandbox to stop it, got {other:?}"),
    }
}

#[tokio::test]
async fn crashes_are_told_apart() {
    for (parts, body, expected) in [
        ("", "unreachable", "the pack crashed: it panicked or ran into code that must not be reached"),
        ("", "(i32.div_s (i32.const 1) (i32.const 0))", "the pack crashed: wasm trap: integer divide by zero"),
        ("", "(i32.load (i32.const -1))", "the pack crashed: wasm trap: out of bounds memory access"),
        (
            "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))",
            "(call $deep (i32.const 0))",
            "the pack crashed: its stack is full, most likely by endless recursion",
        ),
        (
            "",
            "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
            "the pack needs more memory than it may use: it asked for 65 MiB in total, the limit is 64 MiB",
        ),
    ] {
        assert_eq!(stop(run(parts, body).await), expected);
    }
}

#[tokio::test]
async fn memory_is_only_refused_beyond_the_limit() {
    let outcome = run("", "(drop (memory.grow (i32.const 500))) i32.const 32").await;
    assert_eq!(outcome.result.expect("500 pages are within 64 MiB"), "{}");
}

/// A loop ends at its deadline and at a cancel, on an executor of one thread that the loop itself keeps busy.
#[tokio::test]
async fn loops_end() {
    let sandbox = Sandbox::new(PoolSize::SINGLE, None).unwrap();
    let program = load(&sandbox, &component("", "(loop $again (br $again)) unreachable"));
    let started = Instant::now();
    let outcome = program.call(input(Duration::from_millis(50), &CancellationToken::new(), CallLimits::DEFAULT)).await;
    assert_eq!(stop(outcome), "the call did not finish in time");
    assert!(started.elapsed() >= Duration::from_millis(50) && started.elapsed() < Duration::from_secs(2));

    let cancel = CancellationToken::new();
    let canceller = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        canceller.cancel();
    });
    let outcome = program.call(input(Duration::from_secs(30), &cancel, CallLimits::DEFAULT)).await;
    assert_eq!(stop(outcome), "the call was cancelled");
    assert!(started.elapsed() < Duration::from_secs(5), "the cancel did not reach the loop");
}

#[tokio::test]
async fn a_loop_does_not_hold_up_its_neighbours() {
    let sandbox = Sandbox::new(PoolSize::SINGLE, None).unwrap();
    let looping = load(&sandbox, &component("", "(loop $again (br $again)) unreachable"));
    let quick = load(&sandbox, &component("", OK));
    let cancel = CancellationToken::new();
    let endless = looping.call(input(Duration::from_secs(30), &cancel, CallLimits::DEFAULT));
    let neighbours = async {
        for _ in 0..20 {
            let outcome =
                quick.call(input(Duration::from_secs(5), &CancellationToken::new(), CallLimits::DEFAULT)).await;
            assert_eq!(outcome.result.expect("the neighbour runs"), "{}");
        }
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(endless, neighbours);
    assert_eq!(stop(outcome), "the call was cancelled");
}

#[tokio::test]
async fn outputs_are_capped() {
    let sandbox = Sandbox::new(PoolSize::SINGLE, None).unwrap();
    let program = load(&sandbox, &component("", OK));
    let limits = CallLimits { output: 1, ..CallLimits::DEFAULT };
    let outcome = program.call(input(Duration::from_secs(1), &CancellationToken::new(), limits)).await;
    assert_eq!(stop(outcome), "the output is 2 bytes long, the limit is 1 B");

    // A result that claims to be 1 GiB long lies outside the memory or beyond what one call may copy.
    let claims = "(i32.store offset=4 (i32.const 64) (i32.const 0)) (i32.store offset=8 (i32.const 64) (i32.const 1073741824)) i32.const 64";
    assert!(stop(run("", claims).await).starts_with("the pack crashed"));
}

#[tokio::test]
async fn too_many_at_once_are_told_to_wait() {
    let sandbox = Sandbox::new(PoolSize(1), None).unwrap();
    let looping = load(&sandbox, &component("", "(loop $again (br $again)) unreachable"));
    let quick = load(&sandbox, &component("", OK));
    let cancel = CancellationToken::new();
    let endless = looping.call(input(Duration::from_secs(30), &cancel, CallLimits::DEFAULT));
    let second = async {
        let outcome = quick.call(input(Duration::from_secs(1), &CancellationToken::new(), CallLimits::DEFAULT)).await;
        cancel.cancel();
        stop(outcome)
    };
    let (_, second) = tokio::join!(endless, second);
    assert_eq!(second, "too many calls run at once");
}

#[tokio::test]
async fn compiled_code_is_taken_only_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = component("", OK);
    let digest = Sha256::of(&bytes);
    let fresh = || Sandbox::new(PoolSize::SINGLE, Some(folder.path().join("compiled"))).unwrap();
    let call = async |program: Program| {
        let outcome = program.call(input(Duration::from_secs(1), &CancellationToken::new(), CallLimits::DEFAULT)).await;
        outcome.result.expect("it runs")
    };
    assert!(!fresh().check_compiled(&digest).unwrap());
    fresh().load(&digest, &bytes).unwrap();
    assert!(fresh().check_compiled(&digest).unwrap());
    assert_eq!(call(fresh().load(&digest, &bytes).unwrap()).await, "{}");

    let file = std::fs::read_dir(folder.path().join("compiled")).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read(&file).unwrap();
    for position in [0, 31, 32, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[position] ^= 1;
        std::fs::write(&file, bad).unwrap();
        let Err(LoadError::Tampered { path, expected, found }) = fresh().load(&digest, &bytes) else {
            panic!("byte {position} was changed and the code was loaded");
        };
        assert!(path == file && expected != found);
    }
    for truncated in [&good[..0], &good[..20], &good[..good.len() - 1]] {
        std::fs::write(&file, truncated).unwrap();
        assert!(matches!(fresh().load(&digest, &bytes), Err(LoadError::Tampered { .. })));
    }
    // Control: the very same bytes are accepted again, and an absent file is made anew.
    std::fs::write(&file, &good).unwrap();
    assert_eq!(call(fresh().load(&digest, &bytes).unwrap()).await, "{}");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(call(fresh().load(&digest, &bytes).unwrap()).await, "{}");

    // A file that another component's compilation left is not taken for this one.
    let other = component("", "unreachable");
    fresh().load(&Sha256::of(&other), &other).unwrap();
    let others = std::fs::read_dir(folder.path().join("compiled")).unwrap().map(|e| e.unwrap().path());
    let others: Vec<_> = others.filter(|path| *path != file).collect();
    std::fs::copy(&others[0], &file).unwrap();
    assert!(matches!(fresh().load(&digest, &bytes), Err(LoadError::Tampered { .. })));
}
