//! bzip2, for reading. Ours, because the one crate that is kept up has a licence that `.deny.toml`
//! does not know.
//!
//! A stream is blocks of at most 900 kB, each coded in four steps that are undone here: Huffman
//! codes, move-to-front with run lengths, the Burrows-Wheeler transform, run lengths of the bytes.
//! Several streams may follow each other, as pbzip2 writes them. Randomised blocks, which nothing
//! has written since 1997, are refused. All sums are checked.

use std::io::{self, BufRead, ErrorKind, Read};

const BLOCK: u64 = 0x3141_5926_5359;
const END: u64 = 0x1772_4538_5090;
/// Blocks are this much times the level, in bytes.
const UNIT: usize = 100_000;
/// Symbols that share a table.
const GROUP: usize = 50;
/// As many selectors as the largest block can use; bzip2 1.0.8 too passes over what is beyond.
const MAX_SELECTORS: usize = 18_002;
const MAX_LENGTH: u32 = 20;
/// Larger runs than of 2^20 fit no block.
const MAX_RUN_DIGITS: u32 = 20;

fn bad(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("bzip2: {why}"))
}

/// Reads what a bzip2 file holds.
pub(super) struct Bzip2<R> {
    bits: Bits<R>,
    /// Of the stream that is being read; its largest block in bytes.
    most: Option<usize>,
    streams: u64,
    /// Sum of the blocks of this stream so far.
    combined: u32,
    block: Block,
}

impl<R: BufRead> Bzip2<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            bits: Bits {
                source,
                held: 0,
                count: 0,
            },
            most: None,
            streams: 0,
            combined: 0,
            block: Block::default(),
        }
    }

    /// Decodes the next block; `false` at the end of the last stream.
    fn advance(&mut self) -> io::Result<bool> {
        loop {
            let Some(most) = self.most else {
                if self.streams > 0 && self.bits.is_at_end()? {
                    return Ok(false);
                }
                self.most = Some(self.header()?);
                self.combined = 0;
                continue;
            };
            let magic = u64::from(self.bits.take(24)?) << 24 | u64::from(self.bits.take(24)?);
            match magic {
                BLOCK => {
                    self.block = Block::read(&mut self.bits, most)?;
                    self.combined = self.combined.rotate_left(1) ^ self.block.expected;
                    return Ok(true);
                }
                END if self.bits.sum()? == self.combined => {
                    self.bits.align();
                    self.streams += 1;
                    self.most = None;
                }
                END => return Err(bad("the sum of a stream is wrong")),
                _ => return Err(bad("something that is no block")),
            }
        }
    }

    fn header(&mut self) -> io::Result<usize> {
        let (magic, level) = (self.bits.take(24)?, self.bits.take(8)?);
        match level.checked_sub(u32::from(b'0')) {
            Some(level @ 1..=9) if magic == 0x42_5a68 => Ok(level as usize * UNIT),
            _ => Err(bad("it does not begin as a stream does")),
        }
    }
}

impl<R: BufRead> Read for Bzip2<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let length = self.block.fill(buffer)?;
            if length > 0 || !self.advance()? {
                return Ok(length);
            }
        }
    }
}

/// Bits, the highest of a byte first.
struct Bits<R> {
    source: R,
    /// The lowest `count` bits are the next ones.
    held: u64,
    count: u32,
}

impl<R: BufRead> Bits<R> {
    /// Holds at least so many bits, if there are.
    fn need(&mut self, count: u32) -> io::Result<()> {
        while self.count < count {
            let Some(byte) = self.source.fill_buf()?.first().copied() else {
                break;
            };
            self.source.consume(1);
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
        Ok(())
    }

    /// The next bits without taking them; zeros beyond the end.
    fn peek(&mut self, count: u32) -> io::Result<u32> {
        self.need(count)?;
        let bits = match self.count.checked_sub(count) {
            Some(beyond) => self.held >> beyond,
            None => self.held << (count - self.count),
        };
        Ok((bits & ((1 << count) - 1)) as u32)
    }

    fn skip(&mut self, count: u32) -> io::Result<()> {
        let left = self.count.checked_sub(count);
        self.count = left.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))?;
        Ok(())
    }

    /// At most 24 bits.
    fn take(&mut self, count: u32) -> io::Result<u32> {
        let bits = self.peek(count)?;
        self.skip(count)?;
        Ok(bits)
    }

    fn bit(&mut self) -> io::Result<bool> {
        Ok(self.take(1)? == 1)
    }

    fn sum(&mut self) -> io::Result<u32> {
        Ok(self.take(16)? << 16 | self.take(16)?)
    }

    fn align(&mut self) {
        self.count -= self.count % 8;
    }

    fn is_at_end(&mut self) -> io::Result<bool> {
        self.need(8)?;
        Ok(self.count == 0)
    }
}

/// A prefix code: how many codes each length has, and what they stand for.
struct Code {
    /// By length: the first value, left-aligned in 20 bits, that no code so short has.
    limits: [u32; MAX_LENGTH as usize + 1],
    /// By length: what a code is less than its place in `symbols`.
    offsets: [u32; MAX_LENGTH as usize + 1],
    symbols: Vec<u16>,
}

