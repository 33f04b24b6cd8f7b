//! stub
use rig_specs::config::RateLimit;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
#[derive(Default)]
pub struct Limits;
#[derive(Default)]
pub struct Limiter;
pub struct Permit;
pub struct Limited {
    pub why: String,
    pub retry_after: Duration,
}
impl Limits {
    pub fn new(_: &BTreeMap<String, RateLimit>) -> Self {
        Self
    }
}
impl Limiter {
    pub fn enter(self: &Arc<Self>, _: &Limits, _: &str, _: &str, _: &str) -> Result<Permit, Limited> {
        Ok(Permit)
    }
}
