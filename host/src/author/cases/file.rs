//! The files that hold cases, in TOML, YAML or JSON: the same keys in each. A misspelt key is an error, so that no case checks less
//! than it says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{CasesError, FOLDER};

/// A file with cases.
#[derive(Debug)]
pub struct CaseFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in the pack's folder, for people.
    pub shown: String,
    /// What is in it, in its order.
    pub cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    cases: Vec<Case>,
}

/// One call and what must come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows. Of several cases in a file, each has another one.
    pub name: String,
    /// The tool: `pack.noun.verb`.
    pub tool: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// Values of the pack's settings.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// The output, exactly.
    pub output: Option<Value>,
    /// What is in the output, beside whatever else is.
    pub includes: Option<Value>,
    /// What is in the error: `type`, `message`, `retryable`, `upstream_code`, `remediation_hints`.
    pub error: Option<Map<String, Value>>,
    /// The requests that the call makes, and their answers. Without it those of the recording.
    pub http: Option<Vec<Exchange>>,
    /// What of requests is not compared.
    #[serde(default)]
    pub ignore: Ignore,
}

/// What of requests differs from call to call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ignore {
    /// Names of headers.
    pub headers: BTreeSet<String>,
    /// Names of query fields.
    pub query: BTreeSet<String>,
    /// JSON pointers into the body, for example `/created_at`.
    pub body: BTreeSet<String>,
}

/// A request as it must be, and what it gets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The request. What is left out is not compared.
    pub request: Request,
    /// The answer.
    pub response: Option<Response>,
    /// Why there is none: `dns`, `connect`, `tls`, `timeout`, `too-large` or `protocol`.
    pub error: Option<String>,
}

/// A request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// The headers that the pack sets.
    pub headers: Option<BTreeMap<String, String>>,
    /// The slots whose secrets go along.
    pub secrets: Option<Vec<String>>,
    /// The body as JSON.
    pub json: Option<Value>,
    /// The body as text.
    pub text: Option<String>,
    /// The body in base64.
    pub base64: Option<String>,
}

fn get() -> String {
    "GET".into()
}

/// An answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as JSON.
    pub json: Option<Value>,
    /// The body as text.
    pub text: Option<String>,
    /// The body in base64.
    pub base64: Option<String>,
}

/// The bytes of a body that is given in one of three ways.
pub(super) fn body(
    json: Option<&Value>,
    text: Option<&str>,
    base64: Option<&str>,
) -> Result<Option<Vec<u8>>, &'static str> {
    match (json, text, base64) {
        (None, None, None) => Ok(None),
        (Some(json), None, None) => Ok(Some(json.to_string().into_bytes())),
        (None, Some(text), None) => Ok(Some(text.as_bytes().to_vec())),
        (None, None, Some(text)) => STANDARD.decode(text).map(Some).map_err(|_| "`base64` is not base64"),
        _ => Err("a body is given once: as `json`, `text` or `base64`"),
    }
}

/// Reads the cases of a pack, sorted by the names of their files.
///
/// # Errors
/// When a file cannot be read or says something that no case says, or when there is none.
pub fn read_all(pack: &Path) -> Result<Vec<CaseFile>, CasesError> {
    let folder = pack.join(FOLDER);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        path.is_file()
            && path.extension().is_some_and(|end| ["toml", "yaml", "yml", "json"].iter().any(|known| end == *known))
    });
    paths.sort();
    let mut stems = BTreeSet::new();
    for path in &paths {
        // Both would have one recording.
        if !stems.insert(path.file_stem().unwrap_or_default().to_owned()) {
            let why = "another file with cases has the same name but for its ending".to_owned();
            return Err(CasesError::Malformed { path: path.clone(), why });
        }
    }
    let files = paths.into_iter().map(|path| read(pack, path)).collect::<Result<Vec<_>, _>>()?;
    if files.iter().all(|file| file.cases.is_empty()) {
        return Err(CasesError::None(folder));
    }
    Ok(files)
}

fn read(pack: &Path, path: PathBuf) -> Result<CaseFile, CasesError> {
    let text = fs::read_to_string(&path).map_err(|error| CasesError::Io {
        path: path.clone(),
        what: "read",
        why: error.to_string(),
    })?;
    let content: Result<Content, String> = match path.extension().and_then(|end| end.to_str()) {
        Some("toml") => toml::from_str(&text).map_err(|error| error.to_string().trim_end().to_owned()),
        Some("json") => serde_json::from_str(&text).map_err(|error| error.to_string()),
        _ => serde_saphyr::from_str(&text).map_err(|error| error.to_string()),
    };
    let malformed = |why| CasesError::Malformed { path: path.clone(), why };
    let cases = content.map_err(malformed)?.cases;
    let mut names = BTreeSet::new();
    for case in &cases {
        if !names.insert(case.name.as_str()) {
            return Err(malformed(format!("two cases are named `{}`", case.name)));
        }
        check(case).map_err(|why| malformed(format!("the case `{}`: {why}", case.name)))?;
    }
    let shown = path.strip_prefix(pack).unwrap_or(&path).display().to_string();
    Ok(CaseFile { path, shown, cases })
}

