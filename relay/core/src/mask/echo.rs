//! A text that must not be shown, recognised wherever an answer repeats it.

use super::Ending;
use super::escaping::{Decoded, Escaping};

/// Texts of no more characters are masked only where they stand as a word: a sensitive 7 must not blank every 7.
const WORD_CHARS_MAX: usize = 3;

/// A text to be recognised.
#[derive(Debug, PartialEq, Eq)]
pub struct Echo {
    text: String,
    is_short: bool,
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

    /// The byte with which it begins, unescaped.
    pub fn first_byte(&self) -> u8 {
        self.text.as_bytes()[0]
    }

    /// Where the echo that begins here ends, in whichever escaping goes furthest.
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
        for expected in self.text.chars() {
            match escaping.decode(body, at) {
                Decoded::Char(character, next) if character == expected => at = next,
                Decoded::CutOff if ending == Ending::CutOff && at > start => {
                    return Some(body.len());
                }
                Decoded::Char(..) | Decoded::CutOff | Decoded::Nothing => return None,
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
