//! Values that are one of a few words; files and plans share them.

words! {
    /// What is done about frames that break RFC 6455 §5.
    Validation {
        /// The session ends with 1002.
        Strict = "strict",
        /// They are counted and pass.
        Observe = "observe",
        /// They pass.
        Off = "off",
    }
}

words! {
    /// What happens to sessions when another process takes over.
    UpgradeSessions {
        /// The old process stays with them.
        Keep = "keep",
        /// They are drained.
        Drain = "drain",
    }
}

words! {
    /// Who makes a listener's certificate.
    TlsIssuer {
        /// The process itself, for development.
        Dev = "dev",
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// Text on a terminal, JSON otherwise.
        Auto = "auto",
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

words! {
    /// Whose ids of requests are taken.
    RequestIdSource {
        /// Those of trusted proxies.
        Trusted = "trusted",
        /// Everybody's.
        Always = "always",
        /// None: each request has a new one.
        Never = "never",
    }
}

words! {
    /// The PROXY header that backends are sent.
    ProxyVersion {
        /// Version 1, a line of text.
        V1 = "v1",
        /// Version 2, in binary.
        V2 = "v2",
    }
}

words! {
    /// The lowest TLS version spoken.
    TlsVersion {
        /// TLS 1.2 (RFC 5246).
        V1_2 = "1.2",
        /// TLS 1.3 (RFC 8446).
        V1_3 = "1.3",
    }
}

words! {
    /// How a backend is chosen.
    BalanceWord {
        /// The one with the fewest live sessions for its weight.
        LeastSessions = "least_sessions",
        /// In turn, by weight.
        RoundRobin = "round_robin",
        /// The better of two that are drawn by weight.
        RandomTwo = "random_two",
        /// By a hash of something in the request.
        Hash = "hash",
    }
}

words! {
    /// What becomes of a client that sends more than it may.
    RelayExcess {
        /// It is not read for a while.
        Pause = "pause",
        /// Its session ends.
        Close = "close",
    }
}

words! {
    /// What becomes of a session that is one too many.
    SessionExcess {
        /// It is refused.
        Refuse = "refuse",
        /// The oldest one ends.
        Oldest = "oldest",
    }
}

words! {
    /// What becomes of a message to a client that has no room.
    FullPush {
        /// It is not sent.
        Drop = "drop",
        /// The session ends.
        Close = "close",
    }
}

words! {
    /// What becomes of a message to a client that has permessage-deflate.
    CompressedPush {
        /// It goes uncompressed.
        Plain = "plain",
        /// It is not sent.
        Refuse = "refuse",
    }
}

words! {
    /// What may be asked of an `api` route.
    ApiRight {
        /// Send messages to clients.
        Push = "push",
        /// See sessions, and count them.
        List = "list",
        /// End sessions.
        Kick = "kick",
        /// Change the labels of sessions.
        Label = "label",
        /// Follow what becomes of sessions.
        Events = "events",
    }
}

words! {
    /// Which sessions move first.
    First {
        /// Those that have been longest where they are.
        Oldest = "oldest",
        /// Any.
        Random = "random",
    }
}

words! {
    /// When a new upstream takes up a session.
    Resumption {
        /// When its backend confirms in its answer that it does.
        Confirmed = "confirmed",
        /// When its backend answers.
        Always = "always",
    }
}

words! {
    /// When a browser sends a cookie with requests that another site's page makes
    /// (RFC 6265bis §5.6.7).
    SameSite {
        /// With links that are followed.
        Lax = "lax",
        /// Never.
        Strict = "strict",
        /// Always; over TLS only.
        None = "none",
    }
}

words! {
    /// What becomes of the sessions of a backend that stays out.
    OutSessions {
        /// Those that can be held move to other backends, the others stay.
        Move = "move",
        /// All stay.
        Keep = "keep",
        /// Those that can be held move to other backends, the others are drained.
        Drain = "drain",
    }
}

words! {
    /// Which addresses of a name are backends.
    AddressFamily {
        /// All.
        Any = "any",
        /// Those of A records.
        Ipv4 = "ipv4",
        /// Those of AAAA records.
        Ipv6 = "ipv6",
    }
}
