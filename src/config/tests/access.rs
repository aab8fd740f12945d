use super::*;

use tempfile::TempDir;

/// What is said of a rule whose file of users has this text.
fn said_of(users: &str) -> String {
    let dir: TempDir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("users"), users).unwrap();
    let text =
        "[access.tools]\nbasic = \"users\"\n[[routes]]\nrespond = \"x\"\naccess = \"tools\"\n";
    let path = dir.path().join("main.toml");
    fs::write(&path, text).unwrap();
    let report = match load(&path, &nothing) {
        Ok(loaded) => loaded.warnings.text(&loaded.sources, Colour::Plain),
        Err(refused) => refused.report.text(&refused.sources, Colour::Plain),
    };
    report.replace(dir.path().to_str().unwrap(), "DIR")
}

#[test]
fn lines_of_users_that_cannot_be_read_are_named_and_their_hashes_are_not_shown() {
    let hash = "$2y$05$abcdefghijklmnopqrstuuPZ1d2jzHZ8zZ5uVX6Hq1c6xZ8r7rTqa";
    let mut text = String::new();
    for (title, users) in [
        ("weak and broken", format!("ada:{hash}\neve:$apr1$SALT$HASH\nbob\nada:{hash}\n")),
        ("many", (0..9).map(|number| format!("user{number}:{{SHA}}HASH=\n")).collect()),
        ("none", "# nobody yet\n".to_owned()),
        ("dear", format!("ada:{}\n", hash.replace("$05$", "$31$"))),
    ] {
        let said = said_of(&users);
        assert!(!said.contains("HASH") && !said.contains("abcdefgh"), "{said}");
        text += &format!("== {title}\n\n{said}\n");
    }
    golden(&root().join("tests/config/users.txt"), &text);
    assert!(!said_of(&format!("ada:{hash}\n")).contains("error"));
}
