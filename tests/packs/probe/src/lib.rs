//! A pack that uses every function of the host, so that tests can look at the host from inside a guest. Not for installing anywhere
//! but in tests.

use rig_sdk::{
    Error, Result, client, clock, config, http, invoke,
    json::{Map, Value},
    log, random, storage, tool,
};
use schemars::JsonSchema;
use serde::Serialize;

/// A text.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Text {
    /// The text; null when there is none.
    pub text: Option<String>,
}

/// Names.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Names {
    /// The names, sorted.
    pub names: Vec<String>,
}

/// A number.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Number {
    /// The number.
    pub number: u64,
}

/// An answer of another tool.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Answer {
    /// What the tool answered.
    pub output: Map<String, Value>,
}

/// An answer of a service.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// Writes a file.
#[tool(name = "probe.file.write", risk = "write")]
pub fn file_write(
    /// The path.
    path: String,
    /// The text.
    text: String,
) -> Result<Text> {
    storage::write(&path, text.as_bytes())?;
    Ok(Text { text: None })
}

/// Reads a file.
#[tool(name = "probe.file.read", risk = "read")]
pub fn file_read(
    /// The path.
    path: String,
) -> Result<Text> {
    let bytes = storage::read(&path)?;
    Ok(Text { text: Some(String::from_utf8_lossy(&bytes).into_owned()) })
}

/// Lists files.
#[tool(name = "probe.file.list", risk = "read")]
pub fn file_list() -> Result<Names> {
    Ok(Names { names: storage::list("")? })
}

/// Removes a file.
#[tool(name = "probe.file.remove", risk = "write")]
pub fn file_remove(
    /// The path.
    path: String,
) -> Result<Text> {
    storage::remove(&path)?;
    Ok(Text { text: None })
}

/// Reads a setting.
#[tool(name = "probe.setting.get", risk = "read")]
pub fn setting_get(
    /// The name.
    name: String,
) -> Result<Text> {
    Ok(Text { text: config::get(&name) })
}

/// Tells the time in milliseconds since 1970.
#[tool(name = "probe.time.tell", risk = "read")]
pub fn time_tell() -> Result<Number> {
    Ok(Number { number: clock::now_ms() })
}

/// Counts the different bytes among random ones.
#[tool(name = "probe.random.count", risk = "read")]
pub fn random_count(
    /// How many random bytes.
    bytes: u32,
) -> Result<Number> {
    let mut bytes = random::bytes(bytes as usize);
    bytes.sort_unstable();
    bytes.dedup();
    Ok(Number { number: bytes.len() as u64 })
}

/// Writes lines to the log.
#[tool(name = "probe.log.write", risk = "read")]
pub fn log_write(
    /// The line.
    message: String,
    /// How often.
    times: u32,
) -> Result<Number> {
    for _ in 0..times {
        log::warn(&message);
    }
    Ok(Number { number: u64::from(times) })
}

/// Calls another tool.
#[tool(name = "probe.tool.invoke", risk = "read")]
pub fn tool_invoke(
    /// The tool.
    tool: String,
    /// Its arguments.
    args: Map<String, Value>,
) -> Result<Answer> {
    Ok(Answer { output: invoke::call(&tool, &args)? })
}

/// Reports progress, as often as is asked for.
#[tool(name = "probe.client.report", risk = "read")]
pub fn client_report(
    /// How often.
    times: u32,
    /// What is going on.
    message: Option<String>,
) -> Result<Number> {
    for done in 0..times {
        client::progress(done.into(), Some(times.into()), message.as_deref());
    }
    Ok(Number { number: times.into() })
}

/// Asks a person, perhaps after changing something.
#[tool(name = "probe.client.ask", risk = "read")]
pub fn client_ask(
    /// The name of the question.
    key: String,
    /// The question.
    message: String,
    /// The form, as JSON Schema.
    schema: Map<String, Value>,
    /// What is done before: `write` changes the storage, `post` and `get` send a request, `invoke` calls another tool.
    #[tool(default = "nothing")]
    first: String,
) -> Result<Answer> {
    match first.as_str() {
        "write" => storage::write("changed", "1")?,
        "post" => drop(http::post("https://probe.example.com/granted/x").send()),
        "get" => drop(http::get("https://probe.example.com/granted/x").send()),
        "invoke" => drop(invoke::call::<Value>("echo.message.send", &rig_sdk::json::json!({ "message": "x" }))?),
        _ => {}
    }
    Ok(Answer { output: client::ask_json(&key, &message, &Value::Object(schema))?.accepted()? })
}

/// Fetches a URL.
#[tool(name = "probe.page.fetch", risk = "read", slots = ["PROBE_TOKEN"])]
pub fn page_fetch(
    /// The URL.
    url: String,
) -> Result<Fetched> {
    fetch(&url)
}

/// Fetches a URL with no secret of the pack in reach.
#[tool(name = "probe.page.fetchPlain", risk = "read")]
pub fn page_fetch_plain(
    /// The URL.
    url: String,
) -> Result<Fetched> {
    fetch(&url)
}

fn fetch(url: &str) -> Result<Fetched> {
    let response = http::get(url).send()?;
    Ok(Fetched { status: response.status(), body: response.text()?.to_owned() })
}

/// Panics with a message.
///
/// # Panics
/// Always.
#[tool(name = "probe.crash.panic", risk = "read")]
pub fn crash_panic(
    /// What to say.
    message: String,
) -> Result<Text> {
    if message.is_empty() {
        return Err(Error::validation("the message is empty"));
    }
    #[allow(clippy::panic, reason = "the point of the tool")]
    {
        panic!("{message}")
    }
}

/// Runs for ever.
#[tool(name = "probe.crash.loop", risk = "read")]
pub fn crash_loop() -> Result<Number> {
    let mut number: u64 = 0;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
        if number == u64::MAX {
            return Ok(Number { number });
        }
    }
}

/// Takes memory.
#[tool(name = "probe.crash.allocate", risk = "read")]
pub fn crash_allocate(
    /// How many MiB.
    mebibytes: u32,
) -> Result<Number> {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for _ in 0..mebibytes {
        blocks.push(std::hint::black_box(vec![1; 1 << 20]));
    }
    Ok(Number { number: blocks.len() as u64 })
}

rig_sdk::export!(
    file_write,
    file_read,
    file_list,
    file_remove,
    setting_get,
    time_tell,
    random_count,
    log_write,
    tool_invoke,
    client_report,
    client_ask,
    page_fetch,
    page_fetch_plain,
    crash_panic,
    crash_loop,
    crash_allocate
);
