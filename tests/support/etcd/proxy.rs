use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is carried out, and the connection is closed without an answer.
    Lost,
    /// The connection is closed, and nothing has been done.
    Closed,
    /// It is not carried out, and answered with this status.
    Refused(u16),
}

/// What becomes of a request with this path, and this number among all requests since the plan was made.
type Plan = Box<dyn Fn(&str, u64) -> Option<Fault> + Send>;

#[derive(Default)]
struct Faults {
    plan: Option<Plan>,
    requests: u64,
}

/// Stands between clients and a server that speaks HTTP. Dropping it ends with the test.
pub struct Proxy {
    address: SocketAddr,
    faults: Arc<Mutex<Faults>>,
}

impl Proxy {
    /// In front of the server at `url`.
    pub fn before(url: &str) -> Self {
        let server: SocketAddr = url.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (address, faults) = (listener.local_addr().expect("bound"), Arc::<Mutex<Faults>>::default());
        let planned = Arc::clone(&faults);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let planned = Arc::clone(&planned);
                // A client or a server that has gone is no fault of the proxy.
                thread::spawn(move || serve(client, server, &planned).unwrap_or_default());
            }
        });
        Proxy { address, faults }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this is what happens to requests, instead of what was planned before.
    pub fn plan(&self, plan: impl Fn(&str, u64) -> Option<Fault> + Send + 'static) {
        *self.faults.lock().unwrap() = Faults { plan: Some(Box::new(plan)), requests: 0 };
    }

    /// How many requests there were since the last plan.
    pub fn requests(&self) -> u64 {
        self.faults.lock().unwrap().requests
    }
}

/// Serves one request; the next one comes by another connection.
fn serve(mut client: TcpStream, server: SocketAddr, faults: &Mutex<Faults>) -> std::io::Result<()> {
    let Some((head, body)) = request(&mut client)? else { return Ok(()) };
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let fault = {
        let mut faults = faults.lock().unwrap();
        faults.requests += 1;
        let number = faults.requests - 1;
        faults.plan.as_ref().and_then(|plan| plan(&path, number))
    };
    match fault {
        Some(Fault::Closed) => return client.shutdown(Shutdown::Both),
        Some(Fault::Refused(status)) => {
            let body = r#"{"error":"planned"}"#;
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} Planned\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            return client.write_all(answer.as_bytes());
        }
        Some(Fault::Lost) | None => {}
    }
    let mut upstream = TcpStream::connect(server)?;
    upstream.write_all(head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
    upstream.write_all(&body)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    match fault {
        Some(_) => client.shutdown(Shutdown::Both),
        None => client.write_all(&answer),
    }
}

/// The head and the body of a request; nothing when the client has gone.
fn request(client: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    Ok(Some((head, body)))
}
