//! `[pools.NAME.health.probe]`: what is asked of backends again and again, whether or not anybody
//! uses them.

use std::time::Duration;

use super::super::plan::probe::ProbeCheck;
use super::{Number, OneOrMany, Time, seconds};
use crate::report::Report;

table! {
    /// Probes: each backend is asked again and again, whether or not it has work. One that fails
    /// them gets no new work until it passes again; never more than half of the pool is kept out
    /// for that. They stand beside passive health: a backend is given work while both let it. One
    /// that was ejected because it could not be reached is back with the first probe it passes. The
    /// process asks once, not once per worker, over a connection of its own with the pool's TLS;
    /// probes count in no limit and in no metric of sessions. At most 256 are under way.
    ProbeTable "Probe", "a table with `websocket`, `http` or `tcp`" => Probe, ProbeParts {
        /// What is asked.
        check: ProbeCheck,
    };

    /// The path and query of a WebSocket handshake. It is passed by a right 101 and closed with
    /// 1000: a backend that answers HTTP but opens no WebSocket fails.
    now websocket: String, as in "/healthz/ws";
    /// The path and query of a GET, passed by one of `status`.
    now http: String, as in "/healthz";
    /// `true`: a connection is enough, with TLS where the pool has it.
    now tcp: bool, as in true;
    /// `Host` of the handshake or GET; the backend's address by default.
    now host: String, as in "chat.example.com";
    /// The statuses that pass, of `http`. 200 by default; a redirect is not followed.
    now status: OneOrMany<Number<200, 599>>, as in [200, 204];
    /// What the answer to `http` must contain in its first 64 KiB: a text, or `"~ regex"`.
    now body: String, as in "~ \"ready\":\\s*true";
    /// Whether the WebSocket must answer a ping.
    now pong: bool = false, as in true;
    /// What its first message must contain, of 64 KiB at most: a text, or `"~ regex"`.
    now message: String, as in "welcome";
    /// The time from one probe of a backend to the next, a fifth more or less.
    now every: Time as Duration = seconds(5), as in "10s";
    /// The time for a whole probe.
    now timeout: Time as Duration = seconds(2), as in "500ms";
    /// Probes passed in a row that bring a backend back.
    now rise: Number<1> as u32 = Number(2), as in 1;
    /// Probes failed in a row that keep new work from it.
    now fall: Number<1> as u32 = Number(3), as in 2;
    /// Whether a backend that is new gets no work before it has passed its first probe, however few
    /// others there are.
    now before_use: bool as bool = false, as in true;
}

impl Probe {
    /// A probe of this kind, with every default.
    pub fn new(check: ProbeCheck) -> Probe {
        let parts = ProbeParts { check: Some(check) };
        let probe = ProbeTable::default().lower(&mut Report::default(), parts);
        probe.expect("cannot fail: the part is there, and every key has a default")
    }
}
