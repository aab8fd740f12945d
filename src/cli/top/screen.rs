//! The terminal while it is drawn on: raw, on its other page, put back however the program ends.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::mpsc::Sender;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The other page, without a cursor and without lines that wrap.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Where a terminal does not say how large it is.
const SIZE: (usize, usize) = (80, 24);

/// A terminal that is drawn on.
pub(super) struct Screen {
    before: Termios,
}

impl Screen {
    /// Takes standard output, if a person looks at it and can press keys.
    pub(super) fn take() -> Option<Screen> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Flush, &raw).ok()?;
        let screen = Screen { before };
        write(ENTER);
        Some(screen)
    }

    /// Columns and rows.
    pub(super) fn size() -> (usize, usize) {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (size.ws_col.into(), size.ws_row.into())
            }
            _ => SIZE,
        }
    }

    /// Draws these lines in the place of all that is there. Each is cut by who made it.
    pub(super) fn draw(&self, lines: &[String]) {
        let mut page = "\x1b[H".to_owned();
        for (index, line) in lines.iter().enumerate() {
            let end = if index == 0 { "" } else { "\r\n" };
            page += &format!("{end}{line}\x1b[K");
        }
        write(&(page + "\x1b[J"));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write(LEAVE);
        // A terminal that is gone has nothing to be put back.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

fn write(text: &str) {
    let mut out = io::stdout().lock();
    // A terminal that is gone is noticed by its keys.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A key that was pressed, or what came instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PressedKey {
    /// A letter, a digit, a sign.
    Letter(char),
    /// Enter.
    Enter,
    /// Backspace.
    Backspace,
    /// Escape, alone.
    Escape,
    /// Ctrl-C, or the terminal's end.
    Interrupt,
}

/// Sends each key that is pressed, on a thread of its own that ends with the program: a read from a
/// terminal cannot be called off.
pub(super) fn send_keys(keys: Sender<PressedKey>) -> io::Result<()> {
    let read = move || {
        let mut bytes = [0; 64];
        loop {
            let Ok(count @ 1..) = io::stdin().lock().read(&mut bytes) else {
                let _ = keys.send(PressedKey::Interrupt);
                return;
            };
            if pressed(&bytes[..count]).into_iter().any(|key| keys.send(key).is_err()) {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".to_owned()).spawn(read).map(drop)
}

/// The keys that a read from a terminal has; arrows and the like are none.
fn pressed(bytes: &[u8]) -> Vec<PressedKey> {
    if let [0x1b, _, ..] = bytes {
        return Vec::new();
    }
    let key = |letter| match letter {
        '\r' | '\n' => Some(PressedKey::Enter),
        '\u{8}' | '\u{7f}' => Some(PressedKey::Backspace),
        '\u{1b}' => Some(PressedKey::Escape),
        '\u{3}' => Some(PressedKey::Interrupt),
        letter => (!letter.is_control()).then_some(PressedKey::Letter(letter)),
    };
    String::from_utf8_lossy(bytes).chars().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_arrows_are_none() {
        assert_eq!(
            pressed(b"q\r\x7f\x03"),
            [
                PressedKey::Letter('q'),
                PressedKey::Enter,
                PressedKey::Backspace,
                PressedKey::Interrupt
            ]
        );
        assert_eq!(pressed(b"\x1b[A"), []);
        assert_eq!(pressed(b"\x1b"), [PressedKey::Escape]);
        assert_eq!(pressed("ü".as_bytes()), [PressedKey::Letter('ü')]);
    }
}
