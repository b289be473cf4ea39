//! A real etcd on this machine, in a directory and on ports of its own, and faults between it and its clients.
#![allow(dead_code, reason = "no test uses all of it")]

mod proxy;

#[allow(unused_imports, reason = "no test uses all of it")]
pub use proxy::{Fault, Proxy};

use snapline::store::EtcdOptions;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How often other ports are tried when somebody else has taken those that were free.
const TRIES: u32 = 5;
/// Nothing takes etcd this long, even on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much is shown of what an etcd has said that does not start.
const SAID_LINES: usize = 20;

/// Dropping it kills it.
pub struct EtcdServer {
    directory: TempDir,
    client_port: u16,
    peer_port: u16,
    has_tls: bool,
    process: Option<Child>,
}

impl EtcdServer {
    pub fn start() -> Self {
        EtcdServer::with(false)
    }

    /// With a certificate, and it demands one of clients.
    pub fn with_tls() -> Self {
        EtcdServer::with(true)
    }

    fn with(has_tls: bool) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            let directory = tempfile::tempdir().expect("a directory");
            let [client_port, peer_port] = free_ports();
            let mut server = EtcdServer { directory, client_port, peer_port, has_tls, process: None };
            match server.run() {
                Ok(()) => return server,
                Err(error) => said = error,
            }
        }
        panic!("etcd does not start: {said}");
    }

    pub fn url(&self) -> String {
        let scheme = if self.has_tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.client_port)
    }

    /// How it is reached.
    pub fn options(&self) -> EtcdOptions {
        EtcdOptions {
            ca_certificate: self.has_tls.then(|| tls("authority.pem")),
            client_certificate: self.has_tls.then(|| (tls("member.pem"), tls("member.key"))),
            ..options([self.url()])
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
        }
    }

    /// Kills it, and starts it again with what it has stored.
    pub fn restart(&mut self) {
        self.kill();
        let start = Instant::now();
        while let Err(said) = self.run() {
            // Its port was free for a moment, and any connection may have been given it.
            let is_taken = said.contains("address already in use");
            assert!(is_taken && start.elapsed() < PATIENCE, "etcd does not start again: {said}");
        }
    }

    /// Starts it; what it has said if it has ended instead of serving.
    fn run(&mut self) -> Result<(), String> {
        let client = self.url();
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        // As every etcd of one member says by default: all of these servers have the same cluster id.
        let told = "http://localhost:2380";
        let mut command = Command::new("etcd");
        // Whatever the environment says does not count.
        let set = std::env::vars().map(|(key, _)| key).filter(|key| key.starts_with("ETCD_"));
        for key in set {
            command.env_remove(key);
        }
        // Versions before 3.5 start there only if they are told to.
        if cfg!(target_arch = "aarch64") {
            command.env("ETCD_UNSUPPORTED_ARCH", "arm64");
        }
        command.args(["--name", "test", "--logger", "zap"]);
        command.arg("--data-dir").arg(self.directory.path().join("data"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", told]);
        command.args(["--initial-cluster", &format!("test={told}")]);
        if self.has_tls {
            command.arg("--cert-file").arg(tls("member.pem")).arg("--key-file").arg(tls("member.key"));
            command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(tls("authority.pem"));
        }
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = spawned.unwrap_or_else(|error| {
            panic!("etcd cannot be started ({error}); install it: tools/etcd, or sudo apt-get install etcd-server")
        });
        let log = BufReader::new(process.stderr.take().expect("it is piped"));
        let (ready, serves) = mpsc::channel();
        std::thread::spawn(move || {
            let mut said = Vec::new();
            for line in log.lines().map_while(Result::ok) {
                if line.contains("serving client traffic") {
                    let _ = ready.send(Ok(()));
                }
                if said.len() == SAID_LINES {
                    said.remove(0);
                }
                said.push(line);
            }
            let _ = ready.send(Err(said.join("\n")));
        });
        let started = serves.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("it is too slow".to_owned()));
        self.process = Some(process);
        if started.is_err() {
            self.kill();
        }
        started
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An etcd at these addresses, for tests: pauses are short, and patience is enough for a slow machine.
pub fn options(endpoints: impl IntoIterator<Item = impl Into<String>>) -> EtcdOptions {
    // Whoever waits for a server that is started again waits longer than that may take.
    let (request_timeout, retry_timeout) = (Duration::from_secs(20), PATIENCE * 2);
    EtcdOptions { request_timeout, retry_timeout, ..EtcdOptions::new(endpoints) }
}

/// A certificate or key that was made for these tests, for 127.0.0.1 and a hundred years: `authority.pem` vouches for
/// `member.pem`, and `stranger.pem` for nobody.
pub fn tls(name: &str) -> PathBuf {
    // The tests of the command have another root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = Path::new("tests/support/etcd/tls").join(name);
    [root.join(&file), root.join("..").join(&file)]
        .into_iter()
        .find(|path| path.exists())
        .expect("it is there")
}

/// A server for all tests that run at the same time; each takes a [new root](new_root).
pub fn shared() -> Arc<EtcdServer> {
    static SHARED: Mutex<Weak<EtcdServer>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(EtcdServer::start());
        *shared = Arc::downgrade(&server);
        server
    })
}

/// A root that nobody else has in this process.
pub fn new_root() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("/root-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Two ports that nobody has now.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}
