//! Protobuf's wire format, as far as a record needs it. Pure.

/// Tag of a field that holds a varint.
pub const fn varint_tag(field: u8) -> u8 {
    field << 3
}

/// Tag of a field that holds eight bytes.
pub const fn fixed64_tag(field: u8) -> u8 {
    field << 3 | 1
}

/// Tag of a field that holds bytes after their length.
pub const fn bytes_tag(field: u8) -> u8 {
    field << 3 | 2
}

/// Appends a base-128 varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Takes a base-128 varint off the front.
pub fn take_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    let mut shift = 0;
    while let Some((&byte, rest)) = bytes.split_first() {
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// How many bytes [`put_varint`] writes.
pub const fn varint_len(value: u64) -> usize {
    // One byte for every seven bits, and one for zero.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Maps small negative numbers to small positive ones, as `sint32` and `sint64` do.
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Appends a field that holds bytes.
pub fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(bytes_tag(field));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a `google.protobuf.Timestamp` as the given field.
pub fn put_timestamp(out: &mut Vec<u8>, field: u8, seconds: i64, nanoseconds: u32) {
    // Protobuf's plain integers are two's complement: a negative one takes ten bytes.
    let seconds = seconds.cast_unsigned();
    let nanoseconds = u64::from(nanoseconds);
    let mut len = 0;
    if seconds != 0 {
        len += 1 + varint_len(seconds);
    }
    if nanoseconds != 0 {
        len += 1 + varint_len(nanoseconds);
    }
    out.push(bytes_tag(field));
    put_varint(out, len as u64);
    if seconds != 0 {
        out.push(varint_tag(1));
        put_varint(out, seconds);
    }
    if nanoseconds != 0 {
        out.push(varint_tag(2));
        put_varint(out, nanoseconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varint_len_is_what_put_varint_writes_and_take_varint_takes() {
        for bits in 0..64 {
            for value in [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1, u64::MAX] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
                out.push(7);
                let mut rest = out.as_slice();
                assert_eq!((take_varint(&mut rest), rest), (value, &[7][..]));
            }
        }
    }

    #[test]
    fn zigzag_takes_the_extremes() {
        assert_eq!(
            [0, -1, 1, i64::MAX, i64::MIN].map(zigzag),
            [0, 1, 2, u64::MAX - 1, u64::MAX]
        );
    }
}
