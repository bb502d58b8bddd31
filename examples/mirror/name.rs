//! Paths in URLs: percent-encoded, as RFC 3986 has it.

use std::path::{Component, Path};

/// All but letters, digits, `-._~` and the slashes is encoded.
pub(crate) fn encode(path: &str) -> String {
    let mut url = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => url.push(char::from(byte)),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url
}

/// None if it is not encoded well, no text, or leads out of the folder that it is a path in.
pub(crate) fn decode(url: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = url.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?,
            other => other,
        });
    }
    let path = String::from_utf8(bytes).ok()?;
    let inside = Path::new(&path).components().all(|component| matches!(component, Component::Normal(_)));
    inside.then_some(path)
}
