//! Messages to nf_tables: a batch of them is done as a whole or not at all
//! (linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h). Attributes are a length, a type, a
//! value and padding to four bytes (netlink(7)); numbers in them are in network order.

/// Requests, and how they are to be taken.
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
/// Make what is not there; else it is changed.
pub(super) const CREATE: u16 = 0x400;
/// Behind what is there.
pub(super) const APPEND: u16 = 0x800;
/// All that fit.
pub(super) const DUMP: u16 = 0x300;

/// The part of netfilter that has tables.
const NF_TABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// An attribute that has attributes.
const NESTED: u16 = 0x8000;

/// Packets of IPv4 and IPv6.
const INET: u8 = 1;
/// The family and the resource that the ends of a batch are about.
const WHOLE: (u8, u16) = (0, NF_TABLES);

/// What a message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Verb {
    NewTable = 0,
    DeleteTable = 2,
    NewChain = 3,
    NewRule = 6,
    GetRule = 7,
    DeleteRule = 8,
    NewSet = 9,
    NewElement = 12,
    GetElement = 13,
    DeleteElement = 14,
}

/// Messages in the making.
#[derive(Debug, Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
}

/// The attributes of a message, or of another attribute.
#[derive(Debug)]
pub(super) struct Attributes<'a>(&'a mut Vec<u8>);

impl Messages {
    /// One request outside of a batch.
    pub(super) fn query(verb: Verb, flags: u16, fill: impl FnOnce(&mut Attributes)) -> Vec<u8> {
        let mut messages = Self::default();
        messages.message(subsystem(verb), flags | REQUEST, (INET, 0), fill);
        messages.bytes
    }

    /// A batch, still empty.
    pub(super) fn batch() -> Self {
        let mut messages = Self::default();
        messages.message(BATCH_BEGIN, REQUEST, WHOLE, |_| ());
        messages
    }

    /// One request of a batch.
    pub(super) fn push(&mut self, verb: Verb, flags: u16, fill: impl FnOnce(&mut Attributes)) {
        let flags = flags | REQUEST | ACKNOWLEDGE;
        self.message(subsystem(verb), flags, (INET, 0), fill);
    }

    /// The complete batch.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.message(BATCH_END, REQUEST, WHOLE, |_| ());
        self.bytes
    }

    fn message(
        &mut self,
        kind: u16,
        flags: u16,
        (family, resource): (u8, u16),
        fill: impl FnOnce(&mut Attributes),
    ) {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend([0; 8]);
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        fill(&mut Attributes(&mut self.bytes));
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
    }
}

fn subsystem(verb: Verb) -> u16 {
    NF_TABLES << 8 | verb as u16
}

impl Attributes<'_> {
    /// A value as it is.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// A number.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A name.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat());
    }

    /// More attributes.
    pub(super) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend((kind | NESTED).to_ne_bytes());
        fill(&mut Attributes(self.0));
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        if let Some(place) = self.0.get_mut(start..start + 2) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
    }
}

/// The value of the first attribute of this type.
pub(super) fn find(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..usize::from(length))?;
        if kind & !NESTED == wanted {
            return Some(value);
        }
        bytes = bytes.get(usize::from(length).next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_again() {
        let mut bytes = Vec::new();
        let mut all = Attributes(&mut bytes);
        all.text(1, "ucr0");
        all.nest(2, |inner| inner.number(3, 0x0102_0304));
        assert_eq!(bytes.len(), 12 + 4 + 8);
        assert_eq!(find(&bytes, 1), Some(&b"ucr0\0"[..]));
        let inner = find(&bytes, 2).unwrap();
        assert_eq!(find(inner, 3), Some(&[1, 2, 3, 4][..]));
        assert_eq!(find(&bytes, 4), None);
        for cut in 0..bytes.len() {
            let _ = find(&bytes[..cut], 4);
        }
    }
}