impl Code {
    fn read(bits: &mut Bits<impl BufRead>, count: usize) -> io::Result<Self> {
        let mut length = bits.take(5)?;
        let mut lengths = Vec::with_capacity(count);
        for _ in 0..count {
            loop {
                if !(1..=MAX_LENGTH).contains(&length) {
                    return Err(bad("a code of impossible length"));
                }
                if !bits.bit()? {
                    break;
                }
                length = if bits.bit()? { length - 1 } else { length + 1 };
            }
            lengths.push(length);
        }
        Ok(Self::of(&lengths))
    }

    fn of(lengths: &[u32]) -> Self {
        let mut code = Self {
            limits: [0; MAX_LENGTH as usize + 1],
            offsets: [0; MAX_LENGTH as usize + 1],
            symbols: Vec::with_capacity(lengths.len()),
        };
        let mut next = 0_u32;
        for length in 1..=MAX_LENGTH {
            let at = length as usize;
            next <<= 1;
            code.offsets[at] = next.wrapping_sub(code.symbols.len() as u32);
            let own = (0_u16..).zip(lengths).filter(|(_, own)| **own == length);
            let before = code.symbols.len();
            code.symbols.extend(own.map(|(symbol, _)| symbol));
            next = next.saturating_add((code.symbols.len() - before) as u32);
            code.limits[at] = next.saturating_mul(1 << (MAX_LENGTH - length));
        }
        code
    }

    fn symbol(&self, bits: &mut Bits<impl BufRead>) -> io::Result<usize> {
        let ahead = bits.peek(MAX_LENGTH)?;
        for length in 1..=MAX_LENGTH {
            if ahead < self.limits[length as usize] {
                let value = ahead >> (MAX_LENGTH - length);
                let at = value.wrapping_sub(self.offsets[length as usize]);
                bits.skip(length)?;
                let symbol = self.symbols.get(at as usize);
                return symbol
                    .map(|it| usize::from(*it))
                    .ok_or_else(|| bad("a code of nothing"));
            }
        }
        Err(bad("a code of nothing"))
    }
}

/// A block that is decoded as far as it is read.
#[derive(Default)]
struct Block {
    /// Byte in the low 8 bits, the place of the next one above them.
    chain: Vec<u32>,
    at: u32,
    left: usize,
    expected: u32,
    sum: Sum,
    last: Option<u8>,
    /// How often `last` came in a row; after four times comes a number.
    same: u8,
    /// More of `last` that are still to be written.
    repeats: u8,
    checked: bool,
}

impl Block {
    fn read(bits: &mut Bits<impl BufRead>, most: usize) -> io::Result<Self> {
        let expected = bits.sum()?;
        if bits.bit()? {
            return Err(bad("a randomised block"));
        }
        let origin = bits.take(24)?;
        let bytes = front_to_bytes(bits, most)?;
        let mut chain = bytes;
        let at = unsort(&mut chain, origin)?;
        Ok(Self {
            left: chain.len(),
            chain,
            at,
            expected,
            ..Self::default()
        })
    }

    /// Writes bytes; 0 at the end of a block whose sum is right.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = 0;
        while length < buffer.len() {
            if self.repeats > 0 {
                self.repeats -= 1;
                let last = self.last.unwrap_or_default();
                buffer[length] = last;
            } else if self.left > 0 {
                self.left -= 1;
                let byte = (self.at & 0xff) as u8;
                self.at = self
                    .chain
                    .get((self.at >> 8) as usize)
                    .copied()
                    .unwrap_or(0);
                if self.same == 4 {
                    (self.repeats, self.same) = (byte, 0);
                    continue;
                }
                self.same = if self.last == Some(byte) && self.same > 0 {
                    self.same + 1
                } else {
                    1
                };
                self.last = Some(byte);
                buffer[length] = byte;
            } else {
                break;
            }
            length += 1;
        }
        self.sum.add(&buffer[..length]);
        if length == 0 && !self.checked && !self.chain.is_empty() {
            self.checked = true;
            if self.sum.value() != self.expected {
                return Err(bad("the sum of a block is wrong"));
            }
        }
        Ok(length)
    }
}

/// Undoes Huffman codes and move-to-front; a byte in each element.
fn front_to_bytes(bits: &mut Bits<impl BufRead>, most: usize) -> io::Result<Vec<u32>> {
    let mut front = used_bytes(bits)?;
    let end = front.len() + 1;
    let tables = bits.take(3)? as usize;
    let selectors = selectors(bits, tables)?;
    let codes: Vec<Code> = (0..tables)
        .map(|_| Code::read(bits, end + 1))
        .collect::<Result<_, _>>()?;
    let mut bytes: Vec<u32> = Vec::with_capacity(most);
    let (mut run, mut digits) = (0_usize, 0);
    for selector in selectors {
        for _ in 0..GROUP {
            let symbol = codes[usize::from(selector)].symbol(bits)?;
            if symbol < 2 && digits < MAX_RUN_DIGITS {
                run += (symbol + 1) << digits;
                digits += 1;
                continue;
            }
            if symbol < 2 || run > most - bytes.len() {
                return Err(bad("a block longer than it may be"));
            }
            bytes.resize(bytes.len() + run, u32::from(front[0]));
            (run, digits) = (0, 0);
            if symbol == end {
                return Ok(bytes);
            }
            if bytes.len() == most {
                return Err(bad("a block longer than it may be"));
            }
            front[..symbol].rotate_right(1);
            bytes.push(u32::from(front[0]));
        }
    }
    Err(bad("a block without an end"))
}

