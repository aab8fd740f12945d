//! A stop waits for nothing that may never return: a FIFO among the files of a configuration, a
//! thread that a call to the system holds.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::proxy::Proxy;

/// What a stop may take, on a machine that does much else, beyond what it is given.
const LATE_MAX: Duration = Duration::from_secs(15);

/// `drain.timeout` of the configuration below.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

const ROUTES: &str = r#"
[drain]
delay = "0s"
window = "0s"
timeout = "2s"
[[routes]]
path = "/"
respond = { body = "here" }
"#;

fn make_fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a string that ends with NUL, and lives as long as the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

/// Its threads of this name.
fn threads(proxy: &Proxy, name: &str) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", proxy.pid())).unwrap();
    let named = tasks.filter_map(Result::ok).filter(|task| {
        let comm = std::fs::read_to_string(task.path().join("comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    });
    named.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// A proxy whose reload has come upon a FIFO, in the place of what the configuration names.
async fn reading_a_fifo(configuration: impl Fn(&Proxy) -> String) -> Proxy {
    let proxy = Proxy::start(ROUTES).await;
    make_fifo(&proxy.path("fifo"));
    proxy.configure(&configuration(&proxy));
    proxy.signal(libc::SIGHUP);
    proxy.wait("the reading of the FIFO", || !threads(&proxy, "config").is_empty()).await;
    proxy
}

fn certificate(_: &Proxy) -> String {
    let tls = "tls.certificates = { chain = \"fifo\", key = \"key.pem\" }";
    format!("[listeners.more]\naddress = \"127.0.0.1:0\"\n{tls}\n{ROUTES}")
}

fn included(_: &Proxy) -> String {
    format!("include = \"fifo\"\n{ROUTES}")
}

#[tokio::test]
async fn a_fifo_in_a_reload_holds_up_neither_probes_nor_a_stop() {
    for configuration in [certificate, included] {
        let proxy = reading_a_fifo(configuration).await;
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(proxy.get(path).map(|(status, _)| status), Some(200), "{path}");
        }
        let (status, text) = proxy.order("status", &["--socket", &socket(&proxy)]);
        assert_eq!(status, 0, "{text}");
        let asked = Instant::now();
        proxy.signal(libc::SIGTERM);
        assert_eq!(proxy.exit().await.code(), Some(0));
        assert!(asked.elapsed() < DRAIN_TIMEOUT + LATE_MAX, "{:?}", asked.elapsed());
    }
}

fn socket(proxy: &Proxy) -> String {
    proxy.path("control.socket").display().to_string()
}

/// Holds one thread as a call to the system does that never returns; `None` where the system does
/// not let us.
struct Held(i32);

impl Held {
    fn thread(tid: i32) -> Option<Held> {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: requests that take no pointer, of a thread of our own child.
        let is_held = unsafe {
            libc::ptrace(libc::PTRACE_SEIZE, tid, nothing, nothing) == 0
                && libc::ptrace(libc::PTRACE_INTERRUPT, tid, nothing, nothing) == 0
        };
        let held = is_held.then_some(Held(tid))?;
        held.wait();
        Some(held)
    }

    /// Waits for the thread's next change: that it has stopped, or ended.
    fn wait(&self) {
        let mut status = 0;
        // SAFETY: the pointer is to a number that lives as long as the call.
        unsafe { libc::waitpid(self.0, &raw mut status, libc::__WALL) };
    }
}

#[tokio::test]
async fn a_stop_ends_in_its_time_and_a_second_signal_at_once_whatever_blocks() {
    for (thread, signals) in [("control", 1), ("control", 2), ("worker-0", 1), ("worker-0", 2)] {
        // A drain that only a second signal cuts short.
        let patient = ROUTES.replace("timeout = \"2s\"", "timeout = \"10m\"");
        let proxy = Proxy::start(if signals == 1 { ROUTES } else { &patient }).await;
        let [tid] = threads(&proxy, thread)[..] else { panic!("no thread {thread}") };
        let Some(held) = Held::thread(tid) else {
            println!("threads cannot be held here");
            return;
        };
        let asked = Instant::now();
        for _ in 0..signals {
            proxy.signal(libc::SIGTERM);
            // Two that wait together are one.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        // A thread that is traced ends for its tracer first.
        let ended = tokio::task::spawn_blocking(move || held.wait());
        let ended = tokio::time::timeout(DRAIN_TIMEOUT + LATE_MAX, ended).await;
        ended.unwrap_or_else(|_| panic!("{thread} held, {signals} signals: no end")).unwrap();
        assert_eq!(proxy.exit().await.code(), Some(0), "{thread}, {signals}");
        let took = asked.elapsed();
        println!("{thread} held, {signals} signals: {took:?}");
        assert!(took < DRAIN_TIMEOUT + LATE_MAX, "{thread}, {signals}: {took:?}");
    }
}

#[tokio::test]
async fn a_fifo_as_configuration_at_the_start_holds_up_no_stop() {
    let proxy = Proxy::start(ROUTES).await;
    let text = std::fs::read_to_string(proxy.path("tidegate.toml")).unwrap();
    make_fifo(&proxy.path("fifo"));
    let mut command = std::process::Command::new(crate::proxy::binary());
    command.arg("run").arg("--config").arg(proxy.path("fifo"));
    let mut other = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    // It is read twice; the second time there is no writer.
    let fifo = proxy.path("fifo");
    tokio::task::spawn_blocking(move || std::fs::write(fifo, text)).await.unwrap().unwrap();
    let tasks = format!("/proc/{}/task", other.id());
    let reads = || {
        let tasks = std::fs::read_dir(&tasks).into_iter().flatten().filter_map(Result::ok);
        let mut names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")));
        names.any(|name| name.is_ok_and(|name| name == "config\n"))
    };
    proxy.wait("the reading of the FIFO", reads).await;
    // SAFETY: a signal to a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(other.id() as libc::pid_t, libc::SIGTERM) }, 0);
    let ended = tokio::task::spawn_blocking(move || other.wait().unwrap());
    let ended = tokio::time::timeout(LATE_MAX, ended).await.expect("its end").unwrap();
    assert_eq!(ended.code(), Some(0));
}
