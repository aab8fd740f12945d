//! Examples of each command, which its `--help` and its manual page end with.

/// Of each command what can be typed, each with what it does.
pub(super) const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "run",
        &[
            ("tidegate run", "the first configuration of those that are looked for"),
            ("tidegate run /etc/tidegate/site.toml", "this one"),
        ],
    ),
    (
        "init",
        &[
            ("tidegate init --backend 127.0.0.1:3000", "all that comes in goes to one backend"),
            (
                "tidegate init --host chat.example.com --files www -o tidegate.toml",
                "a page as well",
            ),
            (
                "tidegate init --chain site.pem --key site.key --path /ws --hold",
                "with TLS, sockets below `/ws`, clients held while the backend restarts",
            ),
            (
                "tidegate init --host chat.example.com --acme ops@example.com",
                "with certificates that are ordered and renewed by themselves",
            ),
        ],
    ),
    (
        "check",
        &[
            ("tidegate check", "all that is wrong, each with its line and a hint"),
            ("tidegate check new.toml --no-files", "on a machine without its keys"),
            ("tidegate check --explain https://example.com/chat", "which route takes a URL"),
        ],
    ),
    (
        "reload",
        &[
            ("tidegate reload --dry-run", "what would change, and whose sessions would end"),
            ("tidegate reload", "the configuration is in force when it returns 0"),
            ("tidegate reload -c new.toml --dry-run", "the same of another file"),
        ],
    ),
    (
        "status",
        &[
            ("tidegate status", "pools, backends, drains, older processes"),
            ("tidegate status --json", "the same for programs"),
        ],
    ),
    (
        "sessions",
        &[
            ("tidegate sessions --sort bytes --limit 10", "the ten that moved most"),
            ("tidegate sessions --backend 10.0.0.7:9001 --older-than 1h", "old ones of a backend"),
            ("tidegate sessions --client 192.0.2.0/24 --json", "those of a network, for programs"),
        ],
    ),
    (
        "top",
        &[
            ("tidegate top", "`q` ends it, `/` filters, `r`, `m` and `b` choose what is busy"),
            ("tidegate top --once --sort messages --limit 10", "once, for a ticket"),
            ("tidegate top --once --json", "the same for programs"),
        ],
    ),
    (
        "tail",
        &[
            ("tidegate tail --session a0012ca27baa-0000000000000000", "each frame of this one"),
            ("tidegate tail --label user=alice --payload", "those of a user, and what they say"),
            ("tidegate tail --all --count 20 --json", "twenty frames, for programs"),
        ],
    ),
    (
        "drain",
        &[
            ("tidegate drain --backend 10.0.0.7:9001 --wait", "empty a backend before it stops"),
            ("tidegate drain --route /chat --rate 10/s --dry-run", "how many it would close"),
            ("tidegate drain --cancel 3", "those that were not told yet stay"),
        ],
    ),
    (
        "move",
        &[
            ("tidegate move --from 10.0.0.7:9001 --dry-run", "how many can be moved"),
            ("tidegate move --from 10.0.0.7:9001 --wait", "move them; clients do not notice"),
        ],
    ),
    ("enable", &[("tidegate enable --backend 10.0.0.7:9001", "it gets new sessions again")]),
    (
        "kick",
        &[
            ("tidegate kick 8f3b52c49d1e-0000000200000100", "one session, by its id"),
            ("tidegate kick --client 192.0.2.9 --code 4001", "all of a client, by a code of yours"),
        ],
    ),
    (
        "push",
        &[
            ("tidegate push --label user=42 --text hello", "a user's every tab reads it"),
            ("tidegate push --route chat --file - --wait read", "standard input, until it is read"),
            ("tidegate push --all --yes --file frame.bin --binary", "a binary message to everyone"),
        ],
    ),
    ("upgrade", &[("tidegate upgrade", "after the program's file was replaced")]),
    (
        "demo",
        &[
            ("tidegate demo", "https://localhost:8443/"),
            ("tidegate demo --backend 127.0.0.1:3000", "your own backend behind wss://"),
        ],
    ),
    (
        "reference",
        &[
            ("tidegate reference", "every key, for people"),
            ("tidegate reference --format schema", "for an editor"),
        ],
    ),
    ("openapi", &[("tidegate openapi", "for generators of clients")]),
    (
        "completions",
        &[
            (
                "tidegate completions bash",
                "for ~/.local/share/bash-completion/completions/tidegate",
            ),
            ("tidegate completions zsh", "for a file `_tidegate` in a directory of $fpath"),
            ("tidegate completions fish", "for ~/.config/fish/completions/tidegate.fish"),
        ],
    ),
    (
        "man",
        &[
            ("tidegate man", "this program's page; `tidegate man | man -l -` shows it"),
            ("tidegate man --dir /usr/local/share/man/man1", "a page for each command"),
        ],
    ),
    ("version", &[("tidegate version", "as `tidegate --version`")]),
    (
        "health",
        &[
            ("tidegate health", "asks `[admin]` of the configuration"),
            ("tidegate health --url http://127.0.0.1:9090/healthz", "asks this URL"),
        ],
    ),
];

/// The examples of a command, as its help shows them.
pub(super) fn of(command: &str) -> Option<String> {
    let (_, lines) = EXAMPLES.iter().find(|(name, _)| *name == command)?;
    // What it does stands below: beside the longest of them there is no room on 80 columns.
    let lines = lines.iter().map(|(typed, what)| format!("  {typed}\n      {what}"));
    Some(format!("Examples:\n{}", lines.collect::<Vec<_>>().join("\n")))
}
