//! Paths by which well-known WebSocket libraries are recognised, and how a session of theirs goes
//! on at a backend that knows nothing of it.

/// What a library needs.
pub struct KnownLibrary {
    /// The end of its path.
    path: &'static str,
    /// What the library is called.
    pub name: &'static str,
    /// Whether its sessions go on at any backend, so that `resume = "always"` is enough.
    pub needs_nothing: bool,
    /// What to write.
    pub hint: &'static str,
}

const NONE_FITS: &str =
    "no setting fits, for its server keeps the session: leave `hold` out, and clients reconnect";

const KNOWN: &[KnownLibrary] = &[
    known(
        "/socket.io",
        "socket.io",
        "`replay_first = 1, swallow_first = 2` for clients with `transports: [\"websocket\"]`; \
         others begin with polling, and need no `hold`",
    ),
    known("/sockjs", "SockJS", NONE_FITS),
    known(
        "/signalr",
        "SignalR",
        "`replay_first = 1, swallow_first = 1` for clients with `skipNegotiation`",
    ),
    known("/_blazor", "Blazor", NONE_FITS),
    KnownLibrary {
        needs_nothing: true,
        ..known("/cable", "ActionCable", "`resume = \"always\"`: clients subscribe again")
    },
    known("/live/websocket", "Phoenix LiveView", NONE_FITS),
    known(
        "/socket/websocket",
        "Phoenix channels",
        "`replay_first = 1, swallow_first = 1` where clients join one channel",
    ),
    known("/api/websocket", "Home Assistant", NONE_FITS),
    known("/graphql", "graphql-ws", "`replay_first = 2, swallow_first = 1` for one subscription"),
    known(
        "/mqtt",
        "MQTT",
        "count the WebSocket messages that the client's library makes of its CONNECT and \
         SUBSCRIBE: `replay_first = 15, swallow_first = 2` for MQTT.js in node",
    ),
];

const fn known(path: &'static str, name: &'static str, hint: &'static str) -> KnownLibrary {
    KnownLibrary { path, name, needs_nothing: false, hint }
}

/// The library that a route's path, as it is written, is usual for.
pub fn of_path(path: &str) -> Option<&'static KnownLibrary> {
    let text = path.trim_start_matches(['=', '^', '~', '*', ' ']).trim_end_matches(['/', '*']);
    KNOWN.iter().find(|known| text.ends_with(known.path))
}
