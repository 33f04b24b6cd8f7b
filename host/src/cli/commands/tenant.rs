//! `rig tenant`: tokens for tenants of the gateway. It reads rig.yaml and never writes it: who may call is decided by a person.

use rig_host::{project::Project, tenants};
use rig_specs::Sha256;
use serde_json::json;

use crate::cli::{
    args::{Tenant, TenantCommand, TenantNew},
    render,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Tenant) -> Result<u8, Failure> {
    match &args.command {
        TenantCommand::New(args) => new(session, args),
        TenantCommand::List(args) => list(session, args.json),
    }
}

fn new(session: &Session, args: &TenantNew) -> Result<u8, Failure> {
    if !tenants::is_id(&args.id) {
        return Err(Failure::usage(format!("`{}` cannot be the id of a tenant", args.id)).with_hint(
            "an id is 1 to 64 lower-case letters, digits, `_`, `.` and `-`, with a letter or a digit first: rig tenant new acme",
        ));
    }
    let project = session.project()?;
    let token = tenants::new_token()?;
    let hash = tenants::hash(&token);
    let known = project.config().tenants.get(&args.id);
    let list = if args.approver { "approvers" } else { "tokens" };
    if args.json {
        render::json(&json!({
            "tenant": args.id,
            "approver": args.approver,
            "token": *token,
            "hash": hash,
            "exists": known.is_some(),
        }))?;
        return Ok(exit::DONE);
    }
    // On stdout alone, so that it can be piped to where secrets are kept.
    render::out(&token);
    let hashes = known.map(|tenant| if args.approver { &tenant.approvers } else { &tenant.tokens });
    session.ui.warn("this is the only time that the token is shown; give it to the caller as a secret");
    session.ui.note(&next(&project, args, hashes, list, &hash));
    Ok(exit::DONE)
}

/// What to write into rig.yaml, fitted to what stands there.
fn next(project: &Project, args: &TenantNew, hashes: Option<&Vec<Sha256>>, list: &str, hash: &Sha256) -> String {
    let (file, id) = (project.root().join("rig.yaml"), &args.id);
    let file = file.display();
    match hashes {
        Some(hashes) if !hashes.is_empty() => format!(
            "The tenant is in {file} already. Add the hash to its `{list}`, and take the old one out once nobody uses it:\n\n      - {hash}\n"
        ),
        Some(_) => {
            format!("The tenant is in {file} already. Add to `{}`:\n\n    {list}:\n      - {hash}\n", quoted(id))
        }
        None if project.config().tenants.is_empty() => {
            format!("Add to {file}:\n\ntenants:\n  {}:\n    {list}:\n      - {hash}\n", quoted(id))
        }
        None => format!("Add to `tenants` in {file}:\n\n  {}:\n    {list}:\n      - {hash}\n", quoted(id)),
    }
}

/// An id as a key of YAML: some would be read as a number or a truth value.
fn quoted(id: &str) -> String {
    let plain = id.starts_with(|c: char| c.is_ascii_alphabetic())
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(&id);
    if plain { id.to_owned() } else { format!("\"{id}\"") }
}

fn list(session: &Session, json: bool) -> Result<u8, Failure> {
    let project = session.project()?;
    let tenants = &project.config().tenants;
    if json {
        let entry = |(id, tenant): (&String, &rig_specs::config::Tenant)| {
            json!({
                "id": id,
                "tokens": tenant.tokens.len(),
                "approvers": tenant.approvers.len(),
                "allowed_tools": tenant.allowed_tools,
                "secrets": tenant.secrets,
            })
        };
        render::json(&tenants.iter().map(entry).collect::<Vec<_>>())?;
    } else if tenants.is_empty() {
        session.ui.note("There are no tenants. Make a token for one: rig tenant new ID");
    } else {
        let row = |(id, tenant): (&String, &rig_specs::config::Tenant)| {
            let tools = tenant.allowed_tools.as_ref().map_or("what the policy allows".into(), |globs| globs.join(", "));
            let secrets = tenant
                .secrets
                .as_ref()
                .map_or("all".into(), |slots| slots.keys().cloned().collect::<Vec<_>>().join(", "));
            let some = |text: String| if text.is_empty() { "none".to_owned() } else { text };
            let (tokens, approvers) = (tenant.tokens.len().to_string(), tenant.approvers.len().to_string());
            vec![id.clone(), tokens, approvers, some(tools), some(secrets)]
        };
        let rows: Vec<_> = tenants.iter().map(row).collect();
        render::table(&["Tenant", "Tokens", "Approvers", "Tools", "Secrets"], &rows);
    }
    Ok(exit::DONE)
}
