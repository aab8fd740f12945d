//! What `tidegate top` shows: two answers of the proxy and the time between them become rates, and
//! rates become lines.

use serde_json::{Value, json};

/// Rows of routes and of backends at most, so that sessions always have their part.
const GROUP_ROWS_MAX: usize = 8;

/// An answer of the proxy, and the rates since the one before.
#[derive(Default)]
pub(super) struct TopView {
    answer: Value,
    /// Of each route: messages and bytes in a second.
    rates: Vec<(f64, f64)>,
}

/// How a person wants it.
#[derive(Default)]
pub(super) struct TopOptions {
    /// Only rows in which this stands.
    pub(super) filter: String,
    /// What stands in the last line.
    pub(super) prompt: String,
}

fn count(row: &Value, key: &str) -> u64 {
    row[key].as_u64().unwrap_or_default()
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("-")
}

fn rows<'a>(answer: &'a Value, key: &str) -> &'a [Value] {
    answer[key].as_array().map_or(&[], Vec::as_slice)
}

/// Messages and bytes of a row, both ways.
fn passed(row: &Value) -> (u64, u64) {
    let both =
        |what| count(row, &format!("client_{what}")) + count(row, &format!("upstream_{what}"));
    (both("messages"), both("bytes"))
}

impl TopView {
    /// The next answer, so many seconds after the one before.
    pub(super) fn update(&mut self, answer: Value, seconds: f64) {
        let before = std::mem::replace(&mut self.answer, answer);
        let rate = |row: &Value| {
            let old = rows(&before, "routes").iter().find(|old| old["route"] == row["route"]);
            let Some(old) = old.filter(|_| seconds > 0.0) else { return (0.0, 0.0) };
            let ((messages, bytes), (old_messages, old_bytes)) = (passed(row), passed(old));
            // An older process may have ended with what it counted.
            let per_second = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
            (per_second(messages, old_messages), per_second(bytes, old_bytes))
        };
        self.rates = rows(&self.answer, "routes").iter().map(rate).collect();
    }

    fn rate(&self) -> (f64, f64) {
        let add = |sum: (f64, f64), one: &(f64, f64)| (sum.0 + one.0, sum.1 + one.1);
        self.rates.iter().fold((0.0, 0.0), add)
    }

    /// The answer with the rates in it.
    pub(super) fn json(&self) -> Value {
        let mut answer = self.answer.clone();
        let (message_rate, byte_rate) = self.rate();
        answer["message_rate"] = message_rate.into();
        answer["byte_rate"] = byte_rate.into();
        let routes = answer["routes"].as_array_mut().into_iter().flatten();
        for (route, (message_rate, byte_rate)) in routes.zip(&self.rates) {
            route["message_rate"] = json!(message_rate);
            route["byte_rate"] = json!(byte_rate);
        }
        answer
    }

    /// One line, for a log.
    pub(super) fn line(&self) -> String {
        let (messages, bytes) = self.rate();
        let of = |key| count(&self.answer, key);
        let backends = rows(&self.answer, "backends");
        let up = backends.iter().filter(|row| row["up"] == true).count();
        format!(
            "sessions {}  held {}  connections {}  messages {}/s  bytes {}/s  \
             backends up {up} of {}",
            of("sessions"),
            of("held"),
            of("connections"),
            short(messages),
            short(bytes),
            backends.len(),
        )
    }

    /// All of it, in lines of at most so many columns; as many lines as there are rows for.
    pub(super) fn lines(
        &self,
        wanted: &TopOptions,
        (columns, height): (usize, usize),
    ) -> Vec<String> {
        let mut lines = vec![self.line()];
        for drain in rows(&self.answer, "drains") {
            let (sessions, left) = (count(drain, "sessions"), count(drain, "left"));
            let (number, reason) = (count(drain, "drain"), text(drain, "reason"));
            let of = text(drain, "of");
            lines.push(format!("drain {number} ({reason}) of {of}: {left} of {sessions} left"));
        }
        let shows = |cells: &Vec<String>| cells.iter().any(|cell| cell.contains(&wanted.filter));
        let mut table = |names: &[&str], rows: Vec<Vec<String>>, most: usize| {
            let mut rows: Vec<Vec<String>> = rows.into_iter().filter(shows).collect();
            let more = rows.len().saturating_sub(most);
            rows.truncate(most);
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            lines.push(String::new());
            lines.extend(aligned(std::iter::once(names).chain(rows).collect()));
            if more > 0 {
                lines.push(format!("… {more} more"));
            }
        };
        const ROUTES: [&str; 6] = ["ROUTE", "SESSIONS", "HELD", "OPENED", "MESSAGES/S", "BYTES/S"];
        table(&ROUTES, self.routes(), GROUP_ROWS_MAX);
        const BACKENDS: [&str; 6] = ["BACKEND", "POOL", "STATE", "SESSIONS", "REQUESTS", "WAITING"];
        table(&BACKENDS, self.backends(), GROUP_ROWS_MAX);
        const BUSIEST: [&str; 8] =
            ["SESSION", "CLIENT", "ROUTE", "BACKEND", "AGE", "MESSAGES/S", "BYTES/S", "BYTES"];
        table(&BUSIEST, self.busiest(), usize::MAX);
        lines.truncate(height.saturating_sub(1));
        if !wanted.prompt.is_empty() {
            lines.push(wanted.prompt.clone());
        }
        lines.iter().map(|line| line.chars().take(columns).collect()).collect()
    }

