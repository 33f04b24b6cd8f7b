//! A server of files on loopback, from memory: `rig-bench files DIR`, a process of its own, so that whoever fetches is not slowed down by
//! what else this program does.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, Uri},
    serve::ListenerExt,
};
use tokio::net::TcpListener;

use crate::Failure;

type Files = Arc<BTreeMap<String, Bytes>>;

/// Serves until it is killed; the first line on stderr names the address.
pub(crate) fn main(dir: &str) -> Result<(), Failure> {
    let files: Files = Arc::new(read(Path::new(dir))?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("serving http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, Router::new().fallback(file).with_state(files)).await?;
        Ok(())
    })
}

fn read(dir: &Path) -> Result<BTreeMap<String, Bytes>, Failure> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.insert(entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?.into());
        }
    }
    Ok(files)
}

async fn file(State(files): State<Files>, uri: Uri) -> Result<Bytes, StatusCode> {
    files.get(uri.path().trim_start_matches('/')).cloned().ok_or(StatusCode::NOT_FOUND)
}
