//! seam
#![allow(missing_docs)]
use std::time::Duration;
pub const MAX_REQUEST_BODY: usize = 8 << 20;
pub struct CallEgress;
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    pub timeout: Option<Duration>,
}
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}
pub enum HttpError {
    Denied(String),
    InvalidRequest(String),
    Dns(String),
    Connect(String),
    Tls(String),
    Timeout(String),
    TooLarge(String),
    Protocol(String),
}
impl CallEgress {
    pub async fn send(&self, _r: Request) -> Result<Response, HttpError> {
        Err(HttpError::Denied(String::new()))
    }
}
