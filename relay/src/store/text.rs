//! Text that every store takes.

use std::borrow::Cow;

/// The text without NUL, which Postgres has no room for: each becomes U+FFFD, as invalid UTF-8 did before it got here.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.as_bytes().contains(&0) {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_replaced_and_all_else_is_kept() {
        assert_eq!(storable("a\0b\0"), "a\u{fffd}b\u{fffd}");
        assert_eq!(storable("ä\u{1}\u{fffd}"), "ä\u{1}\u{fffd}");
    }
}
