//! `rig new`.

use rig_host::author::new;

use crate::cli::{
    args::New,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &New) -> Result<u8, Failure> {
    let folder = new::create(&session.start, &args.name, &args.lang).map_err(|error| match error {
        new::NewError::Name(_) => Failure::from(error).into_usage(),
        error => error.into(),
    })?;
    session.ui.done(&format!("made {}", folder.display()));
    session.ui.note(&format!("Next: cd {}, then `rig test`.", args.name));
    Ok(exit::DONE)
}
