//! `rig init`.

use rig_host::{install::bundle, project};

use crate::cli::{
    args::Init,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Init) -> Result<u8, Failure> {
    // Written down rather than left to be found, so that another rig, which carries none, says what is missing.
    let bundled = session.bundle().map(|_| bundle::LOCATION);
    let index = args.index_url.as_deref().or(bundled);
    let made = project::init(&session.start, index)?;
    session.ui.done(&format!("wrote {}", made.config.display()));
    if let Some(gitignore) = &made.gitignore {
        session.ui.done(&format!("{} keeps .rig/ and .env out of version control", gitignore.display()));
    }
    if index.is_none() {
        session.ui.note("Next: set `index.url` in rig.yaml, then `rig packs --available` and `rig install NAME`.");
    } else {
        session.ui.note("Next: `rig packs --available`, then `rig install NAME`.");
    }
    Ok(exit::DONE)
}
