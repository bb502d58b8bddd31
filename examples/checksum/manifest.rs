//! The lines of a manifest, as GNU `sha256sum` writes and reads them.

use std::io::{self, Write};
use std::path::Path;

use crate::hash::Digest;

/// A name with a backslash, a newline or a carriage return is escaped, which a backslash before the digest announces.
pub(crate) fn write_line(out: &mut impl Write, path: &Path, digest: &Digest) -> io::Result<()> {
    let name = path.as_os_str().as_encoded_bytes();
    let escaped = name.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'));
    if escaped {
        out.write_all(b"\\")?;
    }
    for byte in digest {
        write!(out, "{byte:02x}")?;
    }
    out.write_all(b"  ")?;
    for &byte in name {
        match byte {
            b'\\' => out.write_all(b"\\\\")?,
            b'\n' => out.write_all(b"\\n")?,
            b'\r' => out.write_all(b"\\r")?,
            other => out.write_all(&[other])?,
        }
    }
    out.write_all(b"\n")
}