fn check(case: &Case) -> Result<(), String> {
    let expectations = [case.output.is_some(), case.includes.is_some(), case.error.is_some()];
    if expectations.iter().filter(|given| **given).count() > 1 {
        return Err("of `output`, `includes` and `error` a case has one".into());
    }
    let known = ["type", "message", "retryable", "upstream_code", "remediation_hints"];
    if let Some(key) = case.error.iter().flat_map(Map::keys).find(|key| !known.contains(&key.as_str())) {
        return Err(format!("an error has no `{key}`; it has {}", known.join(", ")));
    }
    for (position, exchange) in case.http.iter().flatten().enumerate() {
        let wrong = |why: &str| format!("request {}: {why}", position + 1);
        let Request { json, text, base64, .. } = &exchange.request;
        body(json.as_ref(), text.as_deref(), base64.as_deref()).map_err(wrong)?;
        match (&exchange.response, &exchange.error) {
            (Some(Response { json, text, base64, .. }), None) => {
                body(json.as_ref(), text.as_deref(), base64.as_deref()).map_err(wrong)?;
            }
            (None, Some(kind)) if super::play::failure(kind, "").is_some() => {}
            (None, Some(kind)) => return Err(wrong(&format!("`{kind}` is no reason for having no answer"))),
            _ => return Err(wrong("it has either a `response` or an `error`")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(files: &[(&str, &str)]) -> tempfile::TempDir {
        let pack = tempfile::tempdir().unwrap();
        fs::create_dir(pack.path().join("tests")).unwrap();
        for (name, text) in files {
            fs::write(pack.path().join("tests").join(name), text).unwrap();
        }
        pack
    }

    #[test]
    fn one_case_in_three_notations() {
        let toml = "[[cases]]\nname = \"one\"\ntool = \"a.b.c\"\nargs = { n = 1 }\nincludes = { x = [1, { y = 2.5 }] }\n\
                    [[cases.http]]\nrequest = { url = \"https://h/x\" }\nresponse = { status = 200, json = { ok = true } }\n";
        let yaml = "cases:\n  - name: one\n    tool: a.b.c\n    args: { n: 1 }\n    includes: { x: [1, { y: 2.5 }] }\n    http:\n\
                    \x20     - request: { url: https://h/x }\n        response: { status: 200, json: { ok: true } }\n";
        let json = r#"{"cases": [{"name": "one", "tool": "a.b.c", "args": {"n": 1}, "includes": {"x": [1, {"y": 2.5}]},
            "http": [{"request": {"url": "https://h/x"}, "response": {"status": 200, "json": {"ok": true}}}]}]}"#;
        let pack = pack(&[("a.toml", toml), ("b.yaml", yaml), ("c.json", json), ("notes.txt", "no case")]);
        let files = read_all(pack.path()).unwrap();
        let shown: Vec<String> = files.iter().map(|file| format!("{:?}", file.cases)).collect();
        assert_eq!(
            files.iter().map(|file| file.shown.as_str()).collect::<Vec<_>>(),
            ["tests/a.toml", "tests/b.yaml", "tests/c.json"]
        );
        assert_eq!((&shown[0], &shown[0]), (&shown[1], &shown[2]));
        assert_eq!(files[0].cases[0].http.as_ref().unwrap()[0].request.method, "GET");
    }

    #[test]
    fn what_is_no_case_is_named() {
        let one = |rest: &str| format!("[[cases]]\nname = \"n\"\ntool = \"a.b.c\"\n{rest}");
        let http = |rest: &str| one(&format!("[[cases.http]]\nrequest = {{ url = \"https://h\" }}\n{rest}"));
        for (text, why) in [
            (one("outptu = {}"), "unknown field `outptu`"),
            (one("output = {}\nincludes = {}"), "the case `n`: of `output`, `includes` and `error` a case has one"),
            (one("error = { kind = \"x\" }"), "an error has no `kind`; it has type, message"),
            (format!("{}{}", one(""), one("")), "two cases are named `n`"),
            (http(""), "request 1: it has either a `response` or an `error`"),
            (http("error = \"boom\""), "request 1: `boom` is no reason for having no answer"),
            (http("response = { status = 200, json = 1, text = \"1\" }"), "request 1: a body is given once"),
            (http("response = { status = 200, base64 = \"?\" }"), "request 1: `base64` is not base64"),
        ] {
            let pack = pack(&[("x.toml", &text)]);
            let error = read_all(pack.path()).unwrap_err().to_string();
            assert!(error.contains("x.toml: ") && error.contains(why), "{why}: {error}");
        }
        let error = read_all(pack(&[]).path()).unwrap_err().to_string();
        assert!(error.starts_with("there are no cases in "), "{error}");
        let twice = pack(&[("x.toml", "cases = []"), ("x.json", "{\"cases\": []}")]);
        assert!(read_all(twice.path()).unwrap_err().to_string().contains("same name but for its ending"));
    }
}
