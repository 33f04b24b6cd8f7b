//! `rig:pack/http`: hands requests to the egress gate. All rules are the gate's.

use std::{sync::Arc, time::Duration};

use super::client::Changes;
use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::{
    egress::{self, CallEgress},
    sandbox::{bindings::rig::pack::http as generated, instance::State},
};

struct Http<'a>(Option<&'a Arc<CallEgress>>, &'a mut Changes);

struct HasHttp;

impl HasData for HasHttp {
    type Data<'a> = Http<'a>;
}

impl generated::Host for Http<'_> {
    async fn send(
        &mut self,
        request: generated::Request,
    ) -> Result<std::result::Result<generated::Response, generated::HttpError>> {
        let Some(egress) = self.0 else {
            return Ok(Err(generated::HttpError::Denied("nothing can be sent from here".into())));
        };
        self.1.request(&request.method);
        let request = egress::Request {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            timeout: request.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms))),
        };
        Ok(match egress.send(request).await {
            Ok(egress::Response { status, headers, body }) => Ok(generated::Response { status, headers, body }),
            Err(error) => Err(error.into()),
        })
    }
}

impl From<egress::HttpError> for generated::HttpError {
    fn from(error: egress::HttpError) -> Self {
        match error {
            egress::HttpError::Denied(why) => Self::Denied(why),
            egress::HttpError::InvalidRequest(why) => Self::InvalidRequest(why),
            egress::HttpError::Dns(why) => Self::Dns(why),
            egress::HttpError::Connect(why) => Self::Connect(why),
            egress::HttpError::Tls(why) => Self::Tls(why),
            egress::HttpError::Timeout(why) => Self::Timeout(why),
            egress::HttpError::TooLarge(why) => Self::TooLarge(why),
            egress::HttpError::Protocol(why) => Self::Protocol(why),
        }
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    generated::add_to_linker::<State, HasHttp>(linker, |state| Http(state.reach.egress.as_ref(), &mut state.changes))
}
