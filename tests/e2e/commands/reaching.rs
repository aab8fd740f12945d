//! How a command finds the running proxy's socket, and what it says where nothing listens.

use super::*;

/// The binary's answer in `dir` with `TIDEGATE_CONTROL` set to this.
fn with_variable(dir: &Path, socket: &str, words: &[&str]) -> (i32, String) {
    let output = command(dir, words).env("TIDEGATE_CONTROL", socket).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn commands_need_nothing_of_a_configuration_but_its_control_table() {
    let toml = |more: &str| {
        format!(
            "{more}[listeners.http]\naddress = \"127.0.0.1:0\"\n\
             [admin]\naddress = \"{}\"\n[control]\nsocket = \"control.sock\"\n\
             [drain]\ndelay = \"0s\"\n[[routes]]\nrespond = \"here\"\n",
            free()
        )
    };
    let dir = dir_with(&toml(""));
    let running = Running::start(dir.path(), &["run"]);
    until("a proxy", || tidegate(dir.path(), &["status"]).0 == 0).await;
    let good = std::fs::read_to_string(dir.path().join("tidegate.toml")).unwrap();
    for wrong in [
        "colour = 1\n",
        "[pools.a]\nbackends = \"${A_VARIABLE_THAT_IS_NOT_SET}:80\"\n",
        "[listeners.tls]\naddress = \"127.0.0.1:1\"\n\
         tls.certificates = [{ chain = \"gone.pem\", key = \"gone.key\" }]\n",
        "[limits]\nconnections_max =\n",
    ] {
        let text = format!("{wrong}{good}");
        std::fs::write(dir.path().join("tidegate.toml"), text).unwrap();
        assert_eq!(tidegate(dir.path(), &["check"]).0, 3, "{wrong}");
        for words in [&["status"][..], &["sessions"], &["drain", "--all"], &["health"]] {
            let (code, _, err) = tidegate(dir.path(), words);
            assert_eq!(code, 0, "{words:?} {wrong} {err}");
        }
        // A reload is the running proxy's, which refuses it.
        assert_eq!(tidegate(dir.path(), &["reload"]).0, 3, "{wrong}");
    }
    let broken = "colour = 1\n[control]\nsocket = \"${A_VARIABLE_THAT_IS_NOT_SET}\"\n";
    std::fs::write(dir.path().join("tidegate.toml"), broken).unwrap();
    let (code, _, err) = tidegate(dir.path(), &["status"]);
    assert_eq!((code, err.contains("not set")), (3, true), "{err}");
    assert!(!err.contains("colour"), "{err}");

    // The flag goes before the variable, and that before the file.
    let socket = dir.path().join("control.sock").display().to_string();
    assert_eq!(with_variable(dir.path(), &socket, &["status"]).0, 0);
    assert_eq!(with_variable(dir.path(), "gone", &["status", "--socket", &socket]).0, 0);
    std::fs::write(dir.path().join("tidegate.toml"), &good).unwrap();
    let (code, said) = with_variable(dir.path(), "gone", &["status"]);
    assert_eq!((code, said.contains("socket `gone`")), (1, true), "{said}");
    assert!(said.contains("variable `TIDEGATE_CONTROL` names it"), "{said}");
    assert_eq!(with_variable(dir.path(), "", &["status"]).0, 0);

    running.signal(libc::SIGKILL);
    let (code, said) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, None, "{said}");
    let (code, _, err) = tidegate(dir.path(), &["status"]);
    assert_eq!((code, err.contains("has ended")), (1, true), "{err}");
    assert!(err.contains("`control.socket` of `tidegate.toml` names it"), "{err}");
    let (code, _, err) = tidegate(dir.path(), &["status", "--socket", "gone"]);
    assert_eq!((code, err.contains("`--socket` names it")), (1, true), "{err}");
}

#[test]
fn without_a_configuration_the_default_socket_is_asked() {
    let empty = tempfile::tempdir().unwrap();
    let (code, _, err) = tidegate(empty.path(), &["status"]);
    assert_eq!((code, err.contains("`/run/tidegate/control.sock`")), (1, true), "{err}");
    assert!(err.contains("it is the default"), "{err}");
}
