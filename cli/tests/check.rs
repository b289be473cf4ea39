//! `snapline check` and `snapline explore`, run as a person would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// So long a server may take until it listens, even on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(300);

const BINARY: &str = env!("CARGO_BIN_EXE_snapline");

#[test]
fn check_alignment_prints_both_tables_and_succeeds() {
    let run = Command::new(BINARY).args(["check", "alignment"]).output().expect("the binary runs");
    let printed = String::from_utf8(run.stdout).expect("the tables are text");
    assert!(run.status.success(), "{printed}");
    assert!(printed.contains("unique states"), "{printed}");
    assert!(printed.contains("ALIGN-2"), "{printed}");
    assert!(!printed.contains("VIOLATED") && !printed.contains("NEVER SEEN"), "{printed}");
}

#[test]
fn check_unknown_model_names_the_known_ones_and_exits_with_2() {
    let run = Command::new(BINARY).args(["check", "nonsense"]).output().expect("the binary runs");
    assert_eq!(run.status.code(), Some(2));
    let said = String::from_utf8(run.stderr).expect("the error is text");
    assert!(said.contains("end-to-end") && said.contains("alignment"), "{said}");
}

/// Ends the server whatever the test finds.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn explore_serves_states_with_readable_actions_and_a_picture() {
    // The port is free now; nobody else on the loopback interface is likely to take it at once.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = free.local_addr().expect("it has an address").to_string();
    drop(free);
    let mut server = Command::new(BINARY)
        .args(["explore", "end-to-end", "--addr", &address])
        .stdout(Stdio::piped())
        .spawn()
        .map(Server)
        .expect("the binary runs");
    let stdout = server.0.stdout.take().expect("it is piped");
    let mut said = String::new();
    BufReader::new(stdout).read_line(&mut said).expect("it says where it serves");
    assert!(said.contains(&address), "{said}");
    let start = get(&mut server, &address, "/.states/");
    assert!(start.contains("\"state\""), "the initial states are listed");
    let next = get(&mut server, &address, "/.states/0");
    assert!(next.contains("coordinator") && next.contains("store"), "actions name the actors");
    assert!(next.contains("<svg"), "every step has a picture");
}

/// The answer to a request, repeated until the server listens.
fn get(server: &mut Server, address: &str, path: &str) -> String {
    let start = Instant::now();
    loop {
        let Ok(mut stream) = TcpStream::connect(address) else {
            assert!(server.0.try_wait().expect("it can be asked").is_none(), "nothing listens at {address}");
            assert!(start.elapsed() < PATIENCE, "nothing listens at {address}");
            std::thread::yield_now();
            continue;
        };
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
            .expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it is answered");
        return answer;
    }
}
