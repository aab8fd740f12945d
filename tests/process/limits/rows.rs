//! Which limits there are, and what shows each.

/// What a greedy client does on a connection, over and over.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Take {
    /// It says nothing.
    Silence,
    /// It sends most of one large field.
    HalfHead,
    /// It sends as many fields as there may be, and no end.
    Fields,
    /// It sends its ClientHello, and no more.
    Hello,
    /// It asks for a page, and no more.
    Idle,
    /// It sends the begin of a body.
    HalfBody,
    /// It asks for what is not answered.
    Request,
    /// The same of a handshake.
    Handshake,
    /// It asks for much, and reads nothing.
    Unread,
    /// It opens a session.
    Session,
    /// It opens one, and sends a frame that the backend does not read.
    Frames,
    /// It opens one, which loses its backend, and goes on sending.
    Held,
    /// It comes where no backend is.
    Queue,
}

/// What is shown of limits together.
pub(super) struct Row {
    /// By their names in the reference.
    pub(super) limits: &'static [&'static str],
    pub(super) take: Take,
    /// Lines of the listener's limits, the pool, the route's `hold`, and the file.
    pub(super) listener: &'static str,
    pub(super) pool: &'static str,
    pub(super) hold: &'static str,
    pub(super) table: &'static str,
    /// Connections of the greedy client.
    pub(super) connections: usize,
    /// What a connection costs beside what was sent, with the one to its backend.
    pub(super) each_kib: u64,
}

const ROW: Row = Row {
    limits: &[],
    take: Take::Silence,
    listener: "",
    pool: "",
    hold: "",
    table: "",
    connections: 160,
    each_kib: 32,
};

pub(super) const ROWS: &[Row] = &[
    Row {
        limits: &["listeners.NAME.limits.head_timeout", "limits.connections_max"],
        table: "limits.connections_max = 64",
        ..ROW
    },
    Row { limits: &["limits.silent_max"], table: "limits.silent_max = 64", ..ROW },
    Row { limits: &["listeners.NAME.limits.head_bytes_max"], take: Take::HalfHead, ..ROW },
    Row { limits: &["listeners.NAME.limits.headers_max"], take: Take::Fields, ..ROW },
    Row {
        limits: &[
            "listeners.NAME.limits.handshakes_in_flight_max",
            "listeners.NAME.limits.tls_handshake_timeout",
        ],
        take: Take::Hello,
        listener: "handshakes_in_flight_max = 16",
        ..ROW
    },
    Row {
        limits: &["listeners.NAME.limits.keep_alive_timeout"],
        take: Take::Idle,
        table: "limits.connections_max = 64",
        ..ROW
    },
    Row {
        limits: &["listeners.NAME.limits.body_rate_min"],
        take: Take::HalfBody,
        listener: "body_rate_min = false",
        pool: "requests_in_flight_max = 16",
        ..ROW
    },
    Row {
        limits: &["pools.NAME.requests_in_flight_max", "pools.NAME.response_timeout"],
        take: Take::Request,
        pool: "requests_in_flight_max = 16",
        ..ROW
    },
    Row {
        limits: &[
            "pools.NAME.handshakes_in_flight_max",
            "pools.NAME.handshake_timeout",
            "pools.NAME.connect_timeout",
        ],
        take: Take::Handshake,
        pool: "handshakes_in_flight_max = 16",
        ..ROW
    },
    Row {
        limits: &["pools.NAME.handshake_rate_max"],
        take: Take::Handshake,
        pool: "handshake_rate_max = \"200/s\"",
        ..ROW
    },
    Row {
        limits: &["listeners.NAME.limits.answer_rate_min"],
        take: Take::Unread,
        listener: "answer_rate_min = false",
        pool: "requests_in_flight_max = 1000",
        // Each fills some megabytes of the system's buffers before it waits.
        connections: 16,
        // One read of the backend's and what hyper keeps of it.
        each_kib: 512,
        ..ROW
    },
    Row {
        limits: &["pools.NAME.sessions_max", "pools.NAME.backends.sessions_max"],
        take: Take::Session,
        pool: "sessions_max = 64",
        ..ROW
    },
    Row {
        limits: &["limits.connections_per_address_max"],
        take: Take::Session,
        table: "limits.connections_per_address_max = 48",
        ..ROW
    },
    Row {
        limits: &[
            "relay.message_bytes_max",
            "relay.frame_bytes_max",
            "relay.idle_timeout",
            "relay.pong_timeout",
            "relay.close_timeout",
        ],
        take: Take::Frames,
        // One read, which waits for the backend.
        each_kib: 320,
        ..ROW
    },
    Row {
        limits: &[
            "routes.hold.buffer_bytes_max",
            "routes.hold.full_timeout",
            "routes.hold.message_age_max",
            "routes.hold.head_bytes_max",
            "limits.hold_bytes_max",
        ],
        take: Take::Held,
        hold: "resume = \"always\", timeout = \"1h\", full_timeout = \"1h\"",
        table: "limits.hold_bytes_max = \"1MiB\"",
        each_kib: 64,
        ..ROW
    },
    Row {
        limits: &["routes.hold.queue_max", "routes.hold.queue_timeout"],
        take: Take::Queue,
        hold: "resume = \"always\", queue_max = 16, queue_timeout = \"1h\"",
        ..ROW
    },
];

