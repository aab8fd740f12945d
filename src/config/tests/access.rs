use super::*;

use tempfile::TempDir;

/// What is said of a rule that names the file `named`, or a directory of it, with this text.
fn said_of(rule: &str, named: &str, text: &str) -> String {
    let dir: TempDir = tempfile::tempdir().unwrap();
    let file = dir.path().join(named);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    let text = format!(
        "listeners.http.address = \"0.0.0.0:80\"\n[access.rule]\n{rule}\n[[routes]]\n\
         respond = \"x\"\naccess = \"rule\"\n"
    );
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
    let said_of = |users: &str| said_of("basic = \"users\"", "users", users);
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
    assert_eq!(said_of(&format!("ada:{hash}\n")), "");
}

#[test]
fn keys_that_verify_nothing_are_told_what_they_are() {
    let said_of = |text: &str| said_of("jwt.keys = \"keys\"", "keys", text);
    let pair = rcgen::KeyPair::generate().unwrap();
    let secret = "{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"";
    let small = "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}";
    let mut text = String::new();
    for (title, keys) in [
        ("nothing", ""),
        ("no JSON", "{\"keys\": ["),
        ("a list that is none", "{\"keys\": {}}"),
        ("for another use", "{\"kty\":\"RSA\",\"use\":\"enc\"}"),
        ("small", small),
        ("another's algorithm", &format!("{secret},\"alg\":\"RS256\"}}")),
        ("cut", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}"),
        ("private", &pair.serialize_pem()),
    ] {
        let said = said_of(keys);
        text += &format!("== {title}\n\n{said}\n");
    }
    let none = self::said_of("jwt.keys = \"keys\"", "keys/.hidden", "");
    text += &format!("== an empty directory\n\n{none}\n");
    golden(&root().join("tests/config/keys.txt"), &text);
    for good in [pair.public_key_pem(), format!("{secret}}}")] {
        assert_eq!(said_of(&good), "");
    }
}
