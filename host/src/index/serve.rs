//! Serves the folder of an index over HTTP on this machine, to try it out. For anybody else any web server will do: it is a folder of
//! files. Nothing whose name begins with a dot is served, and nothing outside the folder.

use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{Method, StatusCode, header::CONTENT_TYPE};
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

/// Serves until the future is dropped.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(folder: PathBuf, listener: TcpListener) -> io::Result<()> {
    let app = Router::new().fallback(answer).with_state(Arc::new(folder));
    axum::serve(listener, app).await
}

async fn answer(State(folder): State<Arc<PathBuf>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Some(path) = locate(&folder, request.uri().path()) else { return StatusCode::NOT_FOUND.into_response() };
    match tokio::fs::read(&path).await {
        Ok(bytes) => ([(CONTENT_TYPE, kind(&path))], Body::from(bytes)).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The file that a path of a request names. A link that leads out of the folder leads nowhere.
fn locate(folder: &Path, path: &str) -> Option<PathBuf> {
    let name = percent_decode_str(path.trim_start_matches('/')).decode_utf8().ok()?;
    let plain = |part: Component<'_>| matches!(part, Component::Normal(n) if !n.as_encoded_bytes().starts_with(b"."));
    if name.is_empty() || name.contains(['\\', '\0']) || !Path::new(&*name).components().all(plain) {
        return None;
    }
    let (folder, path) = (folder.canonicalize().ok()?, folder.join(&*name).canonicalize().ok()?);
    (path.starts_with(&folder) && path.is_file()).then_some(path)
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => "application/json",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_files_of_the_folder_are_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("index");
        fs::create_dir_all(folder.join("metadata")).unwrap();
        for name in ["pack_index.json", "metadata/1.root.json", ".pack_index.lock", "../secret"] {
            fs::write(folder.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(root.path().join("secret"), folder.join("link")).unwrap();
        for good in ["/pack_index.json", "/metadata/1.root.json", "/metadata%2F1.root.json"] {
            assert!(locate(&folder, good).is_some(), "{good}");
        }
        for bad in [
            "/",
            "/metadata",
            "/none",
            "/.pack_index.lock",
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/metadata/../../secret",
            "//etc/passwd",
            "/link",
            "/a%00b",
            "/%ff",
        ] {
            assert_eq!(locate(&folder, bad), None, "{bad}");
        }
    }
}
