//! A text that must not be shown, recognised as it stands and in the escapings that answers use.

use super::Ending;

/// Texts shorter than this are masked only where they stand as a word: a sensitive 7 must not blank every 7.
const WORD_CHARS_MAX: usize = 3;

/// A text to be recognised.
#[derive(Debug, PartialEq, Eq)]
pub struct Echo {
    text: String,
    is_short: bool,
}

/// How the characters of a text may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escaping {
    /// As they are.
    Plain,
    /// `\n`, `\"`, `\u00e9`; of strings within strings too.
    Json,
    /// `%20`, and `+` for a space.
    Percent,
    /// `&amp;`, `&#39;`, `&#x27;`
    Html,
}

/// How far one character goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is there; what follows begins here.
    To(usize),
    Mismatch,
    /// The body ends within it.
    CutOff,
}

impl Echo {
    /// None for a blank text.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self {
            text: text.to_owned(),
            is_short: text.chars().count() <= WORD_CHARS_MAX,
        })
    }

    /// Where the echo that begins here ends.
    pub fn end(
        &self,
        body: &[u8],
        at: usize,
        escapings: &[Escaping],
        ending: Ending,
    ) -> Option<usize> {
        escapings
            .iter()
            .filter_map(|escaping| self.end_in(*escaping, body, at, ending))
            .max()
    }

    fn end_in(
        &self,
        escaping: Escaping,
        body: &[u8],
        start: usize,
        ending: Ending,
    ) -> Option<usize> {
        let mut at = start;
        for character in self.text.chars() {
            match escaping.step(body, at, character) {
                Step::To(next) => at = next,
                Step::CutOff if ending == Ending::CutOff => return Some(body.len()),
                Step::Mismatch | Step::CutOff => return None,
            }
        }
        let is_shown = self.is_short && !(starts_word(body, start) && ends_word(body, at));
        (!is_shown).then_some(at)
    }
}

fn starts_word(body: &[u8], at: usize) -> bool {
    let before = &body[..at];
    let is_letter = before.last().is_some_and(|&byte| is_word_byte(byte));
    let is_tail_of_escape = |prefix: &[u8], length: usize| {
        before.len() >= length && before[before.len() - length..].starts_with(prefix)
    };
    !is_letter
        || is_tail_of_escape(b"\\", 2)
        || is_tail_of_escape(b"\\u", 6)
        || is_tail_of_escape(b"%", 3)
}

