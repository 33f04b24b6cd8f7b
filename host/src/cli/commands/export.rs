//! `rig export`: the tools in the form that a model API takes.

use rig_host::{
    call::{open, policy::Policy},
    export::{self, Format, Names},
};

use crate::cli::{
    args::{Export, ExportFormat},
    render,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Export) -> Result<u8, Failure> {
    let project = session.project()?;
    let (snapshot, broken) = open::snapshot(&project, &session.home);
    for (_, error) in broken {
        session.ui.warn(&error.to_string());
    }
    let format = match args.format {
        ExportFormat::Openai => Format::Openai,
        ExportFormat::Anthropic => Format::Anthropic,
        ExportFormat::Gemini => Format::Gemini,
        ExportFormat::Mcp => Format::Mcp,
    };
    let policy = Policy::new(project.config());
    let offered = export::offered(&snapshot, &policy, args.tenant.as_deref());
    let list = export::tools(&Names::new(&snapshot), offered, format);
    let Some(path) = &args.output else {
        render::json(&list)?;
        return Ok(exit::DONE);
    };
    let path = session.start.join(path);
    let text = serde_json::to_string_pretty(&list).map_err(|error| Failure::of(&error, ""))?;
    std::fs::write(&path, text + "\n").map_err(|error| {
        Failure::of(&error, "choose a file that you may write").context(&format!("cannot write {}", path.display()))
    })?;
    session.ui.done(&format!("wrote {}", path.display()));
    Ok(exit::DONE)
}
