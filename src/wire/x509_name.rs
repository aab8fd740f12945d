//! A certificate's name as text (RFC 4514): `CN=ada,O=Example`.

use std::fmt::Write as _;

use super::x509::Der;

const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// The attributes that have short names (RFC 4514 §3), by their object identifiers.
const NAMES: [(&[u8], &str); 9] = [
    (&[0x55, 0x04, 0x03], "CN"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
];

/// A name's DER, without its head, as text: the last part first. `None` when it is no name.
pub fn text(name: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut rest = Der(name);
    while !rest.0.is_empty() {
        parts.push(relative(rest.take(SET)?)?);
    }
    parts.reverse();
    Some(parts.join(","))
}

/// A part of it: an attribute, or several.
fn relative(set: &[u8]) -> Option<String> {
    let mut attributes = Vec::new();
    let mut rest = Der(set);
    while !rest.0.is_empty() {
        let mut attribute = Der(rest.take(SEQUENCE)?);
        let id = attribute.take(OBJECT_IDENTIFIER)?;
        let whole = attribute.0;
        let (tag, value) = attribute.next()?;
        let known = NAMES.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
        let readable = matches!(tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING);
        let text = str::from_utf8(value).ok().filter(|_| readable);
        attributes.push(match (known, text) {
            (Some(name), Some(text)) => format!("{name}={}", escaped(text)),
            (Some(name), None) => format!("{name}=#{}", hex(whole)),
            (None, _) => format!("{}=#{}", dotted(id)?, hex(whole)),
        });
    }
    Some(attributes.join("+"))
}

/// As a value is written (RFC 4514 §2.4), so that no value can look like another part; control
/// characters as well, which a field could not have.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (index, c) in text.chars().enumerate() {
        let at_an_edge = (c == ' ' && (index == 0 || index == last)) || (c == '#' && index == 0);
        match c {
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a text cannot fail: it only grows.
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', c]),
            c if at_an_edge => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // As above.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An object identifier in numbers (X.690 §8.19).
fn dotted(id: &[u8]) -> Option<String> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number: u64 = 0;
    for byte in id {
        number = number.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let (first, rest) = numbers.split_first()?;
    let top = (*first / 40).min(2);
    let mut text = format!("{top}.{}", first - top * 40);
    for number in rest {
        let _ = write!(text, ".{number}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let content = parts.concat();
        [vec![tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn attribute(id: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let parts = [der(OBJECT_IDENTIFIER, &[id.to_vec()]), der(tag, &[value.to_vec()])];
        der(SEQUENCE, &parts)
    }

    fn common(value: &str) -> Vec<u8> {
        attribute(&[0x55, 0x04, 0x03], UTF8_STRING, value.as_bytes())
    }

    #[test]
    fn a_name_is_written_from_its_last_part_on_and_no_value_looks_like_a_part() {
        let organisation = attribute(&[0x55, 0x04, 0x0a], PRINTABLE_STRING, b"Example, Inc.");
        let two = der(SET, &[organisation, common("b")]);
        let mail = attribute(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], 0x16, b"a@b");
        let name = [two, der(SET, &[mail]), der(SET, &[common("ada")])].concat();
        let expected = "CN=ada,1.2.840.113549.1.9.1=#1603614062,O=Example\\, Inc.+CN=b";
        assert_eq!(text(&name).as_deref(), Some(expected));
        assert_eq!(text(b"").as_deref(), Some(""));
        for (value, written) in [
            (" a ", "\\ a\\ "),
            ("#1", "\\#1"),
            ("x,CN=root", "x\\,CN=root"),
            ("a\r\nb\0", "a\\0D\\0Ab\\00"),
            ("zoë", "zoë"),
        ] {
            let name = der(SET, &[common(value)]);
            assert_eq!(text(&name), Some(format!("CN={written}")));
        }
        let unreadable = der(SET, &[attribute(&[0x55, 0x04, 0x03], 0x1e, &[0, 65])]);
        assert_eq!(text(&unreadable).as_deref(), Some("CN=#1e020041"));
    }

    #[test]
    fn what_is_no_name_is_none() {
        let good = der(SET, &[common("ada")]);
        for cut in 1..good.len() {
            assert_eq!(text(&good[..cut]), None, "{cut}");
        }
        assert_eq!(text(&der(SEQUENCE, &[common("ada")])), None);
    }
}
