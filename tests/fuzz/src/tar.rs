//! Just enough of tar to write one and to find the members of one that is half destroyed.

use std::ops::Range;

pub const BLOCK: usize = 512;
pub const NAME: Range<usize> = 0..100;
pub const SIZE: Range<usize> = 124..136;
pub const CHECKSUM: Range<usize> = 148..156;
pub const TYPE: usize = 156;
pub const LINK: Range<usize> = 157..257;

/// One header with its body.
pub fn member(kind: u8, name: &str, link: &str, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0; BLOCK];
    put(&mut out, NAME, name.as_bytes());
    put(&mut out, 100..108, b"0000755\0");
    put(&mut out, 108..116, b"0000000\0");
    put(&mut out, 116..124, b"0000000\0");
    put(&mut out, 136..148, b"07346545000\0");
    out[TYPE] = kind;
    put(&mut out, LINK, link.as_bytes());
    put(&mut out, 257..265, b"ustar\x0000");
    resize(&mut out, body);
    seal(&mut out);
    out
}

/// Fills a field, and clears the rest of it.
pub fn put(block: &mut [u8], field: Range<usize>, value: &[u8]) {
    let length = value.len().min(field.len());
    let field = &mut block[field];
    field.fill(0);
    field[..length].copy_from_slice(&value[..length]);
}

/// Gives a member another body.
pub fn resize(member: &mut Vec<u8>, body: &[u8]) {
    member.truncate(BLOCK);
    put(member, SIZE, format!("{:011o}\0", body.len()).as_bytes());
    member.extend(body);
    member.resize(member.len().next_multiple_of(BLOCK), 0);
}

/// A PAX record with its length, which counts its own digits.
pub fn record(content: &[u8]) -> Vec<u8> {
    let mut length = content.len() + 3;
    while length != content.len() + 2 + length.to_string().len() {
        length = content.len() + 2 + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", content, b"\n"].concat()
}

/// Makes the checksum right.
pub fn seal(member: &mut [u8]) {
    put(member, CHECKSUM, b"        ");
    let sum: u32 = member[..BLOCK].iter().map(|byte| u32::from(*byte)).sum();
    put(member, CHECKSUM, format!("{sum:06o}\0 ").as_bytes());
}

/// The body of a member, as far as it is there.
pub fn body(member: &[u8]) -> &[u8] {
    let length = stated_size(member).min(member.len() - BLOCK);
    &member[BLOCK..BLOCK + length]
}

/// Cuts a stream where headers should be. The last piece may be anything.
pub fn members(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !stream.is_empty() {
        let length = if stream.len() < BLOCK {
            stream.len()
        } else {
            let body = stated_size(stream).checked_next_multiple_of(BLOCK);
            let whole = body.and_then(|body| body.checked_add(BLOCK));
            whole.unwrap_or(usize::MAX).min(stream.len())
        };
        let (member, rest) = stream.split_at(length);
        found.push(member.to_vec());
        stream = rest;
    }
    found
}

fn stated_size(header: &[u8]) -> usize {
    if !matches!(
        header[TYPE],
        0 | b'0' | b'7' | b'x' | b'g' | b'L' | b'K' | b'S'
    ) {
        return 0;
    }
    let digits = header[SIZE]
        .iter()
        .filter(|byte| (b'0'..=b'7').contains(byte));
    digits.fold(0, |sum: usize, digit| {
        sum.saturating_mul(8)
            .saturating_add(usize::from(digit - b'0'))
    })
}
