//! Data on standard output.

use std::io::{self, IsTerminal, Write};

use super::exit::Failure;

/// Prints data. A reader that has seen enough, as `head`, closes its end: that is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_while_read(text).map(drop)
}

/// The same; whether the reader is still there, for who has more to print.
pub(super) fn print_while_read(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::run(format!("standard output: {error}"))),
        Ok(()) => Ok(true),
    }
}

/// Prints data that is whole lines but for the end of its last.
pub(super) fn print_lines(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// The columns of the terminal that data is printed on; `None` where it is none.
pub(super) fn columns() -> Option<u16> {
    let out = io::stdout();
    let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten()?;
    Some(size.ws_col).filter(|columns| *columns > 0)
}
