//! A job that is controlled over HTTP, by a client of its own.

mod storage_trouble;

use crate::common::{JOB, Place, World, job, memory, options, wait_until};
use serde_json::{Value, json};
use snapline::base::{Attempt, CheckpointId, CheckpointKind, Millis, SavepointFormat};
use snapline::coordinator::StopMode;
use snapline::rest::{RestError, RestOptions, RestServer, routes};
use snapline::runtime::{JobEnd, JobHandle, JobOptions};
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(300);

/// A job with two sources, and a server for it.
struct Served {
    world: Arc<World>,
    storage: Arc<dyn CheckpointStorage>,
    handle: JobHandle,
    server: RestServer,
    client: Client,
    /// What the server calls the job; no other server of these tests does.
    job_name: String,
}

#[derive(Clone)]
struct Client {
    agent: ureq::Agent,
    address: SocketAddr,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Client { agent, address }
    }

    /// Sends a request, and gives the status and the body of the answer.
    fn try_send(&self, method: &str, path: &str, body: &str) -> Result<(u16, Value), ureq::Error> {
        let uri = format!("http://{}{path}", self.address);
        let request = ureq::http::Request::builder().method(method).uri(uri).body(body.to_owned()).unwrap();
        let mut response = self.agent.run(request)?;
        Ok((response.status().as_u16(), response.body_mut().read_json()?))
    }

    /// Whether a server answers that calls its job so. Once that is gone, its port may be given to another one.
    fn finds(&self, job_name: &str) -> bool {
        let answer = self.try_send("GET", "/jobs/overview", "");
        answer.is_ok_and(|(_, overview)| overview["jobs"][0]["name"] == job_name)
    }

    #[track_caller]
    fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.try_send(method, path, body).unwrap()
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, "");
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Triggers something, and gives the path under which it is asked for.
    #[track_caller]
    fn trigger(&self, path: &str, body: &Value) -> String {
        let (status, answer) = self.send("POST", path, &body.to_string());
        assert_eq!(status, 202, "{answer}");
        let what = if path.ends_with("stop") { path.replace("stop", "savepoints") } else { path.to_owned() };
        format!("{what}/{}", answer["request-id"].as_str().unwrap())
    }

    /// Waits until what was triggered has ended, and gives its result.
    #[track_caller]
    #[allow(clippy::disallowed_methods, reason = "only to give up")]
    fn result(&self, path: &str) -> Value {
        let start = Instant::now();
        loop {
            let mut answer = self.get(path);
            if answer["status"]["id"] == "COMPLETED" {
                return answer["operation"].take();
            }
            assert_eq!(answer, json!({ "status": { "id": "IN_PROGRESS" }, "operation": null }));
            assert!(start.elapsed() < PATIENCE, "{path} does not end");
        }
    }
}

fn on_a_free_port() -> RestOptions {
    RestOptions { address: SocketAddr::from(([127, 0, 0, 1], 0)), ..RestOptions::default() }
}

impl Served {
    fn start(world: Arc<World>, options: JobOptions, storage: Arc<dyn CheckpointStorage>) -> Self {
        static SERVED: AtomicU32 = AtomicU32::new(1);
        let handle = job(&world, 2).start(options, Arc::clone(&storage)).unwrap();
        let job_name = format!("job {}", SERVED.fetch_add(1, Ordering::Relaxed));
        let options = RestOptions { job_name: job_name.clone(), linger: PATIENCE, ..on_a_free_port() };
        let server = RestServer::start(&handle, options).unwrap();
        let client = Client::new(server.address());
        Served { world, storage, handle, server, client, job_name }
    }

    /// A job that has taken a checkpoint and does not come to its end.
    fn held() -> Self {
        Served::held_with(options(1), memory())
    }

    /// The same with its checkpoints in files.
    fn held_in(folder: &Path) -> Self {
        let storage = FileSystemCheckpointStorage::open(folder, JOB).unwrap();
        let options = JobOptions { checkpoint_interval: Some(Millis(20)), ..options(0) };
        Served::held_with(options, Arc::new(storage))
    }

    fn held_with(options: JobOptions, storage: Arc<dyn CheckpointStorage>) -> Self {
        let world = World::new();
        world.hold_from(Some(0));
        let served = Served::start(world, options, storage);
        wait_until(&served.handle, || served.handle.progress().completed > 0);
        served
    }

