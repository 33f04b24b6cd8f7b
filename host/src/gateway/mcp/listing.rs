//! The tools as a client lists them: rendered once for each version of the project and each tenant, in pages.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use rig_specs::Sha256;
use rmcp::{
    ErrorData,
    model::{CacheScope, ListToolsResult, Tool},
};
use serde_json::json;

use crate::{export, gateway::Live};

/// Tools of one page. Most projects fit on one; a page of the longest definitions is still some megabytes at most.
const PAGE: usize = 500;
/// For how long a client may use a list without asking again, in milliseconds. Clients that listen are told of changes at once; this
/// is for the others.
const FRESH_MS: u64 = 60_000;
/// What a cursor begins with; the name of the last tool of the page before follows.
const AFTER: &str = "after:";

/// The lists of the version that is served.
#[derive(Default)]
pub(super) struct Listings(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    generation: u64,
    lists: BTreeMap<Option<String>, Arc<Listing>>,
}

/// The tools that one tenant sees, sorted by their portable names.
pub(super) struct Listing {
    tools: Vec<Tool>,
    /// Over everything a client sees of them: changes when the list really changes.
    pub(super) digest: Sha256,
}

impl Listings {
    /// The list for a tenant.
    pub(super) fn get(&self, live: &Live, tenant: Option<&str>) -> Arc<Listing> {
        // A tenant that the project does not know sees what it may call, which is nothing it could not see without a name; it must
        // not fill the cache.
        let known = tenant.is_none_or(|tenant| live.caller.config().tenants.contains_key(tenant));
        if !known {
            return Arc::new(Listing::new(live, tenant));
        }
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.generation != live.generation {
            *cached = Cached { generation: live.generation, lists: BTreeMap::new() };
        }
        let list = cached.lists.entry(tenant.map(str::to_owned));
        Arc::clone(list.or_insert_with(|| Arc::new(Listing::new(live, tenant))))
    }
}

impl Listing {
    fn new(live: &Live, tenant: Option<&str>) -> Self {
        let caller = &live.caller;
        let offered = export::offered(caller.snapshot(), caller.policy(), tenant);
        let render = |offered: export::Offered<'_>| {
            let name = live.names.portable(&offered.tool.def.name)?;
            serde_json::from_value::<Tool>(export::mcp(name, offered)).ok()
        };
        let mut tools: Vec<Tool> = offered.filter_map(render).collect();
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        let digest = Sha256::of_json(&json!(tools));
        Self { tools, digest }
    }

    /// One tool by its portable name.
    pub(super) fn tool(&self, name: &str) -> Option<&Tool> {
        let found = self.tools.binary_search_by(|tool| (*tool.name).cmp(name)).ok()?;
        self.tools.get(found)
    }

    /// The page that a cursor stands for, or the first. A cursor stays good when tools come and go: it names the last tool seen.
    /// `cached` says whether the client's era knows for how long it may keep the page.
    pub(super) fn page(&self, cursor: Option<&str>, cached: bool) -> Result<ListToolsResult, ErrorData> {
        let start = match cursor {
            None => 0,
            Some(cursor) => {
                let last = cursor.strip_prefix(AFTER).filter(|name| name.len() <= export::MAX_NAME);
                let last = last.ok_or_else(|| {
                    ErrorData::invalid_params("the cursor is none of this server's; list from the beginning", None)
                })?;
                self.tools.partition_point(|tool| *tool.name <= *last)
            }
        };
        let rest = self.tools.get(start..).unwrap_or_default();
        let page = rest.get(..PAGE).unwrap_or(rest).to_vec();
        let more = rest.len() > PAGE;
        let mut result = ListToolsResult::with_all_items(page);
        if cached {
            // What one token sees is nobody else's matter.
            (result.ttl_ms, result.cache_scope) = (Some(FRESH_MS), Some(CacheScope::Private));
        }
        if let Some(last) = result.tools.last().filter(|_| more) {
            result.next_cursor = Some(format!("{AFTER}{}", last.name));
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;

    fn listing(count: usize) -> Listing {
        let tool = |n| Tool::new(format!("pack_tool_{n:04}"), "Does it.", Map::new());
        let tools: Vec<Tool> = (0..count).map(tool).collect();
        Listing { digest: Sha256::of(b""), tools }
    }

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let mut listing = listing(1203);
        let (mut names, mut cursor, mut pages) = (Vec::new(), None, Vec::new());
        loop {
            let page = listing.page(cursor.as_deref(), true).unwrap();
            names.extend(page.tools.iter().map(|tool| tool.name.to_string()));
            pages.push(page.tools.len());
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
            // The tool that the cursor names may be gone meanwhile.
            if pages.len() == 1 {
                listing.tools.remove(499);
            }
        }
        assert_eq!(pages, [500, 500, 203]);
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!((names.len(), unique.len()), (1203, 1203));
        assert_eq!(listing.page(None, true).unwrap().ttl_ms, Some(FRESH_MS));
        assert_eq!(listing.page(None, false).unwrap().ttl_ms, None);
        assert_eq!(super::tests::listing(500).page(None, false).unwrap().next_cursor, None);
    }

    #[test]
    fn foreign_cursors_are_refused() {
        for cursor in ["", "2", "pack_tool_0001", &format!("after:{}", "x".repeat(65))] {
            let error = listing(3).page(Some(cursor), false).unwrap_err();
            assert_eq!(error.code, rmcp::model::ErrorCode::INVALID_PARAMS, "{cursor}");
        }
        assert_eq!(listing(3).page(Some("after:zzz"), false).unwrap().tools.len(), 0);
        assert_eq!(listing(3).tool("pack_tool_0002").unwrap().name, "pack_tool_0002");
        assert!(listing(3).tool("pack_tool").is_none());
    }
}