fn used_bytes(bits: &mut Bits<impl BufRead>) -> io::Result<Vec<u8>> {
    let mut used = Vec::with_capacity(256);
    let rows = bits.take(16)?;
    for row in (0..16_u8).filter(|row| rows >> (15 - row) & 1 == 1) {
        let columns = bits.take(16)?;
        let there = (0..16_u8).filter(|column| columns >> (15 - column) & 1 == 1);
        used.extend(there.map(|column| row * 16 + column));
    }
    match used.is_empty() {
        true => Err(bad("a block of nothing")),
        false => Ok(used),
    }
}

fn selectors(bits: &mut Bits<impl BufRead>, tables: usize) -> io::Result<Vec<u8>> {
    if !(2..=6).contains(&tables) {
        return Err(bad("an impossible number of tables"));
    }
    let count = bits.take(15)? as usize;
    let mut front = [0, 1, 2, 3, 4, 5];
    let mut selectors = Vec::with_capacity(count.min(MAX_SELECTORS));
    for number in 0..count {
        let mut place = 0;
        while bits.bit()? {
            place += 1;
            if place == tables {
                return Err(bad("a table that is not there"));
            }
        }
        front[..=place].rotate_right(1);
        if number < MAX_SELECTORS {
            selectors.push(front[0]);
        }
    }
    Ok(selectors)
}

/// Undoes the transform: chains the bytes in their order; returns the first.
fn unsort(chain: &mut [u32], origin: u32) -> io::Result<u32> {
    let mut places = [0_u32; 256];
    for byte in chain.iter() {
        places[*byte as usize] += 1;
    }
    let mut before = 0;
    for place in &mut places {
        before += std::mem::replace(place, before);
    }
    for at in 0..chain.len() {
        let place = &mut places[(chain[at] & 0xff) as usize];
        chain[*place as usize] |= (at as u32) << 8;
        *place += 1;
    }
    let first = chain
        .get(origin as usize)
        .ok_or_else(|| bad("a block that begins nowhere"))?;
    let first = chain.get((first >> 8) as usize);
    first
        .copied()
        .ok_or_else(|| bad("a block that begins nowhere"))
}

/// CRC-32, the highest bit first.
struct Sum(u32);

impl Default for Sum {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Sum {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let mut value = (at as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                let carry = value >> 31;
                value = (value << 1) ^ (0x04c1_1db7 * carry);
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let index = (self.0 >> 24) as u8 ^ byte;
            self.0 = (self.0 << 8) ^ Self::TABLE[usize::from(index)];
        }
    }

    fn value(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn compress(bytes: &[u8], level: &str) -> Vec<u8> {
        let mut child = Command::new("bzip2")
            .args([level, "-c"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs bzip2: apt-get install bzip2");
        let mut stdin = child.stdin.take().unwrap();
        let bytes = bytes.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&bytes));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        output.stdout
    }

    fn decompress(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Bzip2::new(bytes).read_to_end(&mut out).map(|_| out)
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn what_bzip2_packs() {
        let text = "how much wood would a woodchuck chuck "
            .repeat(40_000)
            .into_bytes();
        let runs: Vec<u8> = (0..=255).flat_map(|n| vec![n as u8; n * 5]).collect();
        for bytes in [
            Vec::new(),
            b"x".to_vec(),
            b"aaaa".to_vec(),
            b"aaaab".to_vec(),
            vec![0; 3_000_000],
            vec![b'z'; 259],
            noise(1_000_000),
            runs,
            text,
        ] {
            for level in ["-1", "-9"] {
                let packed = compress(&bytes, level);
                let unpacked = decompress(&packed).unwrap();
                assert!(unpacked == bytes, "{} bytes {level}", bytes.len());
            }
        }
        let two = [
            compress(b"one", "-1"),
            compress(b"", "-5"),
            compress(b"two", "-9"),
        ]
        .concat();
        assert_eq!(decompress(&two).unwrap(), b"onetwo");
    }

    #[test]
    fn damage_is_an_error() {
        let whole = compress(&noise(300), "-1");
        for at in 0..whole.len() {
            assert!(decompress(&whole[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                let same = decompress(&damaged).is_ok_and(|out| out != noise(300));
                assert!(!same, "byte {at} bit {bit}");
            }
        }
        assert!(decompress(&[&whole[..], b"junk"].concat()).is_err());
    }
}
