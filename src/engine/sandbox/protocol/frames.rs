//! Owns the frames of the socket between b2i and its sandbox child. Must not know their contents.
//!
//! A frame is one byte of kind, four bytes of length (big endian), and the bytes. Messages are JSON.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest body of a frame, in bytes.
const MAXIMUM_FRAME: usize = 256 * 1024;

/// Size of one data frame, in bytes.
pub(in crate::engine::sandbox) const PIECE: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::sandbox) enum FrameKind {
    /// One message in JSON.
    Message = b'm' as isize,
    /// Bytes of a file or an archive.
    Data = b'd' as isize,
    /// The data is complete.
    End = b'e' as isize,
    /// The data is incomplete.
    Cut = b'c' as isize,
    Stdout = b'1' as isize,
    Stderr = b'2' as isize,
}

impl FrameKind {
    fn of(byte: u8) -> Option<Self> {
        let all = [Self::Message, Self::Data, Self::End, Self::Cut, Self::Stdout, Self::Stderr];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

pub(in crate::engine::sandbox) fn write_frame(
    out: &mut impl Write,
    kind: FrameKind,
    body: &[u8],
) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut head = [kind as u8, 0, 0, 0, 0];
    head[1..].copy_from_slice(&length.to_be_bytes());
    out.write_all(&head)?;
    out.write_all(body)
}

/// Reads a frame; none if the other side has closed the socket.
pub(in crate::engine::sandbox) fn read_frame(
    input: &mut impl Read,
) -> io::Result<Option<(FrameKind, Vec<u8>)>> {
    let mut head = [0; 5];
    match input.read(&mut head[..1]) {
        Ok(0) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        Err(error) => return Err(error),
        Ok(_) => input.read_exact(&mut head[1..])?,
    }
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let kind = FrameKind::of(head[0]).ok_or_else(|| invalid("the frame has an unknown kind"))?;
    if length > MAXIMUM_FRAME {
        return Err(invalid("the frame is too long"));
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(Some((kind, body)))
}

pub(in crate::engine::sandbox) fn write_message(
    out: &mut impl Write,
    message: &impl Serialize,
) -> io::Result<()> {
    write_frame(out, FrameKind::Message, &serde_json::to_vec(message)?)
}

/// Reads a message; none if the other side has closed the socket.
pub(in crate::engine::sandbox) fn read_message<T: DeserializeOwned>(
    input: &mut impl Read,
) -> io::Result<Option<T>> {
    match read_frame(input)? {
        None => Ok(None),
        Some((FrameKind::Message, body)) => Ok(Some(serde_json::from_slice(&body)?)),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a message was expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sandbox::protocol::Answer;

    #[test]
    fn frames_come_back_as_they_were_and_nonsense_is_refused() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, FrameKind::Stderr, b"text").expect("writes");
        write_message(&mut bytes, &Answer::Has(true)).expect("writes");
        let mut input = bytes.as_slice();
        assert_eq!(read_frame(&mut input).expect("reads"), Some((FrameKind::Stderr, b"text".to_vec())));
        assert_eq!(read_message::<Answer>(&mut input).expect("reads"), Some(Answer::Has(true)));
        assert_eq!(read_frame(&mut input).expect("reads"), None);
        for nonsense in [&b"x\0\0\0\0"[..], b"d\xff\xff\xff\xff", b"d\0\0\0\x05abc", b"d\0"] {
            assert!(read_frame(&mut &*nonsense).is_err(), "{nonsense:?}");
        }
    }
}
