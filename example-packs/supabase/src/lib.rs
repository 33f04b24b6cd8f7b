//! Rows of tables (PostgREST, version 1 of the path) and users (Auth) of one Supabase project.
//!
//! The pack sees no key: the host adds it to the requests to the project's host, twice, as Supabase wants it. The service role key is
//! above row level security, so what the tools can reach is every table of the schema `public`.

mod api;
mod failure;
mod filter;
mod model;
mod project;

use rig_sdk::{
    Error, Result,
    json::{Map, Object, Value},
    tool,
};
use serde::Serialize;

pub use model::{NewRows, Rows, User};

/// The most rows that one call reads: ten answers of Supabase's own maximum.
const ROW_LIMIT: u32 = 10_000;

/// How many rows Supabase answers at most unless the project is set otherwise.
const PAGE_LIMIT: usize = 1000;

/// Reads rows of a table or view in the project's Postgres database.
#[tool(
    name = "supabase.table.select",
    title = "Read rows",
    risk = "read",
    tags = ["database"],
    slots = ["SUPABASE_SERVICE_ROLE_KEY"],
    idempotent,
    example(
        description = "The names of at most ten adults whose name begins with A",
        args = r#"{"table": "people", "columns": "id,name", "filters": {"age": {"gte": 18}, "name": {"ilike": "a%"}}, "limit": 10}"#
    ),
    example(
        description = "Orders of two customers that were not deleted",
        args = r#"{"table": "orders", "filters": {"customer_id": [7, 9], "deleted_at": null}}"#
    )
)]
pub fn select(
    /// The name of the table or view.
    #[schemars(length(min = 1, max = 200))]
    table: String,
    /// Columns, separated by commas: `id,name`. Those of a related table in parentheses: `id,author(name)`. All when left out.
    #[schemars(length(min = 1, max = 2000))]
    columns: Option<String>,
    /// Which rows: a column and its value, `{"status": "open"}`; null for no value; a list for any of its values,
    /// `{"id": [1, 2]}`; or operators, `{"age": {"gte": 18, "lt": 65}}`. Operators: `eq`, `neq`, `gt`, `gte`, `lt`, `lte`; `like`
    /// and `ilike` (any case) with `%` for any text; `is` with null, true or false; `in` with a list; `cs` for lists and objects
    /// that contain the value. A row must meet all of them.
    filters: Option<Map<String, Value>>,
    /// How many rows to read at most. Without it, as many as the project answers at once, usually 1000.
    #[schemars(range(min = 1, max = ROW_LIMIT))]
    limit: Option<u32>,
) -> Result<Rows> {
    let conditions = filter::conditions(&filters.unwrap_or_default())?;
    let wanted = limit.map(|limit| limit.clamp(1, ROW_LIMIT) as usize);
    let columns = api::without_spaces(columns.as_deref().unwrap_or("*"));
    let mut rows: Vec<Object> = Vec::new();
    loop {
        let left = wanted.map(|wanted| wanted.saturating_sub(rows.len()));
        let request = api::table("GET", &table)?.query("select", &columns);
        let request = filter::apply(request, &conditions).query_opt("limit", left);
        let request = request.query_opt("offset", Some(rows.len()).filter(|offset| *offset > 0));
        let page: Vec<Object> = api::send(request)?.json()?;
        let count = page.len();
        rows.extend(page);
        // Fewer than asked for are all there are, unless more were asked for than are answered at once.
        let more = left.is_some_and(|left| count < left && left > PAGE_LIMIT) && count > 0;
        if !more {
            break;
        }
    }
    rows.truncate(wanted.unwrap_or(usize::MAX));
    Ok(Rows::new(rows))
}

/// Inserts one or more rows into a table and answers them as they are stored, with generated ids and defaults. All rows or none.
#[tool(
    name = "supabase.table.insert",
    title = "Insert rows",
    risk = "write",
    tags = ["database"],
    slots = ["SUPABASE_SERVICE_ROLE_KEY"],
    example(description = "One row", args = r#"{"table": "people", "data": {"name": "Ada", "age": 36}}"#),
    example(description = "Two rows", args = r#"{"table": "people", "data": [{"name": "Ada"}, {"name": "Grace"}]}"#)
)]
pub fn insert(
    /// The name of the table.
    #[schemars(length(min = 1, max = 200))]
    table: String,
    /// The row, as an object of columns and values, or a list of such rows. In a list, a column that one row has and another has not
    /// is null in the other.
    data: NewRows,
) -> Result<Rows> {
    let columns = data.columns()?;
    let request = api::table("POST", &table)?.query_opt("columns", columns);
    api::write(request.json(&data)).map(Rows::new)
}

/// Changes columns of every row that meets the filters, and answers the rows as they are stored now. Read them with
/// `supabase.table.select` and the same filters first: there is no way back.
#[tool(
    name = "supabase.table.update",
    title = "Update rows",
    risk = "write",
    tags = ["database"],
    slots = ["SUPABASE_SERVICE_ROLE_KEY"],
    example(
        description = "One row, by its id",
        args = r#"{"table": "people", "data": {"name": "Ada Lovelace"}, "filters": {"id": 7}}"#
    )
)]
pub fn update(
    /// The name of the table.
    #[schemars(length(min = 1, max = 200))]
    table: String,
    /// The columns to change and their new values.
    #[schemars(extend("minProperties" = 1))]
    data: Map<String, Value>,
    /// Which rows: a column and its value, `{"id": 7}`; null for no value; a list for any of its values; or operators,
    /// `{"age": {"gte": 18, "lt": 65}}`, as in `supabase.table.select`. A row must meet all of them. Never empty: without a filter
    /// every row would change.
    #[schemars(extend("minProperties" = 1))]
    filters: Map<String, Value>,
) -> Result<Rows> {
    let conditions = filter::conditions(&filters)?;
    if conditions.is_empty() {
        return Err(Error::validation(
            "`filters` is empty, and an update without one would change every row of the table",
        )
        .hint("name the rows, for example {\"id\": 7}"));
    }
    if data.is_empty() {
        return Err(Error::validation("`data` names no column to change"));
    }
    let request = filter::apply(api::table("PATCH", &table)?, &conditions);
    api::write(request.json(&data)).map(Rows::new)
}

/// Creates a user who can sign in to the project's app. No mail is sent.
#[tool(
    name = "supabase.auth.createUser",
    title = "Create a user",
    risk = "write",
    tags = ["users"],
    slots = ["SUPABASE_SERVICE_ROLE_KEY"],
    example(
        description = "A user whose address needs no confirmation",
        args = r#"{"email": "ada@example.com", "email_confirm": true, "user_metadata": {"name": "Ada"}}"#
    )
)]
pub fn create_user(
    /// The user's address.
    #[schemars(length(min = 1))]
    email: String,
    /// The password. Without one the user signs in by a link or resets it first.
    #[schemars(length(min = 1))]
    password: Option<String>,
    /// Whether the address counts as confirmed. Otherwise the user has to confirm it before signing in.
    email_confirm: Option<bool>,
    /// What else is stored with the user, for example a name. The user can change it.
    user_metadata: Option<Map<String, Value>>,
) -> Result<User> {
    #[derive(Serialize)]
    struct NewUser {
        email: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        password: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        email_confirm: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_metadata: Option<Map<String, Value>>,
    }
    let request = api::users()?.json(&NewUser { email, password, email_confirm, user_metadata });
    api::send(request).and_then(|response| response.json()).map_err(failure::of_write)
}

rig_sdk::export!(select, insert, update, create_user);

#[cfg(test)]
mod tests;
