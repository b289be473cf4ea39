use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use snapline::base::JobId;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Request;

/// No single request takes this long.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The pauses between two questions for a result grow from the one to the other.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// Asks the server of a job.
pub struct Client {
    agent: Agent,
    /// Where the server is, without a slash at the end.
    base: String,
}

impl Client {
    /// A client of the server at `url`, which may lack its scheme.
    pub fn new(url: &str) -> Result<Self> {
        let base = match url.split_once("://") {
            None => format!("http://{url}"),
            Some(("http", _)) => url.to_owned(),
            Some((scheme, _)) => bail!("{url} cannot be asked: the scheme is {scheme}, and http is expected"),
        };
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT));
        Ok(Client { agent: config.build().into(), base: base.trim_end_matches('/').to_owned() })
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", path, None)
    }

    /// The job that is given, or else the only one.
    pub fn job(&self, given: Option<JobId>) -> Result<JobId> {
        if let Some(job) = given {
            return Ok(job);
        }
        let answer = self.get("/jobs")?;
        let jobs = answer["jobs"].as_array().with_context(|| format!("{} serves no jobs", self.base))?;
        let ids: Vec<_> = jobs.iter().filter_map(|job| job["id"].as_str()).collect();
        match ids.as_slice() {
            [only] => Ok(only.parse()?),
            several => bail!("{} serves {} jobs, name one: {}", self.base, several.len(), several.join(", ")),
        }
    }

    pub fn cancel(&self, job: JobId) -> Result<()> {
        self.send("PATCH", &format!("/jobs/{job}?mode=cancel"), None).map(drop)
    }

    /// Triggers a savepoint, waits until it is complete, and gives what the server says of it.
    pub fn savepoint(&self, job: JobId, trigger: &str, body: &Value) -> Result<Value> {
        let triggered = self.send("POST", &format!("/jobs/{job}/{trigger}"), Some(body))?;
        let id = triggered["request-id"].as_str().context("the server has given no id")?;
        let [mut pause, longest] = PAUSES;
        let mut answer = loop {
            let path = format!("/jobs/{job}/savepoints/{id}");
            let lost =
                || format!("it is not known what has become of the savepoint, which was triggered as {id}");
            let answer = self.get(&path).with_context(lost)?;
            if answer["status"]["id"] == "COMPLETED" {
                break answer;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(longest);
        };
        let result = answer["operation"].take();
        match result["failure-cause"]["stack-trace"].as_str() {
            Some(cause) => bail!("there is no savepoint: {cause}"),
            None => Ok(result),
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let uri = format!("{}{path}", self.base);
        let unreachable = |error: ureq::Error| anyhow!("{} cannot be asked: {error}", self.base);
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder().method(method).uri(&uri).body(body);
        let mut response =
            self.agent.run(request.with_context(|| format!("{uri} is no URL"))?).map_err(unreachable)?;
        let (status, text) = (response.status(), response.body_mut().read_to_string().map_err(unreachable)?);
        let answer = serde_json::from_str(&text).unwrap_or(json!({}));
        if status.is_success() {
            return Ok(answer);
        }
        let errors = answer["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let errors: Vec<_> = errors.collect();
        match errors.is_empty() {
            true => bail!("{uri} has answered {status}"),
            false => bail!("{}", errors.join("; ")),
        }
    }
}
