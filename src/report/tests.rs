use super::*;

const FILE: &str = "[pools.chat]\nbackends = [\"é:1\"]\n\n[[routes]]\npool = \"chta\"\n";

fn span(file: FileId, text: &str) -> Span {
    let start = FILE.find(text).unwrap();
    Span::new(file, start..start + text.len())
}

fn sample() -> (Report, Sources) {
    let mut sources = Sources::default();
    let one = sources.add("one.toml", FILE);
    let two = sources.add("two.toml", FILE);
    let mut report = Report::default();
    report.push(
        Diagnostic::error("undefined", "no pool has this name: `chta`")
            .at(span(one, "\"chta\""))
            .label("used here")
            .also(span(two, "[pools.chat]"), "this pool is near")
            .hint("did you mean `chat`?".to_owned()),
    );
    report.push(Diagnostic::warning("unused", "nothing is listened on"));
    (report, sources)
}

#[test]
fn a_finding_is_drawn_with_line_caret_hint_and_every_file() {
    let (report, sources) = sample();
    let text = report.text(&sources, Colour::Plain);
    let expected = "\
error[undefined]: no pool has this name: `chta`
 --> one.toml:5:8
  |
5 | pool = \"chta\"
  |        ^^^^^^ used here
  |
 ::: two.toml:1:1
  |
1 | [pools.chat]
  | ------------ this pool is near
  |
  = help: did you mean `chat`?

warning[unused]: nothing is listened on

1 error, 1 warning
";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn colours_are_written_only_when_asked_for() {
    let (report, sources) = sample();
    assert!(!report.text(&sources, Colour::Plain).contains('\u{1b}'));
    assert!(report.text(&sources, Colour::Ansi).contains('\u{1b}'));
}

#[test]
fn json_counts_lines_and_columns_from_one() {
    let (report, sources) = sample();
    let json: serde_json::Value = serde_json::from_str(&report.json(&sources)).unwrap();
    assert_eq!(json["errors"], 1);
    let place = &json["findings"][0]["place"];
    assert_eq!(
        (&place["line"], &place["column"], &place["end_column"]),
        (&5.into(), &8.into(), &14.into())
    );
    assert_eq!(json["findings"][0]["related"][0]["place"]["file"], "two.toml");
    assert!(json["findings"][1]["place"].is_null());
}

#[test]
fn a_span_past_the_end_or_inside_a_character_is_drawn_all_the_same() {
    let mut sources = Sources::default();
    let file = sources.add("x.toml", "a = \"é\"");
    for range in [6..900, 900..901, 0..0, 8..8] {
        let mut report = Report::default();
        report.push(Diagnostic::error("syntax", "broken").at(Span::new(file, range)));
        assert!(report.text(&sources, Colour::Plain).contains("x.toml:1:"));
        report.json(&sources);
    }
}

#[test]
fn findings_of_one_kind_are_drawn_up_to_a_number_and_counted_beyond_it() {
    let mut sources = Sources::default();
    let file = sources.add("many.toml", "a = 1\n".repeat(20_000));
    let mut report = Report::default();
    for line in 0..20_000 {
        let at = Span::new(file, line * 6..line * 6 + 1);
        report.push(Diagnostic::warning("origins", format!("route {line}")).at(at));
        if line % 50 == 0 {
            report.push(Diagnostic::error("unknown-key", format!("key {line}")).at(at));
        }
    }
    let text = report.text(&sources, Colour::Plain);
    assert_eq!(text.matches("warning[origins]: route").count(), 100);
    assert!(text.contains("warning[origins]: 19900 more of this kind"), "{text}");
    assert_eq!(text.matches("error[unknown-key]: key").count(), 100);
    assert!(text.contains(" --> many.toml:4951:1\n"), "{text}");
    assert!(text.contains("error[unknown-key]: 300 more of this kind"), "{text}");
    assert!(text.ends_with("400 errors, 20000 warnings\n"), "{text}");
    let all: serde_json::Value = serde_json::from_str(&report.json(&sources)).unwrap();
    assert_eq!(all["findings"].as_array().map(Vec::len), Some(20_400));
    assert_eq!(all["findings"][20_399]["place"]["line"], 20_000);
}