fn ends_word(body: &[u8], at: usize) -> bool {
    body.get(at).is_none_or(|&byte| !is_word_byte(byte))
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

impl Escaping {
    /// The escapings that can occur in a body, by the characters they need.
    pub fn within(body: &[u8]) -> Vec<Self> {
        let mut escapings = vec![Self::Plain];
        let mut add_if = |escaping, marks: &[u8]| {
            if body.iter().any(|byte| marks.contains(byte)) {
                escapings.push(escaping);
            }
        };
        add_if(Self::Json, b"\\");
        add_if(Self::Percent, b"%+");
        add_if(Self::Html, b"&");
        escapings
    }

    /// Reads a character at a place of a body.
    pub fn step(self, body: &[u8], at: usize, character: char) -> Step {
        let rest = &body[at..];
        match (self, rest.first()) {
            (_, None) => Step::CutOff,
            (Self::Json, Some(b'\\')) => json_step(rest, character).offset(at),
            (Self::Percent, Some(b'%')) => percent_step(rest, character).offset(at),
            (Self::Percent, Some(b'+')) if character == ' ' => Step::To(at + 1),
            (Self::Html, Some(b'&')) => html_step(rest, character).offset(at),
            _ => plain_step(rest, character).offset(at),
        }
    }
}

impl Step {
    fn offset(self, at: usize) -> Self {
        match self {
            Self::To(length) => Self::To(at + length),
            other => other,
        }
    }
}

fn plain_step(rest: &[u8], character: char) -> Step {
    let mut buffer = [0; 4];
    let encoded = character.encode_utf8(&mut buffer).as_bytes();
    if rest.starts_with(encoded) {
        Step::To(encoded.len())
    } else if encoded.starts_with(rest) {
        Step::CutOff
    } else {
        Step::Mismatch
    }
}

/// A run of backslashes and what they escape: more than one is a string within a string.
fn json_step(rest: &[u8], character: char) -> Step {
    let backslashes = rest.iter().take_while(|&&byte| byte == b'\\').count();
    let Some(&escape) = rest.get(backslashes) else {
        return Step::CutOff;
    };
    let decoded = match escape {
        b'u' => return unicode_step(rest, backslashes + 1, character),
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'"' | b'/' => char::from(escape),
        _ => '\\',
    };
    if decoded == character && decoded != '\\' {
        Step::To(backslashes + 1)
    } else if character == '\\' {
        Step::To(backslashes)
    } else {
        Step::Mismatch
    }
}

fn unicode_step(rest: &[u8], start: usize, character: char) -> Step {
    let mut units = [0; 2];
    let mut at = start;
    for (position, unit) in character.encode_utf16(&mut units).iter().enumerate() {
        if position > 0 {
            let between = rest[at..].iter().take_while(|&&byte| byte == b'\\').count();
            at += between;
            match rest.get(at) {
                None => return Step::CutOff,
                Some(b'u') if between > 0 => at += 1,
                Some(_) => return Step::Mismatch,
            }
        }
        match hex_step(&rest[at..], u32::from(*unit), 4) {
            Step::To(length) => at += length,
            other => return literal_backslash_or(other, start, character),
        }
    }
    Step::To(at)
}

/// `\u` that is not this character may still be a backslash and a letter.
fn literal_backslash_or(step: Step, after_u: usize, character: char) -> Step {
    if character == '\\' {
        Step::To(after_u - 1)
    } else {
        step
    }
}

fn percent_step(rest: &[u8], character: char) -> Step {
    let mut buffer = [0; 4];
    let mut at = 0;
    for byte in character.encode_utf8(&mut buffer).bytes() {
        match rest.get(at) {
            None => return Step::CutOff,
            Some(b'%') => match hex_step(&rest[at + 1..], u32::from(byte), 2) {
                Step::To(length) => at += 1 + length,
                other => return other,
            },
            Some(_) => return Step::Mismatch,
        }
    }
    Step::To(at)
}

/// Exactly so many hexadecimal digits of a number, in either case.
fn hex_step(rest: &[u8], number: u32, digits: usize) -> Step {
    let there = &rest[..digits.min(rest.len())];
    let expected = format!("{number:0digits$x}");
    if !expected.as_bytes()[..there.len()].eq_ignore_ascii_case(there) {
        Step::Mismatch
    } else if there.len() < digits {
        Step::CutOff
    } else {
        Step::To(digits)
    }
}

fn html_step(rest: &[u8], character: char) -> Step {
    /// More than any reference to one character has.
    const REFERENCE_BYTES_MAX: usize = 12;
    let window = &rest[1..rest.len().min(REFERENCE_BYTES_MAX)];
    let Some(length) = window.iter().position(|&byte| byte == b';') else {
        return match character {
            '&' => Step::To(1),
            _ if rest.len() < REFERENCE_BYTES_MAX => Step::CutOff,
            _ => Step::Mismatch,
        };
    };
    let decoded = match &window[..length] {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        b"nbsp" => Some('\u{a0}'),
        [b'#', b'x' | b'X', hex @ ..] => number(hex, 16),
        [b'#', decimal @ ..] => number(decimal, 10),
        _ => None,
    };
    match decoded {
        Some(decoded) if decoded == character => Step::To(length + 2),
        None if character == '&' => Step::To(1),
        _ => Step::Mismatch,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<char> {
    let digits = std::str::from_utf8(digits).ok()?;
    char::from_u32(u32::from_str_radix(digits, radix).ok()?)
}
