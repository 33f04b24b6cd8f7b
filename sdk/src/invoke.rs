//! Calls to other tools of the project, when the manifest names them under `[invoke]` and the project granted it.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    host, json,
};

/// Calls a tool with arguments that serialise to a JSON object, and reads its output. The inner call passes through every check
/// that an outer one does.
///
/// # Errors
/// What the inner tool answered; `permission_error` when it is not granted; `internal_error` when the arguments cannot be written
/// as JSON; `upstream_error` when the output is not of type `T`.
pub fn call<T: DeserializeOwned>(tool: &str, args: &(impl Serialize + ?Sized)) -> Result<T> {
    let args = json::to_string(args)
        .map_err(|error| Error::internal(format!("the arguments for {tool} cannot be written as JSON: {error}")))?;
    let output = host::invoke::call(tool, &args)?;
    json::from_str(&output)
        .map_err(|error| Error::upstream(format!("{tool} answered with an unexpected output: {error}")))
}

#[cfg(test)]
mod tests {
    use crate::{Error, ErrorKind, json::Value, json::json, mock};

    #[test]
    fn an_inner_call_is_typed() {
        let _mock = mock::invoke(|tool, args| match tool {
            "echo.message.send" => Ok(json!({ "got": args })),
            _ => Err(Error::permission("not granted")),
        });
        let output: Value = super::call("echo.message.send", &json!({ "message": "hi" })).unwrap();
        assert_eq!(output, json!({ "got": { "message": "hi" } }));
        let error = super::call::<Value>("x.y.z", &json!({})).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::PermissionError, "not granted"));
        let error = super::call::<u8>("echo.message.send", &json!({})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UpstreamError);
    }
}