/// Limits whose rows are tests of their own, by the files these stand in.
pub(super) const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "access.NAME.jwt.keys.refresh_min",
        include_str!("../../e2e/access/key_sets.rs"),
        "a_token_of_a_new_key_has_it_fetched_and_made_up_ones_not_more_often_than_they_may",
    ),
    (
        "access.NAME.jwt.keys.stale_max",
        include_str!("../../e2e/access/key_sets.rs"),
        "the_last_good_keys_serve_on_over_reloads_too_until_they_are_too_old",
    ),
    (
        "access.NAME.jwt.keys.fetch_timeout",
        include_str!("../../e2e/access/key_sets.rs"),
        "without_keys_requests_are_told_to_come_again_and_later_they_pass",
    ),
    (
        "access.NAME.forward.recheck_stale_max",
        include_str!("../../e2e/access/rechecks.rs"),
        "a_server_that_is_away_ends_no_session_until_its_last_word_is_too_old",
    ),
    (
        "access.NAME.jwt.session.extend_max",
        include_str!("../../e2e/access/extended.rs"),
        "a_backend_puts_the_end_off_as_far_as_the_rule_lets_it",
    ),
    (
        "limits.keys_max",
        include_str!("../../../src/limit/buckets.rs"),
        "strangers_in_any_number_take_bounded_memory_and_refuse_no_known_client",
    ),
    (
        "routes.limits.body_bytes_max",
        include_str!("../../e2e/limits.rs"),
        "a_body_that_is_too_long_is_answered_413_before_its_rest_is_read",
    ),
    (
        "routes.compress.bytes_min",
        include_str!("../../e2e/compressing.rs"),
        "what_is_small_a_part_or_not_text_is_sent_as_it_is",
    ),
    (
        "limits.compress_bytes_max",
        include_str!("../../e2e/compressing.rs"),
        "an_answer_that_finds_no_encoder_is_sent_as_it_is",
    ),
    (
        "relay.slow_timeout",
        include_str!("../../e2e/limits.rs"),
        "a_client_that_takes_nothing_is_cut_off_and_one_that_takes_little_is_not",
    ),
    (
        "relay.messages_max",
        include_str!("../../e2e/limits.rs"),
        "a_client_that_sends_too_fast_waits_and_loses_nothing_and_its_neighbour_does_not_wait",
    ),
    (
        "relay.bytes_max",
        include_str!("../../e2e/limits.rs"),
        "a_client_that_sends_too_much_reads_1008_where_excess_closes",
    ),
    (
        "relay.pause_max",
        include_str!("../../../src/relay/core/throttle.rs"),
        "bytes_count_as_they_come_in_the_midst_of_a_message_too",
    ),
    (
        "limits.http2_buffer_bytes_max",
        include_str!("../greed.rs"),
        "answers_that_nobody_reads_cost_what_the_limit_says",
    ),
    (
        "listeners.NAME.http2.streams_max",
        include_str!("../greed.rs"),
        "answers_that_nobody_reads_cost_what_the_limit_says",
    ),
    (
        "log.queue_bytes_max",
        include_str!("../../../src/observe/log.rs"),
        "a_log_that_is_not_read_drops_lines_by_their_bytes_and_counts_them",
    ),
    (
        "listeners.NAME.http2.resets_max",
        include_str!("../../../src/listen/tests/http2/floods.rs"),
        "streams_opened_to_be_reset_end_their_connection_and_no_other",
    ),
    (
        "routes.hold.replay_bytes_max",
        include_str!("../../e2e/holding/replay.rs"),
        "an_opening_too_long_to_keep_is_not_held",
    ),
    (
        "routes.hold.swallow_timeout",
        include_str!("../../e2e/holding/replay.rs"),
        "an_answer_that_does_not_come_ends_the_session",
    ),
    (
        "routes.push.queue_messages_max",
        include_str!("../../e2e/pushing/slow.rs"),
        "a_client_that_does_not_read_fills_its_own_queue_and_ends_where_its_route_says_so",
    ),
    (
        "routes.push.wait_max",
        include_str!("../../e2e/pushing.rs"),
        "a_message_that_has_no_place_in_time_is_dropped_and_told",
    ),
    (
        "routes.hold.resumptions_per_minute_max",
        include_str!("../../e2e/holding/proof.rs"),
        "a_backend_that_closes_each_session_as_it_comes_is_asked_a_bounded_number_of_times",
    ),
];

/// What no client takes of: it bounds what the operator orders, what backends do, or what is kept
/// for their sake.
pub(super) const OF_NO_CLIENT: &[&str] = &[
    "listeners.NAME.tls.version_min",
    "pools.NAME.hash_excess_max",
    "pools.NAME.keep_alive_timeout",
    "pools.NAME.keep_alive_max",
    "pools.NAME.discovery.refresh_min",
    "pools.NAME.discovery.refresh_max",
    "pools.NAME.discovery.gone_max",
    "pools.NAME.rebalance.per_minute_max",
    "pools.NAME.rebalance.age_min",
    "routes.push.message_bytes_max",
    "routes.push.queue_bytes_max",
    "limits.push_bytes_max",
    "pools.NAME.health.failures_max",
    "pools.NAME.health.eject_time_max",
    "pools.NAME.retry.attempts_max",
    "pools.NAME.retry.budget_min",
    "drain.rate_max",
    "reload.drain_max",
    "upgrade.keep_timeout",
    "upgrade.old_processes_max",
];
