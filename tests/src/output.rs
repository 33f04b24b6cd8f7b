//! What a finished run left behind.

use std::fmt;

use serde_json::Value;

/// Exit code and texts of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; nothing when a signal ended the process.
    pub code: Option<i32>,
    /// All that was written to stdout.
    pub stdout: String,
    /// All that was written to stderr.
    pub stderr: String,
}

impl Output {
    /// Expects exit code 0.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        self.fails_with(0)
    }

    /// Expects an exit code.
    #[track_caller]
    pub fn fails_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "`{}` was expected to exit with {code}:\n{self}", self.command);
        self
    }

    /// Expects a text on stderr.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "`{}` was expected to say {text:?}:\n{self}", self.command);
        self
    }

    /// Expects the three parts of a good error on stderr: `error: `, the texts given, and `hint: `.
    #[track_caller]
    pub fn explains(&self, texts: &[&str]) -> &Self {
        self.says("error: ").says("hint: ");
        for text in texts {
            self.says(text);
        }
        self
    }

    /// Expects a text on stdout.
    #[track_caller]
    pub fn shows(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text), "`{}` was expected to show {text:?}:\n{self}", self.command);
        self
    }

    /// Expects a text on stdout or stderr: for what may be an error of rig or part of a result.
    #[track_caller]
    pub fn mentions(&self, text: &str) -> &Self {
        let found = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(found, "`{}` was expected to mention {text:?}:\n{self}", self.command);
        self
    }

    /// Expects that a text stands nowhere in the output.
    #[track_caller]
    pub fn lacks(&self, text: &str) -> &Self {
        let found = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(!found, "`{}` was expected not to say {text:?}:\n{self}", self.command);
        self
    }

    /// Stdout as JSON: one value and nothing else.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout of `{}` is not JSON ({error}):\n{self}", self.command))
    }

    /// The output of a successful `rig call`.
    #[must_use]
    #[track_caller]
    pub fn output(&self) -> Value {
        self.ok();
        let result = self.result();
        assert_eq!(result["error"], Value::Null, "{self}");
        assert_eq!(result["ok"], true, "{self}");
        result["output"].clone()
    }

    /// The error of a `rig call` that the tool, or rig on its behalf, answered with that kind (exit code 3; 4 for
    /// `approval_required`). Checks that the result has the shape every failed call has.
    #[must_use]
    #[track_caller]
    pub fn error(&self, kind: &str) -> Value {
        self.fails_with(if kind == "approval_required" { 4 } else { 3 });
        let result = self.result();
        let error = &result["error"];
        assert_eq!(result["ok"], false, "{self}");
        assert_eq!(result["output"], Value::Null, "{self}");
        assert_eq!(error["type"], kind, "{self}");
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "a message: {self}");
        assert_eq!(error["correlation_id"], result["correlation_id"], "{self}");
        let mut keys: Vec<_> = error.as_object().expect("an error is an object").keys().collect();
        keys.sort();
        let expected = ["correlation_id", "message", "remediation_hints", "retryable", "type", "upstream_code"];
        assert_eq!(keys, expected, "{self}");
        error.clone()
    }

    #[track_caller]
    fn result(&self) -> Value {
        let result = self.json();
        let mut keys: Vec<_> = result.as_object().expect("a result is an object").keys().map(String::as_str).collect();
        keys.sort_unstable();
        let expected = "correlation_id error interface_hash ok output pack pack_set_version pack_version";
        assert_eq!(keys.join(" "), expected, "the keys of a result: {self}");
        result
    }
}

/// The form that snapshots hold.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit code: {code}")?,
            None => writeln!(f, "killed by a signal")?,
        }
        write!(f, "----- stdout -----\n{}\n----- stderr -----\n{}", self.stdout, self.stderr)
    }
}
