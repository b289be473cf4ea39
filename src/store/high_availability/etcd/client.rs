//! Requests to an etcd, one endpoint after another, until one answers.

#[cfg(test)]
mod tests;

use super::super::EtcdOptions;
use super::agent::agent;
use super::message::{Authenticate, Header, Outcome, Refusal, Token, Transaction};
use crate::store::StorageError;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use ureq::{Agent, Timeout};

/// The pause before the endpoints are tried again, which doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a member says of a token that was given before something was changed about users. The status is 400.
const OLD_TOKEN: &str = "revision of auth store is old";

/// The connections to one cluster.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    options: EtcdOptions,
    /// The endpoint that has answered last.
    preferred: AtomicUsize,
    /// By what the cluster knows who asks.
    token: Mutex<Option<String>>,
}

/// An answer, and whether an earlier request for it was left without one and may have been carried out.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) answer: Outcome,
    pub(super) after_doubt: bool,
}

/// A request that has failed.
#[derive(Debug)]
pub(super) struct Failed {
    cause: io::Error,
    /// Whether it may have been carried out all the same.
    may_be_applied: bool,
    /// Whether the same request may succeed later.
    may_pass: bool,
    /// Whether nothing is wrong but the token.
    wants_token: bool,
}

impl Failed {
    /// As the error of a put.
    pub(super) fn of_put(self, object: &str) -> StorageError {
        match self.may_be_applied {
            true => StorageError::uncertain(object, self.cause),
            false => StorageError::unavailable(object, self.cause),
        }
    }

    /// As the error of what can be repeated.
    pub(super) fn unavailable(self, object: &str) -> StorageError {
        StorageError::unavailable(object, self.cause)
    }
}

impl Client {
    pub(super) fn new(options: EtcdOptions) -> io::Result<Self> {
        Ok(Client {
            agent: agent(&options)?,
            options,
            preferred: AtomicUsize::new(0),
            token: Mutex::new(None),
        })
    }

    /// The addresses, for messages.
    pub(super) fn endpoints(&self) -> String {
        self.options.endpoints.join(",")
    }

    /// Sends a request once, for what need not be done.
    pub(super) fn call_once(&self, request: &Transaction) -> Result<Answered, Failed> {
        let endpoint = &self.options.endpoints[self.preferred.load(Ordering::Relaxed)];
        self.post(endpoint, request).map(|answer| Answered { answer, after_doubt: false })
    }

