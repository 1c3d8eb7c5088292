//! How an answer may write a character: as it is, or escaped.

/// A way of writing texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escaping {
    /// As they are.
    Plain,
    /// `\n`, `\"`, `\u00e9`
    Json,
    /// JSON within a string of JSON: `\\n`, `\\\"`, `\\u00e9`
    JsonInJson,
    /// `%20`, and `+` for a space.
    Percent,
    /// `&amp;`, `&#39;`, `&#x27;`
    Html,
}

/// A character at a place of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// The character, and where the next one begins.
    Char(char, usize),
    /// The body ends within it.
    CutOff,
    /// No character in this way of writing.
    Nothing,
}

impl Escaping {
    /// The ways of writing that a body may use, by the bytes they need.
    pub fn within(body: &[u8]) -> Vec<Self> {
        let has = |marks: &[u8]| body.iter().any(|byte| marks.contains(byte));
        let mut escapings = vec![Self::Plain];
        if has(b"\\") {
            escapings.extend([Self::Json, Self::JsonInJson]);
        }
        if has(b"%+") {
            escapings.push(Self::Percent);
        }
        if has(b"&") {
            escapings.push(Self::Html);
        }
        escapings
    }

    /// Reads one character. What looks like an escape and is none stands for itself.
    pub fn decode(self, body: &[u8], at: usize) -> Decoded {
        match self {
            Self::Plain => plain(body, at),
            Self::Json => json(at, |at| plain(body, at)),
            Self::JsonInJson => json(at, |at| json(at, |at| plain(body, at))),
            Self::Percent => percent(body, at),
            Self::Html => html(body, at),
        }
    }
}

fn plain(body: &[u8], at: usize) -> Decoded {
    let Some(&first) = body.get(at) else {
        return Decoded::CutOff;
    };
    let end = at + utf8_length(first);
    let Some(bytes) = body.get(at..end) else {
        return Decoded::CutOff;
    };
    match std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.chars().next())
    {
        Some(character) => Decoded::Char(character, end),
        None => Decoded::Nothing,
    }
}

/// By its first byte; 1 for a byte that can begin none.
fn utf8_length(first: u8) -> usize {
    match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    }
}

/// A character of a JSON string, whose own characters `next` reads.
fn json(at: usize, next: impl Fn(usize) -> Decoded) -> Decoded {
    let after_backslash = match next(at) {
        Decoded::Char('\\', end) => end,
        other => return other,
    };
    let backslash = Decoded::Char('\\', after_backslash);
    let (escape, end) = match next(after_backslash) {
        Decoded::Char(escape, end) => (escape, end),
        Decoded::CutOff => return Decoded::CutOff,
        Decoded::Nothing => return backslash,
    };
    match escape {
        '"' | '\\' | '/' => Decoded::Char(escape, end),
        'n' => Decoded::Char('\n', end),
        'r' => Decoded::Char('\r', end),
        't' => Decoded::Char('\t', end),
        'b' => Decoded::Char('\u{8}', end),
        'f' => Decoded::Char('\u{c}', end),
        'u' => unicode(end, &next).unwrap_or(backslash),
        _ => backslash,
    }
}

/// What follows `\u`; none when that is no escape.
fn unicode(at: usize, next: &impl Fn(usize) -> Decoded) -> Option<Decoded> {
    let (high, at) = match unit(at, next)? {
        Ok(read) => read,
        Err(cut_off) => return Some(cut_off),
    };
    if let Some(character) = char::from_u32(high) {
        return Some(Decoded::Char(character, at));
    }
    // The second half of a surrogate pair.
    let mut at = at;
    for expected in ['\\', 'u'] {
        match next(at) {
            Decoded::Char(character, end) if character == expected => at = end,
            Decoded::CutOff => return Some(Decoded::CutOff),
            Decoded::Char(..) | Decoded::Nothing => return Some(Decoded::Nothing),
        }
    }
    let (low, at) = match unit(at, next)? {
        Ok(read) => read,
        Err(cut_off) => return Some(cut_off),
    };
    let units = [high, low].map(|unit| u16::try_from(unit).unwrap_or_default());
    match char::decode_utf16(units).next() {
        Some(Ok(character)) => Some(Decoded::Char(character, at)),
        _ => Some(Decoded::Nothing),
    }
}

/// Four hexadecimal digits; none when they are not, an error when the body ends before.
fn unit(start: usize, next: &impl Fn(usize) -> Decoded) -> Option<Result<(u32, usize), Decoded>> {
    let (mut unit, mut at) = (0, start);
    for _ in 0..4 {
        match next(at) {
            Decoded::Char(digit, end) => {
                unit = unit * 16 + digit.to_digit(16)?;
                at = end;
            }
            Decoded::CutOff => return Some(Err(Decoded::CutOff)),
            Decoded::Nothing => return None,
        }
    }
    Some(Ok((unit, at)))
}

fn percent(body: &[u8], at: usize) -> Decoded {
    match body.get(at) {
        Some(b'+') => Decoded::Char(' ', at + 1),
        Some(b'%') => percent_bytes(body, at).unwrap_or(Decoded::Char('%', at + 1)),
        _ => plain(body, at),
    }
}

/// The bytes of one character, each `%XX`; none when they are not.
fn percent_bytes(body: &[u8], start: usize) -> Option<Decoded> {
    let (mut bytes, mut length) = ([0; 4], 1);
    let mut position = 0;
    while position < length {
        let at = start + position * 3;
        let escape = &body[at.min(body.len())..(at + 3).min(body.len())];
        let digits = escape.get(1..).unwrap_or_default();
        let are_hex = digits.iter().all(u8::is_ascii_hexdigit);
        if !are_hex || escape.first().is_some_and(|&byte| byte != b'%') {
            return None;
        }
        if escape.len() < 3 {
            return Some(Decoded::CutOff);
        }
        let digits = std::str::from_utf8(digits).ok()?;
        bytes[position] = u8::from_str_radix(digits, 16).ok()?;
        length = utf8_length(bytes[0]);
        position += 1;
    }
    match plain(&bytes[..length], 0) {
        Decoded::Char(character, _) => Some(Decoded::Char(character, start + length * 3)),
        Decoded::CutOff | Decoded::Nothing => Some(Decoded::Nothing),
    }
}

fn html(body: &[u8], at: usize) -> Decoded {
    /// More than any reference to one character has.
    const REFERENCE_BYTES_MAX: usize = 12;
    if body.get(at) != Some(&b'&') {
        return plain(body, at);
    }
    let rest = &body[at + 1..body.len().min(at + REFERENCE_BYTES_MAX)];
    let Some(length) = rest.iter().position(|&byte| byte == b';') else {
        let may_be_reference = rest
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#');
        return if may_be_reference && rest.len() < REFERENCE_BYTES_MAX - 1 {
            Decoded::CutOff
        } else {
            Decoded::Char('&', at + 1)
        };
    };
    let decoded = match &rest[..length] {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        b"nbsp" => Some('\u{a0}'),
        [b'#', b'x' | b'X', hex @ ..] => reference(hex, 16),
        [b'#', decimal @ ..] => reference(decimal, 10),
        _ => None,
    };
    match decoded {
        Some(character) => Decoded::Char(character, at + length + 2),
        None => Decoded::Char('&', at + 1),
    }
}

fn reference(digits: &[u8], radix: u32) -> Option<char> {
    let digits = std::str::from_utf8(digits).ok()?;
    char::from_u32(u32::from_str_radix(digits, radix).ok()?)
}
