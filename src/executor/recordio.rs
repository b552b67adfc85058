//! RecordIO, the framing of a stream of events: the length of a record as decimal digits, a line
//! feed, then the record (reference/mesos-ucr.md, section 5.3). Records know nothing of the chunks
//! of HTTP that they come in.

use crate::error::{Fault, Kind};

/// Longest record that is taken, in bytes. The largest that an agent sends is a group of tasks,
/// each with the whole description of its executor.
pub const MAX_RECORD: usize = 8 << 20;
/// Digits of the longest length; more, even zeros, are garbage.
const MAX_DIGITS: u32 = 20;
/// What is set aside for a record before any of it is there.
const FIRST_CAPACITY: usize = 64 << 10;

/// Takes a stream apart, however it is cut.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Digits that came so far, and what they mean.
    Length { digits: u32, value: usize },
    /// The record so far, and how long it is to be.
    Record { bytes: Vec<u8>, length: usize },
    /// There is no way to find the next record.
    Lost,
}

impl Default for State {
    fn default() -> Self {
        Self::Length {
            digits: 0,
            value: 0,
        }
    }
}

impl Decoder {
    /// One at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` until a record is whole or nothing is left. After a
    /// fault ([`Kind::Network`]) the rest of the stream is of no use.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        loop {
            match &mut self.state {
                State::Lost => return Err(garbage("there was an error before")),
                State::Length { .. } => {
                    let Some((byte, rest)) = input.split_first() else {
                        return Ok(None);
                    };
                    *input = rest;
                    if let Err(fault) = self.length(*byte) {
                        self.state = State::Lost;
                        return Err(fault);
                    }
                }
                State::Record { bytes, length } => {
                    let count = input.len().min(*length - bytes.len());
                    let (now, rest) = input.split_at(count);
                    bytes.extend_from_slice(now);
                    *input = rest;
                    if bytes.len() < *length {
                        return Ok(None);
                    }
                    let record = std::mem::take(bytes);
                    self.state = State::default();
                    return Ok(Some(record));
                }
            }
        }
    }

    /// Whether the stream may end here without something being cut off.
    pub fn is_between_records(&self) -> bool {
        matches!(self.state, State::Length { digits: 0, .. })
    }

    /// One byte of a length.
    fn length(&mut self, byte: u8) -> Result<(), Fault> {
        let State::Length { digits, value } = &mut self.state else {
            return Ok(());
        };
        if byte == b'\n' && *digits > 0 {
            let length = *value;
            self.state = State::Record {
                bytes: Vec::with_capacity(length.min(FIRST_CAPACITY)),
                length,
            };
            return Ok(());
        }
        if !byte.is_ascii_digit() || *digits == MAX_DIGITS {
            return Err(garbage("the length of a record is not a number"));
        }
        *digits += 1;
        // Never overflows: the value is at most MAX_RECORD before.
        *value = *value * 10 + usize::from(byte - b'0');
        if *value > MAX_RECORD {
            let text = format!("a record is longer than {} MiB", MAX_RECORD >> 20);
            return Err(garbage(&text));
        }
        Ok(())
    }
}

fn garbage(why: &str) -> Fault {
    Fault::new(Kind::Network, format!("events of the agent: {why}"))
}

/// A record as it stands in a stream.
pub fn encode(record: &[u8]) -> Vec<u8> {
    let mut all = format!("{}\n", record.len()).into_bytes();
    all.extend_from_slice(record);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(decoder: &mut Decoder, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, Fault> {
        let mut all = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(record) = decoder.next(&mut piece)? {
                all.push(record);
            }
            assert!(piece.is_empty());
        }
        Ok(all)
    }

    #[test]
    fn records_are_found_wherever_the_stream_is_cut() {
        let records: [&[u8]; 5] = [b"{}", b"", b"12\n34", b"{\"type\":\"SHUTDOWN\"}", b"\n"];
        let stream: Vec<u8> = records.iter().flat_map(|it| encode(it)).collect();
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                let mut decoder = Decoder::new();
                assert_eq!(decode(&mut decoder, &pieces).unwrap(), records);
                assert!(decoder.is_between_records());
            }
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decode(&mut Decoder::new(), &bytes).unwrap(), records);
    }

    /// As an agent sent it: `19` and the whole SHUTDOWN.
    #[test]
    fn a_recorded_event() {
        let mut decoder = Decoder::new();
        let stream: &[u8] = b"19\n{\"type\":\"SHUTDOWN\"}";
        let all = decode(&mut decoder, &[stream]).unwrap();
        assert_eq!(all, [b"{\"type\":\"SHUTDOWN\"}"]);
    }

    #[test]
    fn garbage_is_told_and_stays() {
        let rows: [&[u8]; 10] = [
            b"\n",
            b" 2\n{}",
            b"-1\n",
            b"2 \n{}",
            b"2\r\n{}",
            b"0x2\n{}",
            b"{}",
            b"8388609\n",
            b"18446744073709551617\n",
            b"000000000000000000002\n{}",
        ];
        for row in rows {
            let mut decoder = Decoder::new();
            let fault = decode(&mut decoder, &[row]).unwrap_err();
            assert_eq!(fault.kind(), Kind::Network, "{row:?}");
            assert!(decode(&mut decoder, &[b"2\n{}"]).is_err(), "{row:?}");
        }
        assert_eq!(
            decode(&mut Decoder::new(), &[b"00000000000000000002\n{}"]).unwrap(),
            [b"{}"]
        );
    }

    #[test]
    fn an_announced_length_is_no_memory() {
        let mut decoder = Decoder::new();
        assert!(decode(&mut decoder, &[b"8388608\n{"]).unwrap().is_empty());
        let State::Record { bytes, .. } = &decoder.state else {
            panic!("it waits for the record");
        };
        assert!(bytes.capacity() < 2 * FIRST_CAPACITY);
    }

    #[test]
    fn an_end_within_a_record_is_known() {
        for stream in [&b"1"[..], b"2\n", b"2\n{"] {
            let mut decoder = Decoder::new();
            decode(&mut decoder, &[stream]).unwrap();
            assert!(!decoder.is_between_records(), "{stream:?}");
        }
        assert!(Decoder::new().is_between_records());
    }
}
