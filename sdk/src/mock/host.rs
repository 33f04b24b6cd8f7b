//! The functions of the host as the mock answers them, with the signatures of the bindings.

use super::{
    Error, HttpError, Instant, Level, Progress, Question, Request, Response, StorageError, SystemTime, UNIX_EPOCH, with,
};

pub(crate) mod http {
    use super::{HttpError, Request, Response, with};
    use crate::bindings::rig::pack::http as wire;

    pub(crate) fn send(request: &wire::Request) -> Result<wire::Response, HttpError> {
        let request = Request {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone().unwrap_or_default(),
            timeout_ms: request.timeout_ms,
        };
        // Taken out while it runs, so that a handler may itself use what is mocked.
        let Some((mut handler, requests)) = with(|state| state.http.take()) else {
            return Err(HttpError::Denied("no `mock::http` answers requests in this test".into()));
        };
        requests.borrow_mut().push(request.clone());
        let answer = handler(&request);
        with(|state| {
            state.http.get_or_insert((handler, requests));
        });
        let Response { status, headers, body } = answer?;
        Ok(wire::Response { status, headers, body })
    }
}

pub(crate) mod invoke {
    use super::{Error, with};
    use crate::{bindings::rig::pack::types::ToolError, json::Value};

    pub(crate) fn call(tool: &str, args: &str) -> Result<String, ToolError> {
        let args: Value = serde_json::from_str(args).map_err(|error| Error::validation(error.to_string()))?;
        let Some(mut handler) = with(|state| state.invoke.take()) else {
            return Err(Error::permission("no `mock::invoke` answers calls in this test").into());
        };
        let answer = handler(tool, args);
        with(|state| {
            state.invoke.get_or_insert(handler);
        });
        Ok(answer?.to_string())
    }
}

pub(crate) mod client {
    use super::{Progress, Question, with};
    use crate::{
        bindings::rig::pack::client::{Answer as WireAnswer, AskError},
        client::Answer,
    };

    pub(crate) fn progress(done: f64, total: Option<f64>, message: Option<&str>) {
        with(|state| {
            if let Some((_, _, reports)) = &state.client {
                reports.borrow_mut().push(Progress { done, total, message: message.map(str::to_owned) });
            }
        });
    }

    pub(crate) fn ask(key: &str, message: &str, schema: &str) -> Result<WireAnswer, AskError> {
        let schema = serde_json::from_str(schema).map_err(|error| AskError::Invalid(error.to_string()))?;
        let question = Question { key: key.to_owned(), message: message.to_owned(), schema };
        // Taken out while it runs, so that a handler may itself use what is mocked.
        let Some((mut handler, questions, reports)) = with(|state| state.client.take()) else {
            return Err(AskError::Unavailable("no `mock::client` answers questions in this test".into()));
        };
        questions.borrow_mut().push(question.clone());
        let answer = handler(&question);
        with(|state| {
            state.client.get_or_insert((handler, questions, reports));
        });
        Ok(match answer {
            Answer::Accepted(answer) => WireAnswer::Accepted(answer.to_string()),
            Answer::Declined => WireAnswer::Declined,
            Answer::Cancelled => WireAnswer::Cancelled,
        })
    }
}

pub(crate) mod config {
    pub(crate) fn get(name: &str) -> Option<String> {
        super::with(|state| state.config.get(name).cloned())
    }
}

pub(crate) mod log {
    use super::{Level, with};

    pub(crate) fn write(level: Level, message: &str) {
        with(|state| {
            if let Some(lines) = &state.log {
                lines.borrow_mut().push((level, message.to_owned()));
            }
        });
    }
}

pub(crate) mod clock {
    use std::sync::LazyLock;

    use super::{Instant, SystemTime, UNIX_EPOCH, with};

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(crate) fn now_ms() -> u64 {
        let real = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        with(|state| state.now_ms).unwrap_or_else(|| u64::try_from(real()).unwrap_or(u64::MAX))
    }

    pub(crate) fn monotonic_ns() -> u64 {
        u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

pub(crate) mod random {
    /// SplitMix64: a fixed sequence, so that a test answers the same every time.
    pub(crate) fn bytes(len: u32) -> Vec<u8> {
        super::with(|state| {
            let byte = |_| {
                state.random = state.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut z = state.random;
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                (z ^ (z >> 31)).to_le_bytes()[0]
            };
            (0..len).map(byte).collect()
        })
    }
}

pub(crate) mod storage {
    use std::collections::BTreeMap;

    use super::{StorageError, with};

    type Files = BTreeMap<String, Vec<u8>>;

    pub(crate) fn read(path: &str) -> Result<Vec<u8>, StorageError> {
        on(path, |files| files.get(path).cloned().ok_or_else(|| missing(path)))
    }

    pub(crate) fn write(path: &str, data: &[u8]) -> Result<(), StorageError> {
        on(path, |files| {
            files.insert(path.into(), data.into());
            Ok(())
        })
    }

    pub(crate) fn list(prefix: &str) -> Result<Vec<String>, StorageError> {
        let folder = prefix.strip_suffix('/').unwrap_or(prefix);
        let below =
            |path: &String| folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        on(if folder.is_empty() { "x" } else { folder }, |files| {
            Ok(files.keys().filter(|path| below(path)).cloned().collect())
        })
    }

    pub(crate) fn remove(path: &str) -> Result<(), StorageError> {
        on(path, |files| files.remove(path).map(|_| ()).ok_or_else(|| missing(path)))
    }

    fn on<T>(path: &str, f: impl FnOnce(&mut Files) -> Result<T, StorageError>) -> Result<T, StorageError> {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
        if !path.split('/').all(plain) {
            return Err(StorageError::InvalidPath(format!("`{path}` is not a path below the pack's folder")));
        }
        with(|state| match &mut state.storage {
            Some(files) => f(files),
            None => Err(StorageError::Denied("no `mock::storage` in this test".into())),
        })
    }

    fn missing(path: &str) -> StorageError {
        StorageError::NotFound(format!("there is no file `{path}`"))
    }
}
