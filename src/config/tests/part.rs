use super::*;

use crate::config::{admin_address, control_socket};

fn socket(text: &str) -> Result<Option<PathBuf>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("main.toml");
    fs::write(&path, text).unwrap();
    let found = control_socket(&path, &nothing);
    let relative = |path: PathBuf| path.strip_prefix(dir.path()).map_or(path.clone(), Into::into);
    found.map(|found| found.map(relative)).map_err(|refused| {
        let text = refused.report.text(&refused.sources, Colour::Plain);
        text.replace(dir.path().to_str().unwrap(), "DIR")
    })
}

#[test]
fn the_operators_socket_is_found_whatever_is_wrong_elsewhere() {
    let found = Ok(Some(PathBuf::from("a.sock")));
    let control = "[control]\nsocket = \"a.sock\"\n";
    for wrong in [
        "",
        "[listeners.a]\naddress = \"${UNSET}:80\"\n",
        "[listeners.a]\naddress = \"0.0.0.0:443\"\n\
         tls.certificates = [{ chain = \"gone.pem\", key = \"gone.key\" }]\n",
        "colour = 1\n",
        "include = \"gone/*.toml\"\n",
        "include = \"gone.toml\"\n",
        "[admin]\naddress = 5\n",
        "[[routes]]\npath = \"~ (\"\n",
        "[limits]\nconnections_max =\n",
    ] {
        assert_eq!(socket(&format!("{wrong}{control}")), found, "{wrong}");
        assert_eq!(socket(&format!("{wrong}{control}mode = \"huge\"\n")), found, "{wrong}");
    }
    let absolute = "[control]\nsocket = \"/run/a.sock\"\n";
    assert_eq!(socket(absolute), Ok(Some("/run/a.sock".into())));
    assert_eq!(socket("[control]\n"), Ok(Some("/run/tidegate/control.sock".into())));
    assert_eq!(socket("colour = 1\n"), Ok(None));
}

#[test]
fn what_is_wrong_with_the_operators_socket_is_said_and_nothing_else() {
    let said = socket("colour = 1\n[control]\nsocket = \"${RUN}/a.sock\"\n").unwrap_err();
    assert!(said.contains("not set: `RUN`") && !said.contains("colour"), "{said}");
    let said = socket("colour = 1\n[control]\nsocket = 5\n").unwrap_err();
    assert!(said.contains("socket") && !said.contains("colour"), "{said}");
    // It may stand where nothing could be read.
    let said = socket("include = \"gone.toml\"\ncolour = \n").unwrap_err();
    assert!(said.contains("colour"), "{said}");
    assert!(control_socket(std::path::Path::new("no/such.toml"), &nothing).is_err());
}

#[test]
fn the_admin_listener_is_found_likewise() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("main.toml");
    fs::write(&path, "[admin]\naddress = \"127.0.0.1:9000\"\n[pools.a]\nbackends = \"${B}\"\n")
        .unwrap();
    assert_eq!(admin_address(&path, &nothing).unwrap(), Some(([127, 0, 0, 1], 9000).into()));
}
