//! `tidegate top`: what passes in the running proxy, live.

mod screen;
mod view;

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::args::Top;
use super::exit::Failure;
use super::operator::Operator;
use super::output;
use crate::base::clock::{self, Moment};
use screen::{PressedKey, Screen, send_keys};
use view::{TopOptions, TopView};

/// The columns that the busiest sessions can be sorted by, and the key that chooses each.
const SORTS: [(char, &str); 3] = [('r', "rate"), ('m', "messages"), ('b', "bytes")];

/// After so long each session has been asked what passed in it, where there are not many thousands:
/// its rate is known after twice as long.
const ROUND: Duration = Duration::from_millis(1_500);

/// How long a person may wait for the size of a new window.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Shows it until the person has seen enough.
pub(super) fn top(asked: &Top) -> Result<(), Failure> {
    let operator = Operator::find(&asked.asked.target)?;
    let body = serde_json::to_value(&asked.asked.request).map_err(Failure::run)?;
    let mut top = LiveTop { operator, body, view: TopView::default(), at: None };
    // A proxy that does not answer is said before a screen is taken.
    top.ask()?;
    if asked.once {
        for wait in [ROUND, ROUND.max(asked.interval())] {
            std::thread::sleep(wait);
            top.ask()?;
        }
        return top.print(asked).map(drop);
    }
    match Screen::take().filter(|_| !asked.asked.target.json) {
        Some(screen) => top.draw(&screen, asked.interval()),
        None => loop {
            std::thread::sleep(asked.interval());
            top.ask()?;
            if !top.print(asked)? {
                return Ok(());
            }
        },
    }
}

/// The proxy, and what it said.
struct LiveTop<'a> {
    operator: Operator<'a>,
    body: Value,
    view: TopView,
    /// When it said so.
    at: Option<Moment>,
}

impl LiveTop<'_> {
    fn ask(&mut self) -> Result<(), Failure> {
        let answer = self.operator.answer("POST", "/top", &self.body)?;
        let now = clock::now();
        let seconds = self.at.map_or(0.0, |at| now.since(at).as_secs_f64());
        self.at = Some(now);
        self.view.update(answer, seconds);
        Ok(())
    }

    /// Prints it; whether the reader is still there.
    fn print(&self, asked: &Top) -> Result<bool, Failure> {
        let text = match (asked.asked.target.json, asked.once) {
            (true, _) => self.view.json().to_string(),
            (false, true) => {
                self.view.lines(&TopOptions::default(), (usize::MAX, usize::MAX)).join("\n")
            }
            (false, false) => self.view.line(),
        };
        output::print_while_read(&format!("{text}\n"))
    }

    /// Draws until `q` is pressed.
    fn draw(&mut self, screen: &Screen, interval: Duration) -> Result<(), Failure> {
        let (sender, keys) = channel();
        let also = sender.clone();
        send_keys(sender).map_err(Failure::run)?;
        end_on_signals(also)?;
        let (mut wanted, mut typing, mut size) = (TopOptions::default(), false, (0, 0));
        loop {
            let due = self.at.map_or(Moment::default(), |at| at.after(interval));
            if due <= clock::now() {
                self.ask()?;
                size = (0, 0);
            }
            if size != Screen::size() {
                size = Screen::size();
                wanted.prompt = self.prompt(&wanted, typing);
                screen.draw(&self.view.lines(&wanted, size));
            }
            let Some(key) = next_key(&keys, due) else { continue };
            size = (0, 0);
            match key {
                PressedKey::Interrupt => return Ok(()),
                PressedKey::Letter(letter) if typing => wanted.filter.push(letter),
                PressedKey::Backspace if typing => drop(wanted.filter.pop()),
                PressedKey::Enter => typing = false,
                PressedKey::Escape => (typing, wanted.filter) = (false, String::new()),
                PressedKey::Letter('q') => return Ok(()),
                PressedKey::Letter('/') => typing = true,
                PressedKey::Letter(letter) => self.sort(letter)?,
                PressedKey::Backspace => {}
            }
        }
    }

    fn prompt(&self, wanted: &TopOptions, typing: bool) -> String {
        if typing {
            return format!("filter: {}_", wanted.filter);
        }
        let sort = self.body["sort"].as_str().unwrap_or_default();
        let filter = match &wanted.filter {
            filter if filter.is_empty() => String::new(),
            filter => format!("  only: {filter} (Esc: all)"),
        };
        format!("q quit  / filter  sort by r rate, m messages, b bytes: {sort}{filter}")
    }

    fn sort(&mut self, letter: char) -> Result<(), Failure> {
        let Some((_, sort)) = SORTS.iter().find(|(key, _)| *key == letter) else { return Ok(()) };
        self.body["sort"] = (*sort).into();
        self.ask()
    }
}

/// The next key before this moment; now and then none, for a window may have another size.
fn next_key(keys: &Receiver<PressedKey>, until: Moment) -> Option<PressedKey> {
    match keys.recv_timeout(until.since(clock::now()).min(LOOK_INTERVAL)) {
        Ok(key) => Some(key),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(PressedKey::Interrupt),
    }
}

/// SIGTERM, SIGHUP and SIGINT end it as Ctrl-C does, so that the terminal is put back.
fn end_on_signals(keys: std::sync::mpsc::Sender<PressedKey>) -> Result<(), Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = built.map_err(Failure::run)?;
    let wait = move || {
        runtime.block_on(async {
            let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
            let [Ok(mut terminate), Ok(mut hangup), Ok(mut interrupt)] = kinds.map(signal) else {
                return;
            };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
            }
            let _ = keys.send(PressedKey::Interrupt);
        });
    };
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(wait).map(drop).map_err(Failure::run)
}
