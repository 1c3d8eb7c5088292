//! Percent-encoding: what is unreserved in RFC 3986 stays, all else is `%XX` in upper case.

/// Encodes the bytes of a text.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    push(&mut encoded, text);
    encoded
}

/// Appends the encoded bytes of a text.
pub fn push(encoded: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => {
                let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
                encoded.extend(['%', digit(other >> 4), digit(other & 0xf)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(encode("Az09-._~"), "Az09-._~");
        assert_eq!(encode("Fleet::Car"), "Fleet%3A%3ACar");
        assert_eq!(encode("a,b c/é%"), "a%2Cb%20c%2F%C3%A9%25");
    }
}
