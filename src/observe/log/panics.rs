//! A panic is a line of the log like any other: one line, in the log's format, and without the
//! paths of the machine that built the program.

use std::panic::{self, PanicHookInfo};

/// From now on a panic is logged; with `RUST_BACKTRACE` it is printed with its backtrace as well.
pub(super) fn log_them() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        log(info);
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|wanted| wanted != "0") {
            print(info);
        }
    }));
}

fn log(info: &PanicHookInfo<'_>) {
    let at = info.location().map(|at| format!("{}:{}", place(at.file()), at.line()));
    let thread = std::thread::current();
    let message = info.payload_as_str().unwrap_or("no message");
    tracing::error!(event = "panic", thread = thread.name(), at, "{message}");
}

/// A source file as it is known everywhere: below this crate, or in a crate of this name and
/// version, or in the standard library.
fn place(file: &str) -> &str {
    // Behind each of these stands one part that differs between machines: an index, a hash.
    for parent in ["/registry/src/", "/git/checkouts/", "/rustc/"] {
        if let Some((_, below)) = file.split_once(parent)
            && let Some((_, known)) = below.split_once('/')
        {
            return known;
        }
    }
    match file.starts_with('/') {
        true => file.rsplit('/').next().unwrap_or(file),
        false => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_of_the_machine_that_built_it_is_told() {
        for (file, shown) in [
            ("src/relay/drive.rs", "src/relay/drive.rs"),
            (
                "/home/user/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/h2-0.4.1/src/a.rs",
                "h2-0.4.1/src/a.rs",
            ),
            ("/rustc/ed61e7d7e/library/core/src/option.rs", "library/core/src/option.rs"),
            ("/build/tidegate/src/main.rs", "main.rs"),
        ] {
            assert_eq!(place(file), shown);
        }
    }
}