    fn routes(&self) -> Vec<Vec<String>> {
        let row = |(route, rate): (&Value, &(f64, f64))| {
            let of = |key| count(route, key).to_string();
            let name = text(route, "route").to_owned();
            let rates = [short(rate.0), short(rate.1)];
            [vec![name, of("sessions"), of("held"), of("opened")], rates.to_vec()].concat()
        };
        rows(&self.answer, "routes").iter().zip(&self.rates).map(row).collect()
    }

    fn backends(&self) -> Vec<Vec<String>> {
        let row = |backend: &Value| {
            let names = ["backend", "pool", "state"].map(|key| text(backend, key).to_owned());
            let counts = ["sessions", "requests", "handshakes_waiting"];
            let counts = counts.map(|key| count(backend, key).to_string());
            [names, counts].concat()
        };
        rows(&self.answer, "backends").iter().map(row).collect()
    }

    fn busiest(&self) -> Vec<Vec<String>> {
        let row = |session: &Value| {
            let names = ["id", "client", "route", "backend"];
            let names = names.map(|key| text(session, key).to_owned());
            let number = |key: &str| session[key].as_f64().unwrap_or_default();
            let rates = [short(number("message_rate")), short(number("byte_rate"))];
            let age = format!("{:.0}s", number("age_seconds"));
            let bytes = short(passed(session).1 as f64);
            [names.to_vec(), vec![age], rates.to_vec(), vec![bytes]].concat()
        };
        rows(&self.answer, "busiest").iter().map(row).collect()
    }
}

/// A number in four digits or less: `12`, `3.4k`, `56M`.
fn short(number: f64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let mut rest = number;
    let mut unit = 0;
    while rest >= 999.5 && unit + 1 < UNITS.len() {
        rest /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(rest < 9.95 && rest > 0.0 && (unit > 0 || rest.fract() > 0.0));
    format!("{rest:.digits$}{}", UNITS[unit])
}

/// Lines of cells, each column as wide as its widest. What a client chose cannot draw: signs that
/// steer a terminal are left out.
fn aligned(rows: Vec<Vec<String>>) -> Vec<String> {
    let plain = |cell: &String| cell.chars().filter(|sign| !sign.is_control()).collect::<String>();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(plain).collect()).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(messages: u64) -> Value {
        json!({
            "sessions": 3, "held": 1, "connections": 4,
            "routes": [{ "route": "chat", "sessions": 3, "client_messages": messages,
                "client_bytes": messages * 1000 }],
            "backends": [{ "backend": "10.0.0.1:80", "pool": "p", "state": "up", "up": true }],
            "busiest": [{ "id": "a-1", "client": "192.0.2.1:5", "route": "chat",
                "message_rate": 12.0, "byte_rate": 3456.0, "age_seconds": 7.2 },
                { "id": "b-2", "client": "192.0.2.2:5", "route": "\u{1b}[2Jchat" }],
        })
    }

    fn view() -> TopView {
        let mut view = TopView::default();
        view.update(answer(10), 0.0);
        view.update(answer(30), 2.0);
        view
    }

    #[test]
    fn rates_are_of_the_time_between_two_answers() {
        let mut view = view();
        assert_eq!(
            view.line(),
            "sessions 3  held 1  connections 4  messages 10/s  bytes 10k/s  backends up 1 of 1"
        );
        let json = view.json();
        assert_eq!(
            (&json["message_rate"], &json["routes"][0]["byte_rate"]),
            (&json!(10.0), &json!(10_000.0))
        );
        // A process that ended takes its counts along.
        view.update(answer(5), 2.0);
        assert_eq!(view.rate(), (0.0, 0.0));
    }

    #[test]
    fn lines_fit_the_terminal_and_the_filter() {
        let view = view();
        let wanted = TopOptions { filter: "a-1".to_owned(), prompt: "q quits".to_owned() };
        let lines = view.lines(&wanted, (40, 50));
        assert!(lines.iter().all(|line| line.chars().count() <= 40), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("a-1")));
        assert!(!lines.iter().any(|line| line.contains("b-2") || line.contains("10.0.0.1")));
        assert_eq!(lines.last().unwrap(), "q quits");
        assert_eq!(view.lines(&wanted, (40, 5)).len(), 5);
        let all = view.lines(&TopOptions::default(), (200, 50)).join("\n");
        assert!(all.contains("10.0.0.1:80  p     up") && !all.contains('\u{1b}'), "{all}");
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.5, 7.0, 999.0, 1_000.0, 12_345.0, 3_400_000.0, 2e15].map(short);
        assert_eq!(shown, ["0", "0.5", "7", "999", "1.0k", "12k", "3.4M", "2000T"]);
    }
}
