//! `rig uninstall`.

use rig_host::{install, project::Project};
use rig_specs::PackId;

use crate::cli::{
    args::Uninstall,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Uninstall) -> Result<u8, Failure> {
    let root = Project::discover(&session.start)?;
    let parse = |text: &String| text.parse::<PackId>().map_err(|error| Failure::usage(error.to_string()));
    let ids = args.packs.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let machine = Session::machine();
    let remove = args.remove_package.then_some((&session.home, &machine));
    for id in install::uninstall(&root, &ids, remove, &mut |lock| session.waiting(lock))? {
        session.ui.done(&format!("removed {id}"));
    }
    Ok(exit::DONE)
}
