//! Members of JSON objects, found in any text that holds some, broken or cut-off JSON too.

use std::ops::Range;

use super::escaping::{Decoded, Escaping};

/// Where the value lies, if a member of one of these names begins here.
pub fn value(body: &[u8], at: usize, names: &[String]) -> Option<Range<usize>> {
    if body[at] != b'"' {
        return None;
    }
    let name_end = names.iter().find_map(|name| name_end(body, at + 1, name))?;
    let colon = skip_space(body, name_end);
    if body.get(colon) != Some(&b':') {
        return None;
    }
    let start = skip_space(body, colon + 1);
    Some(start..value_end(body, start))
}

/// After the closing quote.
fn name_end(body: &[u8], start: usize, name: &str) -> Option<usize> {
    let mut at = start;
    for character in name.chars() {
        match Escaping::Json.decode(body, at) {
            Decoded::Char(read, next) if read == character => at = next,
            Decoded::Char(..) | Decoded::CutOff | Decoded::Nothing => return None,
        }
    }
    (body.get(at) == Some(&b'"')).then_some(at + 1)
}

fn skip_space(body: &[u8], start: usize) -> usize {
    let space = body[start..].iter().take_while(|b| b.is_ascii_whitespace());
    start + space.count()
}

fn value_end(body: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => at = string_end(body, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b',' | b'}' | b']' if depth == 0 => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// After the closing quote, or the end of what there is.
fn string_end(body: &[u8], start: usize) -> usize {
    let mut is_escaped = false;
    for (position, byte) in body.iter().enumerate().skip(start + 1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return position + 1,
            _ => {}
        }
    }
    body.len()
}
