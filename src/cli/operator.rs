//! Orders and questions to the running proxy, over the operator's unix socket.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::args::operator::{
    Closing, Drain, Enable, Filters, Kick, Move, Pace, Place, Reload, Sessions, Status, Upgrade,
};
use super::ask::{self, Question};
use super::config_file;
use super::exit::Failure;

/// How long an answer may take: reading thousands of certificates is not done in a moment, and an
/// upgrade may take `upgrade.timeout`.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is asked how far a drain is.
const WAIT_INTERVAL: Duration = Duration::from_millis(500);

/// Has the proxy reload, and prints what came of it.
pub(super) fn reload(asked: &Reload) -> Result<(), Failure> {
    let target = format!("/reload?force={}&dry_run={}", asked.force, asked.dry_run);
    Operator::of(&asked.place)?.say("POST", &target, &Value::Null)
}

/// Has another process take over, and prints which.
pub(super) fn upgrade(asked: &Upgrade) -> Result<(), Failure> {
    Operator::of(&asked.place)?.say("POST", "/upgrade", &Value::Null)
}

/// Prints what lives in the proxy.
pub(super) fn status(asked: &Status) -> Result<(), Failure> {
    Operator::of(&asked.place)?.say("GET", "/status", &Value::Null)
}

/// Prints sessions.
pub(super) fn sessions(asked: &Sessions) -> Result<(), Failure> {
    let body = json!({ "who": who(&asked.who), "limit": asked.limit });
    Operator::of(&asked.place)?.say("POST", "/sessions", &body)
}

/// Lets the sessions of one thing go.
pub(super) fn drain(asked: &Drain) -> Result<(), Failure> {
    let Drain { route, pool, backend, listener, all, force, closing, pace, place } = asked;
    let who = json!({
        "route": route, "pool": pool, "backend": backend, "listener": listener, "all": all,
    });
    let body = with(closing, json!({ "who": who, "force": force }));
    Operator::of(place)?.let_go("/drain", body, pace)
}

/// Lets single sessions go.
pub(super) fn kick(asked: &Kick) -> Result<(), Failure> {
    let mut who = who(&asked.who);
    who["ids"] = json!(asked.ids);
    who["all"] = json!(asked.all);
    let body = with(&asked.closing, json!({ "who": who }));
    Operator::of(&asked.place)?.let_go("/kick", body, &asked.pace)
}

/// Moves the sessions of a backend to others.
pub(super) fn move_away(asked: &Move) -> Result<(), Failure> {
    let Move { from, pool, route, pace, place } = asked;
    let body = json!({ "who": { "backend": from, "pool": pool, "route": route } });
    Operator::of(place)?.let_go("/move", body, pace)
}

/// Gives a backend new sessions again.
pub(super) fn enable(asked: &Enable) -> Result<(), Failure> {
    let body = json!({ "backend": asked.backend, "pool": asked.pool });
    Operator::of(&asked.place)?.say("POST", "/enable", &body)
}

/// An order's body, with how sessions are closed.
fn with(Closing { deadline, code }: &Closing, mut body: Value) -> Value {
    body["deadline"] = json!(deadline);
    body["code"] = json!(code);
    body
}

fn who(filters: &Filters) -> Value {
    let Filters { route, pool, backend, listener, client, older_than } = filters;
    json!({
        "route": route, "pool": pool, "backend": backend, "listener": listener,
        "client": client, "older_than": older_than,
    })
}

/// The running proxy, as it is reached.
struct Operator<'a> {
    socket: PathBuf,
    place: &'a Place,
}

