//! Faults between a server and its clients.

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused, and nothing has been done.
    Refused,
    /// It is carried out, and then answered as if something had gone wrong.
    Failed,
    /// It is carried out, and the connection is closed without an answer.
    Lost,
    /// The connection is closed, and nothing has been done.
    Closed,
    /// It is not accepted who has sent it.
    Forbidden,
    /// It is never answered.
    Hanging,
}

/// What becomes of a request with a method, and with a number among those.
type Plan = Box<dyn Fn(&str, u64) -> Option<Fault> + Send>;

#[derive(Default)]
pub struct Faults {
    plan: Option<Plan>,
    /// How many requests there were with each method since the plan was made.
    requests: BTreeMap<String, u64>,
}

impl Faults {
    pub fn planned(plan: impl Fn(&str, u64) -> Option<Fault> + Send + 'static) -> Self {
        Faults { plan: Some(Box::new(plan)), requests: BTreeMap::new() }
    }

    /// How many requests there were with this method.
    pub fn requests(&self, method: &str) -> u64 {
        self.requests.get(method).copied().unwrap_or(0)
    }

    fn next(&mut self, method: &str) -> Option<Fault> {
        let requests = self.requests.entry(method.to_owned()).or_default();
        *requests += 1;
        self.plan.as_ref()?(method, *requests - 1)
    }
}

/// Carries requests out, but for those that `faults` has planned something for.
pub async fn serve<B, F>(
    listener: TcpListener,
    carry_out: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    empty: fn() -> B,
    faults: Arc<Mutex<Faults>>,
) where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    F: Future<Output = Result<Response<B>, &'static str>> + Send,
{
    loop {
        // A client that is gone before it is accepted is no reason to stop.
        let Ok((connection, _)) = listener.accept().await else { continue };
        let (carry_out, faults) = (carry_out.clone(), Arc::clone(&faults));
        let answer = service_fn(move |request: Request<Incoming>| {
            let fault = faults.lock().unwrap().next(request.method().as_str());
            let carry_out = carry_out.clone();
            async move {
                let answer_of = |status| {
                    let mut answer = Response::new(empty());
                    *answer.status_mut() = status;
                    answer
                };
                match fault {
                    None => carry_out(request).await,
                    Some(Fault::Refused) => {
                        arrive(request).await;
                        Ok(answer_of(StatusCode::SERVICE_UNAVAILABLE))
                    }
                    Some(Fault::Forbidden) => {
                        arrive(request).await;
                        Ok(answer_of(StatusCode::FORBIDDEN))
                    }
                    Some(Fault::Closed) => Err("planned"),
                    Some(Fault::Hanging) => std::future::pending().await,
                    Some(Fault::Failed) => {
                        let _ = carry_out(request).await;
                        Ok(answer_of(StatusCode::INTERNAL_SERVER_ERROR))
                    }
                    Some(Fault::Lost) => {
                        let _ = carry_out(request).await;
                        Err("planned")
                    }
                }
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), answer));
    }
}

/// Servers answer when the whole request has arrived.
pub async fn arrive(request: Request<Incoming>) {
    let mut body = request.into_body();
    while poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.is_some() {}
}