    /// The same without periodic checkpoints from now on.
    fn quiet() -> Self {
        let served = Served::held();
        served.handle.control().switch_periodic_checkpoints(false);
        // What was under way before is over then.
        served.client.result(&served.client.trigger(&of_job("checkpoints"), &json!({})));
        served
    }

    /// Waits for the end of the job, and then of the server.
    fn end(self) -> JobEnd {
        let end = self.handle.wait().unwrap().end;
        self.server.join();
        assert!(!self.client.finds(&self.job_name), "the server is gone");
        end
    }

    fn savepoint_name(&self, id: u64) -> String {
        let attempt = self.handle.progress().attempt;
        self.storage.savepoint_name(CheckpointId(id), attempt)
    }

    fn newest(&self) -> u64 {
        self.handle.progress().last.unwrap().id.0
    }
}

fn of_job(what: &str) -> String {
    format!("/jobs/{JOB}/{what}")
}

#[test]
fn rest_job_is_listed_with_its_status_and_its_operators() {
    let served = Served::held();
    let id = JOB.to_string();
    let ids = json!({ "jobs": [{ "id": id, "status": "RUNNING" }] });
    assert_eq!(served.client.get("/jobs"), ids);
    assert_eq!(served.client.get("/v1/jobs"), ids, "Flink has every path twice");
    let overview = served.client.get("/jobs/overview");
    let [job] = overview["jobs"].as_array().unwrap().as_slice() else { panic!("{overview}") };
    assert_eq!(
        (&job["jid"], &job["name"], &job["state"]),
        (&json!(id), &json!(served.job_name), &json!("RUNNING"))
    );
    assert_eq!((&job["end-time"], &job["tasks"]), (&json!(-1), &json!({ "total": 6 })));
    let details = served.client.get(&format!("/jobs/{JOB}"));
    let start = details["start-time"].as_u64().unwrap();
    assert!(details["now"].as_u64().unwrap() >= start + details["duration"].as_u64().unwrap());
    let vertices = details["vertices"].as_array().unwrap();
    let of = |vertex: &Value| (vertex["id"].clone(), vertex["parallelism"].clone());
    assert_eq!(of(&vertices[0]), (json!("numbers"), json!(2)));
    assert_eq!((vertices.len(), &vertices[1]["maxParallelism"]), (3, &json!(128)));
    served.handle.control().cancel();
    assert_eq!(served.end(), JobEnd::Cancelled);
}

#[test]
fn rest_savepoint_is_in_progress_until_it_is_complete_whoever_asks() {
    let served = Served::quiet();
    served.world.close(Place::SnapshotSource);
    let path = served.client.trigger(&of_job("savepoints"), &json!({}));
    served.world.wait_for_arrival();
    assert_eq!(served.client.get(&path)["status"]["id"], "IN_PROGRESS");
    let location = served.savepoint_name(served.newest() + 1);
    std::thread::scope(|scope| {
        let client = &served.client;
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(|| client.result(&path))).collect();
        served.world.open_again();
        for asked in asking {
            assert_eq!(asked.join().unwrap(), json!({ "location": location }));
        }
    });
    assert_eq!(served.handle.progress().last.unwrap().kind, CheckpointKind::Savepoint);
    served.handle.control().cancel();
    served.end();
}

#[test]
fn rest_trigger_id_is_taken_once_however_often_it_comes() {
    let served = Served::quiet();
    let body = json!({ "triggerId": "0123456789abcdef0123456789abcdef", "formatType": "CANONICAL" });
    let before = served.newest();
    std::thread::scope(|scope| {
        let client = &served.client;
        let sent: Vec<_> =
            (0..8).map(|_| scope.spawn(|| client.trigger(&of_job("savepoints"), &body))).collect();
        for path in sent.into_iter().map(|sent| sent.join().unwrap()) {
            assert!(path.ends_with("/0123456789abcdef0123456789abcdef"), "{path}");
            let location = served.savepoint_name(before + 1);
            assert_eq!(client.result(&path), json!({ "location": location }));
        }
    });
    let (status, answer) = served.client.send(
        "POST",
        &of_job("stop"),
        &json!({ "triggerId": "0123456789abcdef0123456789abcdef" }).to_string(),
    );
    assert_eq!(status, 409, "{answer}");
    let another = served.client.trigger(&of_job("savepoints"), &json!({}));
    let location = served.savepoint_name(before + 2);
    assert_eq!(served.client.result(&another), json!({ "location": location }), "nothing came between");
    served.handle.control().cancel();
    served.end();
}