impl Operator<'_> {
    /// The socket named, or else the configuration's; one that would be refused is reported here.
    fn of(place: &Place) -> Result<Operator<'_>, Failure> {
        if let Some(socket) = &place.socket {
            return Ok(Operator { socket: socket.clone(), place });
        }
        let file = config_file::find(&place.file)?;
        match config_file::load(&file)?.plan.control.as_ref() {
            Some(control) => Ok(Operator { socket: control.socket.clone(), place }),
            None => Err(Failure::Usage(format!(
                "`{}` has no `[control]` socket; add the table `[control]` and reload by SIGHUP, \
                 or name a socket with `--socket`",
                file.display()
            ))),
        }
    }

    /// Asks, and prints the answer.
    fn say(&self, method: &str, target: &str, body: &Value) -> Result<(), Failure> {
        let (status, told) = self.ask(method, target, body, self.place.json)?;
        self.heed(status, &told)?;
        println!("{told}");
        Ok(())
    }

    /// Gives an order to let sessions go or move, prints what comes of it, and waits for it when
    /// told to.
    fn let_go(&self, target: &str, mut body: Value, pace: &Pace) -> Result<(), Failure> {
        let Pace { window, rate, dry_run, .. } = pace;
        body["window"] = json!(window);
        body["rate"] = json!(rate);
        body["dry_run"] = json!(dry_run);
        let (status, told) = self.ask("POST", target, &body, true)?;
        let json: Value = serde_json::from_str(&told).unwrap_or_default();
        let text = |key: &str| json[key].as_str().unwrap_or(&told);
        if self.place.json {
            self.heed(status, &told)?;
            println!("{told}");
        } else {
            self.heed(status, text("why"))?;
            println!("{}", text("text"));
        }
        match json["drain"].as_u64() {
            Some(drain) if pace.wait && drain > 0 => self.wait(drain),
            _ => Ok(()),
        }
    }

    /// Waits until a drain is over, and prints what became of its sessions.
    fn wait(&self, drain: u64) -> Result<(), Failure> {
        loop {
            let (status, told) = self.ask("GET", "/status", &Value::Null, true)?;
            self.heed(status, &told)?;
            let json: Value = serde_json::from_str(&told).map_err(Failure::run)?;
            let row = |list: &str| {
                let rows = json[list].as_array().map_or(&[][..], Vec::as_slice);
                rows.iter().find(|row| row["drain"] == drain).cloned()
            };
            if row("drains").is_none() {
                if let (Some(over), false) = (row("drains_over"), self.place.json) {
                    println!("{}", outcome(&over));
                }
                return Ok(());
            }
            std::thread::sleep(WAIT_INTERVAL);
        }
    }

    fn ask(
        &self,
        method: &str,
        target: &str,
        body: &Value,
        as_json: bool,
    ) -> Result<(u16, String), Failure> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let accept = if as_json { "application/json" } else { "text/plain" };
        let question = Question { method, target, host: "localhost", accept, body: &body };
        connect(&self.socket)
            .and_then(|stream| ask::ask(stream, &question))
            .map_err(|error| unreachable(&self.socket, &error))
    }

    /// What a status means to a person: an exit code.
    fn heed(&self, status: u16, told: &str) -> Result<(), Failure> {
        let failure: fn(String) -> Failure = match status {
            200 => return Ok(()),
            400 => Failure::Usage,
            404 | 409 => Failure::No,
            422 => Failure::Config,
            _ => Failure::Run,
        };
        // A configuration's report speaks for itself.
        let end = if status == 422 { "\n" } else { "" };
        let failure = failure(format!("{told}{end}"));
        if self.place.json {
            println!("{told}");
            return Err(Failure::Said(failure.code()));
        }
        Err(failure)
    }
}

/// What became of the sessions of a drain that is over.
fn outcome(row: &Value) -> String {
    let count = |key: &str| row[key].as_u64().unwrap_or_default();
    let [told, moved, stayed, left] = ["sessions", "moved", "stayed", "left"].map(count);
    let ended = told.saturating_sub(moved + stayed + left);
    let mut text = format!("over: {moved} moved, {ended} ended");
    for (count, what) in [(stayed, "stayed"), (left, "left")] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}

fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            "\nhint: a running tidegate makes it when its configuration has the table `[control]`; \
             `--socket PATH` names another"
        }
        io::ErrorKind::ConnectionRefused => "\nhint: the tidegate that made it runs no more",
        io::ErrorKind::PermissionDenied => {
            "\nhint: it is open to the user that tidegate runs as, and to root"
        }
        _ => "",
    };
    let socket = socket.display();
    Failure::run(format!("no answer from the operator's socket `{socket}`: {error}{hint}"))
}
