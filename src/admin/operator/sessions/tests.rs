use super::*;

fn traffic(client: (u64, u64), upstream: (u64, u64), rtt: Option<u64>) -> Option<TrafficRow> {
    Some(TrafficRow {
        client_messages: client.0,
        client_bytes: client.1,
        client_rtt_ms: rtt,
        upstream_messages: upstream.0,
        upstream_bytes: upstream.1,
        upstream_rtt_ms: None,
    })
}

/// Three sessions of two processes, of which the older one tells nothing of what passed.
fn sessions() -> SessionList {
    let row = |id: &str, pid, client: &str, backend: &str, age_seconds| SessionRow {
        id: id.to_owned(),
        pid,
        client: Some(client.to_owned()),
        listener: "https".to_owned(),
        route: "*/chat".to_owned(),
        path: Some("/chat/rooms/general?user=…".to_owned()),
        pool: "chat".to_owned(),
        backend: backend.to_owned(),
        age_seconds,
        ..SessionRow::default()
    };
    let one = SessionRow {
        traffic: traffic((1_204, 96_320), (33, 4_812_000), Some(23)),
        ..row("8f3b52c49d1e-0000000200000200", 4711, "192.0.2.7:50112", "10.0.0.7:9001", 3_700.0)
    };
    let two = SessionRow {
        traffic: traffic((1, 20), (0, 0), None),
        leaving: Some("command".to_owned()),
        path: Some("/chat".to_owned()),
        ..row("8f3b52c49d1e-0000000300000301", 4711, "[2001:db8::1]:443", "10.0.0.8:9001", 65.0)
    };
    let old =
        row("b17c0c2ad0f1-0000000000000000", 815, "192.0.2.9:40000", "10.0.0.7:9001", 90_000.0);
    let mut list = SessionList { live: 9, matched: 3, unseen: 0, sessions: vec![one, two, old] };
    list.sort(SortKey::Age, 10);
    list
}

#[test]
fn sessions_are_a_table_that_fits_the_terminal() {
    let (wide, left_out) = sessions().table(None);
    assert_eq!((wide.as_str(), left_out), (include_str!("wide.txt").trim_end(), vec![]));
    let (table, left_out) = sessions().table(Some(120));
    assert_eq!(table, include_str!("120.txt").trim_end());
    assert_eq!(left_out, ["LISTENER", "POOL", "ROUTE", "LABELS"]);
    let (table, left_out) = sessions().table(Some(80));
    assert_eq!(table, include_str!("80.txt").trim_end());
    assert_eq!(
        left_out,
        ["LISTENER", "POOL", "ROUTE", "LABELS", "LEAVING", "PID", "PATH", "RTT", "MESSAGES"]
    );
    for width in [1, 60, 80, 100, 120, 200] {
        let (table, _) = sessions().table(Some(width));
        let longest = table.lines().map(|line| line.chars().count()).max().unwrap();
        // Id, client, backend, age and bytes stay, whatever they need.
        assert!(longest <= usize::from(width.max(77)), "{longest} of {width}:\n{table}");
    }
    assert_eq!(SessionList::default().table(Some(80)), (String::new(), vec![]));
}

#[test]
fn sessions_are_sorted_by_a_column_and_then_by_age() {
    let sorted = |key, limit| {
        let mut list = sessions();
        list.sort(key, limit);
        list.sessions.into_iter().map(|row| row.pid.to_string() + &row.id[27..]).collect()
    };
    let (one, two, old) = ("471100", "471101", "81500");
    let rows: [(SortKey, Vec<&str>); 9] = [
        (SortKey::Age, vec![old, one, two]),
        (SortKey::Client, vec![one, old, two]),
        (SortKey::Route, vec![old, one, two]),
        (SortKey::Backend, vec![old, one, two]),
        (SortKey::Pid, vec![old, one, two]),
        (SortKey::Path, vec![two, old, one]),
        (SortKey::Messages, vec![one, two, old]),
        (SortKey::Bytes, vec![one, two, old]),
        (SortKey::Rtt, vec![one, old, two]),
    ];
    for (key, wanted) in rows {
        let sorted: Vec<String> = sorted(key, 10);
        assert_eq!(sorted, wanted, "{key:?}");
    }
    let first: Vec<String> = sorted(SortKey::Bytes, 1);
    assert_eq!(first, [one]);
}

#[test]
fn what_passed_is_told_by_side_and_missing_where_it_is_not_known() {
    let json = json!(sessions());
    let rows = json["sessions"].as_array().unwrap();
    assert_eq!(
        (&rows[1]["client_messages"], &rows[1]["upstream_bytes"]),
        (&json!(1_204), &json!(4_812_000))
    );
    assert!(rows[0].get("client_messages").is_none() && rows[0].get("here").is_none(), "{json}");
    let read: SessionList = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(json!(read), json, "what an older process says is read as it was written");
    assert!(read.sessions[0].traffic.is_none());
}

#[test]
fn bytes_have_three_digits_and_a_unit() {
    let said = [0, 999, 1_000, 9_949, 9_960, 123_456, 999_600, 4_812_000, 5_000_000_000_000];
    let said = said.map(size);
    assert_eq!(said, ["0B", "999B", "1.0kB", "9.9kB", "10kB", "123kB", "1.0MB", "4.8MB", "5.0TB"]);
}