#[test]
fn rest_two_triggers_at_once_are_two_savepoints() {
    let served = Served::quiet();
    let before = served.newest();
    served.world.close(Place::SnapshotSource);
    let paths =
        [(); 2].map(|()| served.client.trigger(&of_job("savepoints"), &json!({ "cancel-job": false })));
    assert_ne!(paths[0], paths[1]);
    served.world.wait_for_arrival();
    served.world.open_again();
    for (number, path) in (1..).zip(&paths) {
        let location = served.savepoint_name(before + number);
        assert_eq!(served.client.result(path), json!({ "location": location }));
    }
    served.handle.control().cancel();
    served.end();
}

#[test]
fn rest_stop_ends_the_job_with_a_savepoint_that_the_client_is_told_of() {
    for drain in [false, true] {
        let served = Served::held();
        let path = served.client.trigger(&of_job("stop"), &json!({ "drain": drain }));
        let result = served.client.result(&path);
        let last = served.handle.progress().last.unwrap();
        assert_eq!(last.kind, CheckpointKind::Stop);
        assert_eq!(result, json!({ "location": served.storage.checkpoint_name(last.id) }));
        let end = if drain { JobEnd::Finished } else { JobEnd::Stopped(last.id) };
        assert_eq!(served.end(), end);
    }
}

#[test]
fn rest_cancel_ends_the_job_and_the_server() {
    let served = Served::held();
    let path = format!("/jobs/{JOB}");
    for (mode, text) in [("stop", "/jobs/:jobid/stop"), ("explode", "no mode `explode`")] {
        let (status, answer) = served.client.send("PATCH", &format!("{path}?mode={mode}"), "");
        assert_eq!(status, 400);
        assert!(answer["errors"][0].as_str().unwrap().contains(text), "{answer}");
    }
    assert_eq!(served.client.send("PATCH", &format!("{path}?mode=cancel"), ""), (202, json!({})));
    assert_eq!(served.end(), JobEnd::Cancelled);
}

#[test]
fn rest_cancel_with_a_savepoint_takes_it_first() {
    let served = Served::held();
    let path = served.client.trigger(&of_job("savepoints"), &json!({ "cancel-job": true }));
    let result = served.client.result(&path);
    let watch = served.handle.watch();
    let savepoint = watch.checkpoints().latest_savepoint.unwrap();
    let location = served.savepoint_name(savepoint.id.0);
    assert_eq!(result, json!({ "location": location }));
    assert_eq!(served.end(), JobEnd::Cancelled);
    assert_eq!(watch.progress().last.unwrap().id, savepoint.id, "nothing came after it");
}