    /// Sends a request, again and again if need be.
    pub(super) fn call(&self, request: &Transaction) -> Result<Answered, Failed> {
        let (begun, mut pause, mut after_doubt) = (Instant::now(), FIRST_PAUSE, false);
        let mut last: Option<Failed> = None;
        loop {
            for number in self.by_preference() {
                if let Some(failed) = last.take_if(|_| begun.elapsed() >= self.options.retry_timeout) {
                    return Err(failed);
                }
                match self.post(&self.options.endpoints[number], request) {
                    Ok(answer) => {
                        self.preferred.store(number, Ordering::Relaxed);
                        return Ok(Answered { answer, after_doubt });
                    }
                    Err(failed) => {
                        after_doubt |= failed.may_be_applied;
                        let failed = Failed { may_be_applied: after_doubt, ..failed };
                        if !failed.may_pass {
                            return Err(failed);
                        }
                        last = Some(failed);
                    }
                }
            }
            match last.take() {
                Some(failed) if begun.elapsed() + pause >= self.options.retry_timeout => return Err(failed),
                failed => last = failed,
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The numbers of all endpoints, the one that has answered last ahead.
    fn by_preference(&self) -> impl Iterator<Item = usize> {
        let (first, count) = (self.preferred.load(Ordering::Relaxed), self.options.endpoints.len());
        (first..first + count).map(move |number| number % count)
    }

    /// Sends a request once.
    fn post(&self, endpoint: &str, request: &Transaction) -> Result<Outcome, Failed> {
        let send = || self.send(endpoint, "kv/txn", request, self.token(endpoint)?.as_deref());
        let text = match send() {
            // Tokens end with the time and with the member that gave them, and when anything is changed about users.
            Err(failed) if failed.wants_token && self.options.credentials.is_some() => send()?,
            sent => sent?,
        };
        serde_json::from_str(&text).map_err(|error| unintelligible(endpoint, &error))
    }

    /// Sends a request and gives the text of the answer.
    fn send(
        &self,
        endpoint: &str,
        method: &str,
        request: &impl Serialize,
        token: Option<&str>,
    ) -> Result<String, Failed> {
        #[derive(Deserialize)]
        struct Headed {
            header: Header,
        }
        let mut post = self.agent.post(format!("{}/v3/{method}", endpoint.trim_end_matches('/')));
        if let Some(token) = token {
            post = post.header("Authorization", token);
        }
        let mut response = post.send_json(request).map_err(|error| lost(endpoint, error))?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(|error| lost(endpoint, error))?;
        if status != 200 {
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Err(refused(endpoint, status, &text));
        }
        match serde_json::from_str::<Headed>(&text) {
            Ok(Headed { header }) if !header.cluster_id.is_empty() => Ok(text),
            Ok(_) => Err(unintelligible(endpoint, &"it does not say which cluster it is")),
            Err(error) => Err(unintelligible(endpoint, &error)),
        }
    }

    /// By what the cluster knows who asks, if it wants to know.
    fn token(&self, endpoint: &str) -> Result<Option<String>, Failed> {
        let Some(credentials) = &self.options.credentials else { return Ok(None) };
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.is_some() {
            return Ok(known);
        }
        let request = Authenticate { name: &credentials.username, password: &credentials.password };
        // Whatever came of this, nothing was written.
        let harmless = |failed| Failed { may_be_applied: false, ..failed };
        let text = self.send(endpoint, "auth/authenticate", &request, None).map_err(harmless)?;
        let given: Token =
            serde_json::from_str(&text).map_err(|error| harmless(unintelligible(endpoint, &error)))?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(given.token.clone());
        Ok(Some(given.token))
    }
}

/// What it means that there is no answer.
fn lost(endpoint: &str, error: ureq::Error) -> Failed {
    let was_never_sent = match &error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Tls(_)
        | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => true,
        ureq::Error::Io(cause) => matches!(
            cause.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown
                | io::ErrorKind::AddrNotAvailable
        ),
        _ => false,
    };
    let kind = match &error {
        ureq::Error::Timeout(_) => io::ErrorKind::TimedOut,
        ureq::Error::Io(cause) => cause.kind(),
        _ => io::ErrorKind::Other,
    };
    let cause = io::Error::new(kind, format!("{endpoint}: {error}"));
    Failed { cause, may_be_applied: !was_never_sent, may_pass: true, wants_token: false }
}

/// What it means that the answer is an error.
fn refused(endpoint: &str, status: u16, text: &str) -> Failed {
    let Refusal { error, message } = serde_json::from_str(text).unwrap_or_default();
    let told = [error, message].into_iter().find(|told| !told.is_empty());
    let error = told.as_deref().unwrap_or("no reason is given");
    let wants_token = status == 401 || error.contains(OLD_TOKEN);
    let failed = |cause, may_be_applied, may_pass| Failed { cause, may_be_applied, may_pass, wants_token };
    let cause = io::Error::other(format!("{endpoint} answers {status}: {error}"));
    match status {
        // The token is not known there (any more), or too much is asked for at once: nothing was done.
        401 | 429 => failed(cause, false, true),
        408 | 499 | 500.. => failed(cause, true, true),
        _ => failed(cause, false, wants_token),
    }
}

/// What answers is no etcd, or a part of the answer is missing.
fn unintelligible(endpoint: &str, error: &dyn std::fmt::Display) -> Failed {
    let cause = io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{endpoint} answers something that etcd does not: {error}"),
    );
    Failed { cause, may_be_applied: true, may_pass: true, wants_token: false }
}
