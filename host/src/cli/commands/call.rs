//! `rig call`: one call through the pipeline, in this process.

use std::{
    io::Read as _,
    sync::Arc,
    time::{Duration, Instant},
};

use rig_host::{
    call::{Called, Request, json, open},
    export::Names,
    sandbox::{AskError, AskFuture, Client, Progress, Question},
};
use rig_specs::{PackId, rtp::CallContext};
use tokio_util::sync::CancellationToken;

use crate::cli::{
    args::Call,
    remote,
    render::{self, Ui},
    report::{Failure, exit},
    session::Session,
};

/// What is read from a file or from stdin: more than any limit on arguments, so that the pipeline says what is too long.
const MAX_INPUT: u64 = 256 << 20;

pub fn run(session: &Session, args: Call) -> Result<u8, Failure> {
    if let Some(url) = args.remote.url.clone() {
        return elsewhere(session, &url, args);
    }
    let started = Instant::now();
    let project = session.project()?;
    let (snapshot, broken) = open::snapshot(&project, &session.home);
    for (id, error) in broken {
        if PackId::of_tool(&args.tool).as_ref() == Some(&id) {
            return Err(error.into());
        }
        session.ui.warn(&error.to_string());
    }
    // A model that was given `rig export` names tools as they stand there.
    let tool = Names::new(&snapshot).find(&args.tool).map_or(args.tool, str::to_owned);
    let caller = session.caller(&project, snapshot)?;
    let request = Request {
        args: read_args(session, &args.args)?,
        tool,
        context: CallContext { tenant_id: args.tenant, request_id: args.request_id, actor: args.actor },
        timeout: args.timeout.map(|seconds| Duration::from_secs(seconds.into())),
        depth: 0,
        client: Some(Arc::new(Terminal { ui: session.ui })),
    };
    session.ui.detail(&format!("ready after {:.1} ms", started.elapsed().as_secs_f64() * 1e3));
    let ended = Session::block_on(cancellable(|cancel| caller.call(request, cancel)))?;
    show(session, ended)
}

/// A call of a running gateway.
fn elsewhere(session: &Session, url: &str, args: Call) -> Result<u8, Failure> {
    let text = read_args(session, &args.args)?;
    json::object(&text).map_err(|why| {
        Failure::usage(format!("the arguments are not a JSON object: {why}"))
            .with_hint("give the arguments as a JSON object, @FILE, or - for stdin")
    })?;
    let context = CallContext { tenant_id: args.tenant, request_id: args.request_id, actor: args.actor };
    let result = remote::Gateway::new(session, url)?.call(&args.tool, &text, &context)?;
    remote::show(&result)
}

/// Shows how a call ended, and says it in the exit code.
pub fn show(session: &Session, ended: Called) -> Result<u8, Failure> {
    details(session, &ended);
    let code = match &ended.answer {
        answer if answer.ended.is_ok() => exit::DONE,
        answer if answer.waiting.is_some() => exit::APPROVAL_REQUIRED,
        _ => exit::TOOL_ERROR,
    };
    render::json(&ended.answer.into_result())?;
    Ok(code)
}

/// Whoever runs the command: they see how far the call is with `--verbose`, and cannot be asked.
struct Terminal {
    ui: Ui,
}

impl Client for Terminal {
    fn progress(&self, progress: Progress) {
        let Progress { done, total, message } = progress;
        let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        self.ui.detail(&format!("progress {done}{of}{message}"));
    }

    fn ask(&self, _question: Question) -> AskFuture<'_> {
        let why = "nobody can be asked here: `rig call` has no way to fill in a form";
        Box::pin(async move { Err(AskError::Unavailable(why.into())) })
    }
}

/// Ctrl-C ends the call, not the process, so that the answer and what was sent are still shown.
pub async fn cancellable<F: Future<Output = Called>>(call: impl FnOnce(CancellationToken) -> F) -> Called {
    let cancel = CancellationToken::new();
    let running = call(cancel.clone());
    tokio::pin!(running);
    tokio::select! {
        done = &mut running => done,
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            running.await
        }
    }
}

/// `@FILE` is a file, `-` is stdin, anything else the arguments themselves.
fn read_args(session: &Session, text: &str) -> Result<String, Failure> {
    let read = |source: &mut dyn std::io::Read| {
        let mut text = String::new();
        source.take(MAX_INPUT).read_to_string(&mut text).map(|_| text)
    };
    let (name, text) = match text.strip_prefix('@') {
        None if text == "-" => ("stdin".to_owned(), read(&mut std::io::stdin().lock())),
        None => return Ok(text.to_owned()),
        Some(path) => {
            let path = session.start.join(path);
            (path.display().to_string(), std::fs::File::open(&path).and_then(|mut file| read(&mut file)))
        }
    };
    text.map_err(|error| {
        Failure::of(&error, "give the arguments as a JSON object, @FILE, or - for stdin")
            .context(&format!("the arguments cannot be read from {name}"))
    })
}

fn details(session: &Session, called: &Called) {
    let (ui, record) = (session.ui, &called.record);
    for line in &record.log.lines {
        ui.detail(&format!("{} [{}] {}", called.answer.pack, line.level, line.message));
    }
    if record.log.dropped > 0 {
        ui.warn(&format!("{} lines of the pack's log were dropped", record.log.dropped));
    }
    for sent in &record.egress {
        let answer = sent.status.map(|status| status.to_string()).or_else(|| sent.error.map(str::to_owned));
        let (sent_bytes, received) = (sent.bytes_sent, sent.bytes_received);
        let answer = answer.unwrap_or_default();
        ui.detail(&format!("{} {} → {answer} ({sent_bytes} bytes sent, {received} received)", sent.method, sent.host));
    }
    for marker in &record.auth {
        ui.detail(&format!("used the secret {marker}"));
    }
    if let Some(error) = &record.unrecorded {
        ui.warn(&format!("this call has no row in the audit log yet: {error}"));
    }
    let (attempts, ms) = (render::count(record.attempts as usize, "attempt"), record.duration.as_secs_f64() * 1e3);
    ui.detail(&format!("{attempts} in {ms:.1} ms, call id {}", called.answer.correlation_id));
}