#[test]
fn rest_checkpoints_are_triggered_and_told_of() {
    let served = Served::quiet();
    let before = served.newest();
    let full = served.client.trigger(&of_job("checkpoints"), &json!({ "checkpointType": "FULL" }));
    assert_eq!(served.client.result(&full), json!({ "checkpointId": before + 1 }));
    assert_eq!(served.handle.progress().last.unwrap().kind, CheckpointKind::Full);
    let savepoint = served.client.trigger(&of_job("savepoints"), &json!({}));
    let location = served.client.result(&savepoint)["location"].clone();
    let told = served.client.get(&of_job("checkpoints"));
    assert_eq!(
        told["counts"],
        json!({
            "restored": 0,
            "total": before + 2,
            "in_progress": 0,
            "completed": before + 2,
            "failed": 0,
        })
    );
    let latest = &told["latest"];
    assert_eq!((&latest["failed"], &latest["restored"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&latest["savepoint"]["external_path"], &latest["savepoint"]["is_savepoint"]),
        (&location, &json!(true))
    );
    let newest = &told["history"][1];
    assert_eq!(newest, &latest["completed"]);
    assert_eq!((&newest["id"], &newest["status"]), (&json!(before + 1), &json!("COMPLETED")));
    assert_eq!((&newest["checkpoint_type"], &newest["num_subtasks"]), (&json!("CHECKPOINT"), &json!(6)));
    assert!(newest["state_size"].as_u64().unwrap() > 0, "{newest}");
    assert!(
        newest["latest_ack_timestamp"].as_u64().unwrap() >= newest["trigger_timestamp"].as_u64().unwrap()
    );
    // One that is under way.
    served.world.close(Place::SnapshotSource);
    let under_way =
        served.client.trigger(&of_job("checkpoints"), &json!({ "checkpointType": "INCREMENTAL" }));
    let newest = || served.client.get(&of_job("checkpoints"))["history"][0].clone();
    wait_until(&served.handle, || newest()["status"] == "IN_PROGRESS");
    served.world.fail_next(Place::SnapshotSource);
    served.world.open_again();
    let result = served.client.result(&under_way);
    assert!(result["failureCause"]["stack-trace"].as_str().unwrap().contains("was aborted"), "{result}");
    let newest = newest();
    assert_eq!((&newest["status"], &newest["id"]), (&json!("FAILED"), &json!(before + 3)));
    wait_until(&served.handle, || served.handle.progress().restarts > 0);
    let restored = served.client.get(&of_job("checkpoints"))["latest"]["restored"].take();
    assert_eq!((&restored["id"], &restored["is_savepoint"]), (&json!(before + 1), &json!(false)));
    served.handle.control().cancel();
    assert_eq!(served.end(), JobEnd::Cancelled);
}

#[test]
fn rest_requests_that_make_no_sense_are_refused_with_what_is_wrong() {
    let served = Served::quiet();
    let before = served.newest();
    let (job, other) = (format!("/jobs/{JOB}"), "/jobs/00000000000000000000000000000008");
    let unknown_trigger = format!("{job}/savepoints/00000000000000000000000000000001");
    let refused = [
        ("GET", "/jobs/everything", "", 400, "`everything` is not a job id"),
        ("GET", other, "", 404, "there is no job"),
        ("PATCH", other, "", 404, "there is no job"),
        ("POST", &format!("{other}/savepoints"), "{}", 404, "there is no job"),
        ("POST", &format!("{other}/stop"), "{}", 404, "there is no job"),
        ("GET", &unknown_trigger, "", 404, "no operation under the trigger id"),
        ("GET", &unknown_trigger.replace("savepoints", "checkpoints"), "", 404, "no operation"),
        ("GET", &format!("{job}/savepoints/1"), "", 400, "`1` is not a trigger id"),
        ("GET", "/savepoint-disposal/00000000000000000000000000000001", "", 404, "no operation"),
        ("POST", &format!("{job}/savepoints"), "savepoint!", 400, "the body is wrong: expected value"),
        ("POST", &format!("{job}/savepoints"), "{\"drain\":true}", 400, "unknown field `drain`"),
        ("POST", &format!("{job}/savepoints"), "{\"cancel-job\":1}", 400, "expected a boolean"),
        ("POST", &format!("{job}/savepoints"), "{\"triggerId\":\"x\"}", 400, "`x` is not a trigger id"),
        ("POST", &format!("{job}/savepoints"), "{\"targetDirectory\":\"/x\"}", 400, "unknown field `targetD"),
        ("POST", &format!("{job}/stop"), "{\"target-directory\":\"/x\"}", 400, "unknown field `target-d"),
        ("POST", &format!("{job}/savepoints"), "{\"target-directory\":7}", 400, "expected a string"),
        ("POST", &format!("{job}/savepoints"), "{\"formatType\":\"QUICK\"}", 400, "unknown variant `QUICK`"),
        ("POST", &format!("{job}/stop"), "{\"formatType\":\"QUICK\"}", 400, "unknown variant `QUICK`"),
        ("POST", &format!("{job}/stop"), "{\"formatType\":\"ODD\"}", 400, "unknown variant `ODD`"),
        ("POST", &format!("{job}/checkpoints"), "{\"checkpointType\":\"HALF\"}", 400, "unknown variant"),
        ("POST", "/savepoint-disposal", "", 400, "missing field `savepoint-path`"),
        (
            "POST",
            "/savepoint-disposal",
            r#"{"savepoint-path": "chk/savepoint-1-1"}"#,
            400,
            "must be an absolute path",
        ),
        (
            "POST",
            "/savepoint-disposal",
            r#"{"savepoint-path": "s3://b/savepoint-1-1"}"#,
            400,
            "must be an absolute path",
        ),
        ("GET", "/taskmanagers", "", 404, "Not found: /taskmanagers"),
        ("DELETE", "/jobs", "", 405, "DELETE is not served at /jobs"),
        ("GET", "/jobs/%ff", "", 400, "Invalid URL"),
    ];
    for (method, path, body, status, text) in refused {
        let (found, answer) = served.client.send(method, path, body);
        assert_eq!(found, status, "{method} {path} {body}: {answer}");
        let error = answer["errors"][0].as_str().unwrap();
        assert!(error.contains(text), "{method} {path} {body}: {error}");
    }
    let checkpoint = served.client.trigger(&of_job("checkpoints"), &json!({}));
    assert_eq!(
        served.client.result(&checkpoint),
        json!({ "checkpointId": before + 1 }),
        "nothing was triggered"
    );
    served.handle.control().cancel();
    served.end();
}

#[test]
fn rest_savepoints_are_in_the_format_that_was_asked_for() {
    let world = World::new();
    world.hold_from(Some(0));
    let storage = memory();
    let served = Served::start(world, crate::common::in_files(0), Arc::clone(&storage));
    wait_until(&served.handle, || served.handle.progress().completed > 0);
    let is_in_files = |path: &str, body: Value| {
        let triggered = served.client.trigger(&of_job(path), &body);
        let location = served.client.result(&triggered)["location"].as_str().unwrap().to_owned();
        let name = location.rsplit('/').next().unwrap();
        let numbers: Vec<u32> = name.split('-').filter_map(|part| part.parse().ok()).collect();
        let metadata = match numbers[..] {
            [savepoint, attempt] => storage.read_savepoint(CheckpointId(savepoint.into()), Attempt(attempt)),
            [checkpoint] => storage.read_metadata(CheckpointId(checkpoint.into())),
            _ => panic!("{location}"),
        };
        !metadata.unwrap().unwrap().checkpoint.shared.is_empty()
    };
    assert!(!is_in_files("savepoints", json!({})));
    assert!(!is_in_files("savepoints", json!({ "formatType": "CANONICAL" })));
    assert!(is_in_files("savepoints", json!({ "formatType": "NATIVE" })));
    assert!(!is_in_files("stop", json!({ "formatType": "CANONICAL" })));
    assert!(matches!(served.end(), JobEnd::Stopped(_)));
}

#[test]
fn rest_savepoint_that_the_job_refuses_is_told_of_with_the_reason() {
    let world = World::new();
    world.close(Place::Open);
    let served = Served::start(world, options(0), memory());
    served.world.wait_for_arrival();
    assert_eq!(served.client.get("/jobs")["jobs"][0]["status"], "INITIALIZING");
    let path = served.client.trigger(&of_job("savepoints"), &json!({}));
    let cause = served.client.result(&path)["failure-cause"].take();
    assert_eq!(
        cause,
        json!({ "class": "RequestError::Refused", "stack-trace": "refused: not all tasks run" })
    );
    served.world.open_again();
    assert_eq!(served.end(), JobEnd::Finished);
}

#[test]
fn rest_result_waits_for_who_has_triggered_it_when_the_job_has_ended() {
    let served = Served::held();
    let path = served.client.trigger(&of_job("stop"), &json!({}));
    let Served { handle, server, client, job_name, .. } = served;
    let watch = handle.watch();
    let end = handle.wait().unwrap().end;
    let JobEnd::Stopped(savepoint) = end else { panic!("{end:?}") };
    assert_eq!(client.get("/jobs")["jobs"][0]["status"], "FINISHED");
    let details = client.get(&format!("/jobs/{JOB}"));
    let length = details["end-time"].as_i64().unwrap() - details["start-time"].as_i64().unwrap();
    assert_eq!(json!(length), details["duration"], "it lasts no longer");
    assert_eq!(watch.progress().ended, Some(Millis(length as u64)));
    let late = client.trigger(&of_job("savepoints"), &json!({}));
    let location = client.result(&path)["location"].clone();
    assert!(location.as_str().unwrap().ends_with(&format!("chk-{savepoint}")), "{location}");
    let cause = client.result(&late)["failure-cause"]["stack-trace"].take();
    assert_eq!(cause, "refused: the job is stopping or has ended");
    server.join();
    assert!(!client.finds(&job_name), "the server is gone");
}

#[test]
fn rest_result_that_nobody_asks_for_keeps_the_server_no_longer_than_it_may() {
    let world = World::new();
    world.hold_from(Some(0));
    let handle = job(&world, 2).start(options(0), memory()).unwrap();
    let options = RestOptions { linger: Duration::ZERO, ..on_a_free_port() };
    let server = RestServer::start(&handle, options).unwrap();
    Client::new(server.address()).trigger(&of_job("stop"), &json!({}));
    handle.wait().unwrap();
    server.join();
}

#[test]
fn rest_server_that_is_dropped_is_gone_and_the_job_goes_on() {
    let served = Served::held();
    let Served { world, handle, server, client, job_name, .. } = served;
    // It does not wait for anyone.
    client.trigger(&of_job("savepoints"), &json!({}));
    let address = server.address();
    let taken = RestServer::start(&handle, RestOptions { address, ..on_a_free_port() });
    assert!(matches!(&taken, Err(RestError::Bind { address: of, .. }) if *of == address), "two on one port");
    assert!(client.finds(&job_name));
    drop(server);
    assert!(!client.finds(&job_name), "the server is gone");
    let again = RestServer::start(&handle, on_a_free_port()).unwrap();
    Client::new(again.address()).get("/jobs");
    world.hold_from(None);
    assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
    again.join();
    world.assert_exact(2);
}

#[test]
fn rest_server_is_for_this_machine_alone_unless_it_is_told_otherwise() {
    let address = RestOptions::default().address;
    assert!(address.ip().is_loopback() && address.port() == 8081, "{address}");
}

/// H24
#[test]
fn rest_savepoints_lie_in_the_directory_that_was_asked_for_and_are_disposed_of() {
    for (what, body) in [("savepoints", "target-directory"), ("stop", "targetDirectory")] {
        let [folder, target] = [(); 2].map(|()| TempDir::new().unwrap());
        let served = Served::held_in(folder.path());
        let client = &served.client;
        let wrong = client.trigger(&of_job(what), &json!({ body: "s3://bucket/savepoints" }));
        assert_eq!(
            client.result(&wrong)["failure-cause"],
            json!({
                "class": "RequestError::WrongTarget",
                "stack-trace":
                    "no savepoint can lie in `s3://bucket/savepoints`: it must lie in the file system",
            })
        );
        let trigger = "0123456789abcdef0123456789abcdef";
        let target = target.path().to_str().unwrap();
        let path = client.trigger(&of_job(what), &json!({ body: target, "triggerId": trigger }));
        let elsewhere = json!({ body: "/elsewhere", "triggerId": trigger }).to_string();
        assert_eq!(client.send("POST", &of_job(what), &elsewhere).0, 409, "something else was triggered");
        let location = client.result(&path)["location"].as_str().unwrap().to_owned();
        let is_there = location.starts_with(&format!("{target}/{JOB}/savepoint-"));
        assert!(is_there && Path::new(&location).join("_metadata").exists(), "{location}");
        if what == "savepoints" {
            let disposal = client.trigger("/savepoint-disposal", &json!({ "savepoint-path": location }));
            assert_eq!(client.result(&disposal), json!({}));
            assert!(!Path::new(&location).exists());
            drop(served.handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Canonical));
        }
        assert!(matches!(served.end(), JobEnd::Stopped(_)));
    }
}

