//! The protobuf wire format, entry by entry, over the bytes as they were read: nothing is copied.

/// One entry of a message.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub number: u32,
    pub payload: Payload<'a>,
    /// The whole entry as it stands: tag, length, payload.
    pub raw: &'a [u8],
}

/// What an entry carries, by wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Why bytes are not a protobuf message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Malformed {
    #[error("an entry is cut off")]
    CutOff,
    #[error("a number has more than 64 bits")]
    Overlong,
    #[error("{0} is not a field number")]
    FieldNumber(u64),
    #[error("{0} is not a wire type in use")]
    WireType(u64),
}

/// The entries of a message, in the order they stand. Ends after the first error.
#[derive(Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline]
    fn read(&mut self) -> Result<Entry<'a>, Malformed> {
        let start = self.rest;
        let tag = self.varint()?;
        let number = match u32::try_from(tag >> 3) {
            Ok(number) if (1..1 << 29).contains(&number) => number,
            _ => return Err(Malformed::FieldNumber(tag >> 3)),
        };
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::CutOff)?;
                let (bytes, rest) = self
                    .rest
                    .split_at_checked(length)
                    .ok_or(Malformed::CutOff)?;
                self.rest = rest;
                Payload::Bytes(bytes)
            }
            5 => Payload::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(Malformed::WireType(other)),
        };
        let raw = &start[..start.len() - self.rest.len()];
        Ok(Entry {
            number,
            payload,
            raw,
        })
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        // Nearly all tags and lengths have one byte.
        match self.rest {
            [byte @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (position, &byte) in self.rest.iter().enumerate() {
            // The tenth byte holds the 64th bit and nothing else.
            if position == 9 && byte > 1 {
                return Err(Malformed::Overlong);
            }
            value |= u64::from(byte & 0x7f) << (position * 7);
            if byte < 0x80 {
                self.rest = &self.rest[position + 1..];
                return Ok(value);
            }
        }
        Err(Malformed::CutOff)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed::CutOff)?;
        self.rest = rest;
        Ok(*array)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.rest = &[];
        }
        Some(entry)
    }
}

/// The signed number of a `sint32` or `sint64`.
pub fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(bytes: &[u8]) -> Result<(u32, Payload<'_>), Malformed> {
        let entry = Entries::of(bytes).next().unwrap()?;
        Ok((entry.number, entry.payload))
    }

    #[test]
    fn every_wire_type_in_use_is_read() {
        assert_eq!(first(&[0x08, 0xac, 0x02]), Ok((1, Payload::Varint(300))));
        assert_eq!(
            first(b"\x09\x01\0\0\0\0\0\0\0"),
            Ok((1, Payload::Fixed64(1)))
        );
        assert_eq!(first(b"\x12\x02hi"), Ok((2, Payload::Bytes(b"hi"))));
        assert_eq!(first(b"\x1d\x01\0\0\0"), Ok((3, Payload::Fixed32(1))));
    }

    #[test]
    fn what_is_not_protobuf_is_refused() {
        let ten = |last| [&[0x08][..], &[0xff; 9], &[last]].concat();
        assert_eq!(first(&ten(1)), Ok((1, Payload::Varint(u64::MAX))));
        assert_eq!(first(&ten(2)), Err(Malformed::Overlong));
        assert_eq!(first(&[0x08]), Err(Malformed::CutOff));
        assert_eq!(first(b"\x12\x03hi"), Err(Malformed::CutOff));
        assert_eq!(first(b"\x09\x01"), Err(Malformed::CutOff));
        assert_eq!(first(&[0x00, 0x00]), Err(Malformed::FieldNumber(0)));
        assert_eq!(first(&[0x0b]), Err(Malformed::WireType(3)));
    }

    #[test]
    fn nothing_is_read_after_an_error() {
        assert_eq!(Entries::of(&[0x0b, 0x08, 0x01]).count(), 1);
    }

    #[test]
    fn zigzag_covers_the_whole_range() {
        assert_eq!(zigzag(0), 0);
        assert_eq!(zigzag(1), -1);
        assert_eq!(zigzag(2), 1);
        assert_eq!(zigzag(u64::MAX), i64::MIN);
        assert_eq!(zigzag(u64::MAX - 1), i64::MAX);
    }
}
