//! `[relay]` and a route's `relay`: what a WebSocket session is held to.

use std::time::Duration;

use serde_json::json;

use super::words::{RelayExcess, Validation};
use super::{Named, Number, OrOff, Pacing, Percent, Rate, Size, Time, seconds};
use crate::end::CloseCodes;
use crate::report::Report;

table! {
    /// What the relay asks of a session.
    RelayTable "Relay", "a table" => Rules [Hash], RelayParts {
        /// Codes for the client other than the end table's.
        close_codes: CloseCodes,
    };

    /// What happens with frames that break RFC 6455 §5. `strict`: the session ends with 1002.
    /// `observe`: they are counted, logged and passed on. `off`: they are passed on.
    now validation: Validation as Validation = Validation::Strict, as in "observe";
    /// The largest message, as the sum of its fragments on the wire, compressed or not. A larger
    /// one ends the session with 1009. Off by default: tidegate buffers no messages, so a large one
    /// costs it nothing, and only the application knows what is too large.
    now message_bytes_max: OrOff<Size> as Option<u64> = OrOff::Off, as in "16MiB";
    /// The largest payload of a frame. A larger one ends the session with 1009.
    now frame_bytes_max: OrOff<Size> as Option<u64> = OrOff::Off, as in "1MiB";
    /// Data messages that the client may send in a second; off by default. Its pings and pongs
    /// count, too, but do not wait themselves. `excess` says what becomes of more.
    now messages_max: OrOff<Rate> as Option<u32> = OrOff::Off, as in "50/s";
    /// Messages at once, after a pause: by default as many as `messages_max` says.
    now messages_burst: Number<1> as Option<u32>, as in 100;
    /// Bytes of frames, headers included, that the client may send in a second; off by
    /// default. They count as they come: a large message takes its time.
    now bytes_max: OrOff<Size> as Option<u64> = OrOff::Off, as in "256KiB";
    /// Bytes at once, after a pause: by default as many as `bytes_max` says.
    now bytes_burst: Size as Option<u64>, as in "1MiB";
    /// Data messages that all sessions of one key may send together, on all workers. Off by
    /// default.
    each messages_by: MessagesByTable;
    /// What becomes of a client that sends more than `messages_max`, `bytes_max` or `messages_by`.
    /// `pause`: it is not read until it may send again, so that it has to wait and loses nothing;
    /// its pings and its Close are served unless they stand behind what waits. `close`: the session
    /// ends with 1008, at a frame that announces more bytes than it may send.
    now excess: RelayExcess as RelayExcess = RelayExcess::Pause, as in "close";
    /// The longest pause. Where a client would have to wait for longer, its session ends with 1008.
    now pause_max: Time as Duration = seconds(10), as in "30s";
    /// The longest time in which a client may take nothing, while bytes wait for it: it then reads
    /// 1013, if it reads again at all, and is cut off. Off by default: while it waits its backend
    /// is not read, so that a client that does not read costs what one read is; but its backend
    /// waits as well.
    now slow_timeout: OrOff<Time> as Option<Duration> = OrOff::Off, as in "1m";
    /// The time without a data message in either direction after which the session ends with 1001.
    /// Pings do not count. Off by default: a quiet chat is not dead, and pings find those that are.
    now idle_timeout: OrOff<Time> as Option<Duration> = OrOff::Off, as in "1h";
    /// The time between pings to each side. Pings keep the connection open through NATs and
    /// firewalls, and find dead peers. Their pongs are not passed on. The metric
    /// `tidegate_ping_seconds` has the round-trip times by side; the access log has the last one at
    /// the session's end, as `client_rtt_ms` and `upstream_rtt_ms`.
    now ping_interval: OrOff<Time> as Option<Duration> = OrOff::On(seconds(30)), as in "45s";
    /// The time after a ping in which a side must show life, by sending any byte or by taking what
    /// was sent to it. After a machine slept, or the process was stopped, each side has that time
    /// once more; so do `idle_timeout` and the times of `hold`.
    now pong_timeout: Time as Duration = seconds(20), as in "10s";
    /// The longest life of a session. It then ends with 1012, and its client reconnects. Off by
    /// default. A client over TLS 1.2 with AES-GCM reads 1012 after 15 million messages all the
    /// same: that is what its keys are good for. TLS 1.3 changes them.
    now max_lifetime: OrOff<Time> as Option<Duration> = OrOff::Off, as in "12h";
    /// Each session's `max_lifetime` is shortened at random by up to this share, so that sessions
    /// that opened together do not end together.
    now max_lifetime_jitter: Percent as u32 => max_lifetime_jitter_percent = Percent(10),
        as in "25%";
    /// Time for the answer to a Close before the connection is closed without it. It runs from when
    /// the peer has acknowledged the Close, and not while tidegate does not read the peer; a peer
    /// that acknowledges nothing for as long, or for `pong_timeout` (12 seconds at most) if that is
    /// longer, is closed too. The deadline of a drain goes before.
    now close_timeout: Time as Duration = seconds(5), as in "2s";
    /// Close codes for clients in place of tidegate's own, by the reason of the end, because some
    /// libraries never reconnect after certain codes: `upstream_lost`, `upstream_silent`, `idle`,
    /// `lifetime`, `expired`, `revoked`, `stop`, `removed`, `drain`, `restart`, `unhealthy`,
    /// `violation`, `too_big`, `too_fast`, `too_slow`, `kicked`, `no_room`, `fault`. Those of a
    /// route are added to those of `[relay]`.
    now close_codes: Named<Number<1000, 4999>>,
        as in json!({ "upstream_lost": 1001, "stop": 4000 });
}

table! {
    /// So many messages in a time, of all sessions of one key.
    MessagesByTable "MessagesBy", "a table, as in `{ key = \"client\", rate = \"200/s\" }`";

    /// What tells sessions apart, by their handshakes, as for a route's `limits`: `client`,
    /// `claim:NAME`, `label:NAME`, … (see [keys](#what-tells-requests-apart)).
    next key [required]: String, as in "client";
    /// How many, in a second (`/s`), a minute (`/m`) or an hour (`/h`). What was sent counts after
    /// its session, and after a reload.
    next rate [required]: Pacing, as in "200/s";
    /// How many at once, after a pause: by default as many as `rate` says.
    next burst: Number<1>, as in 400;
}

impl Default for Rules {
    /// What holds where nothing is written.
    fn default() -> Rules {
        let parts = RelayParts { close_codes: Some(CloseCodes::default()) };
        let rules = RelayTable::default().lower(&mut Report::default(), parts);
        rules.expect("cannot fail: every key has a default, and none is checked")
    }
}