#[test]
fn rest_disposal_deletes_savepoints_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let served = Served::held_in(folder.path());
    let path = served.client.trigger(&of_job("savepoints"), &json!({}));
    let savepoint = served.client.result(&path)["location"].as_str().unwrap().to_owned();
    let dispose = |path: &str| {
        let disposal = served.client.trigger("/savepoint-disposal", &json!({ "savepoint-path": path }));
        served.client.result(&disposal)
    };
    assert!(Path::new(&savepoint).exists());
    assert_eq!(dispose(&savepoint), json!({}));
    assert!(!Path::new(&savepoint).exists());
    assert_eq!(dispose(&savepoint), json!({}), "it is gone");
    served.handle.control().switch_periodic_checkpoints(false);
    let path = served.client.trigger(&of_job("checkpoints"), &json!({}));
    let id = served.client.result(&path)["checkpointId"].as_u64().unwrap();
    let checkpoint = folder.path().join(JOB.to_string()).join(format!("chk-{id}"));
    let cause = dispose(checkpoint.to_str().unwrap())["failure-cause"].take();
    assert!(cause["stack-trace"].as_str().unwrap().contains("is no savepoint"), "{cause}");
    assert!(checkpoint.join("_metadata").exists());
    drop(served.handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
    assert!(matches!(served.end(), JobEnd::Stopped(_)));
}

#[test]
fn rest_document_has_the_table_of_all_paths_with_an_example_of_each() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/REST.md");
    let document = fs::read_to_string(path).expect("the document is there");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('`');
        let (method, path) = cells.next()?.split_once(' ')?;
        Some((method.to_owned(), path.to_owned()))
    };
    let table: Vec<_> = document.lines().filter_map(row).collect();
    let all: Vec<_> = routes().map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
    assert_eq!(table, all);
    for (method, path) in all {
        assert!(document.contains(&format!("\n### {method} {path}\n")), "{method} {path} has no example");
    }
}
