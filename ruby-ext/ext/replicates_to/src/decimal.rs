//! Decimals in plain notation. Pure.

/// What a numeric text means.
#[derive(Debug, PartialEq, Eq)]
pub enum Number<'a> {
    Nan,
    Infinite,
    /// The digits before and after the point.
    Finite {
        is_negative: bool,
        whole: &'a [u8],
        fraction: &'a [u8],
    },
}

/// Reads what `BigDecimal#to_s("F")` and `Integer#to_s` write. `None`: not such a text.
pub fn parse(text: &[u8]) -> Option<Number<'_>> {
    let (is_negative, unsigned) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    match unsigned {
        b"NaN" => return Some(Number::Nan),
        b"Infinity" => return Some(Number::Infinite),
        _ => {}
    }
    let (whole, fraction) = match unsigned.iter().position(|&byte| byte == b'.') {
        Some(at) => (&unsigned[..at], &unsigned[at + 1..]),
        None => (unsigned, &[][..]),
    };
    let is_number = !whole.is_empty() && whole.iter().chain(fraction).all(u8::is_ascii_digit);
    is_number.then_some(Number::Finite {
        is_negative,
        whole,
        fraction,
    })
}

/// Appends a number with at least `scale` digits after the point; without a scale, trailing zeros are dropped. No digit
/// of the value is ever cut, and zero has no sign.
pub fn put_plain(
    out: &mut Vec<u8>,
    is_negative: bool,
    whole: &[u8],
    fraction: &[u8],
    scale: Option<usize>,
) {
    let is_digit_set = |&digit: &u8| digit != b'0';
    let whole = &whole[whole
        .iter()
        .position(is_digit_set)
        .unwrap_or(whole.len() - 1)..];
    let fraction = &fraction[..fraction
        .iter()
        .rposition(is_digit_set)
        .map_or(0, |last| last + 1)];
    if is_negative && (whole != b"0" || !fraction.is_empty()) {
        out.push(b'-');
    }
    out.extend_from_slice(whole);
    let zeros = scale.unwrap_or(0).saturating_sub(fraction.len());
    if fraction.len() + zeros > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction);
        out.extend(std::iter::repeat_n(b'0', zeros));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, scale: Option<usize>) -> String {
        let Some(Number::Finite {
            is_negative,
            whole,
            fraction,
        }) = parse(text.as_bytes())
        else {
            panic!("{text} is not finite")
        };
        let mut out = Vec::new();
        put_plain(&mut out, is_negative, whole, fraction, scale);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_scale_of_the_column_is_kept() {
        assert_eq!(plain("10.5", Some(2)), "10.50");
        assert_eq!(plain("-3.0", Some(3)), "-3.000");
        assert_eq!(plain("0.0", Some(2)), "0.00");
        assert_eq!(plain("12000.0", Some(0)), "12000");
        assert_eq!(plain("12", Some(2)), "12.00");
    }

    #[test]
    fn without_a_scale_trailing_zeros_are_dropped() {
        assert_eq!(plain("10.500", None), "10.5");
        assert_eq!(plain("1.0", None), "1");
        assert_eq!(plain("100", None), "100");
        assert_eq!(plain("0.0", None), "0");
    }

    #[test]
    fn no_digit_is_cut() {
        assert_eq!(plain("1.23456", Some(2)), "1.23456");
        assert_eq!(
            plain("0.00000000000000000001", Some(2)),
            "0.00000000000000000001"
        );
        assert_eq!(
            plain("12345678901234567890123456789.0", None),
            "12345678901234567890123456789"
        );
    }

    #[test]
    fn zero_has_neither_sign_nor_leading_zeros() {
        assert_eq!(plain("-0.0", None), "0");
        assert_eq!(plain("-0.0", Some(2)), "0.00");
        assert_eq!(plain("-0.5", None), "-0.5");
        assert_eq!(plain("007.5", None), "7.5");
    }

    #[test]
    fn what_is_no_number_is_not_read_as_one() {
        assert_eq!(parse(b"NaN"), Some(Number::Nan));
        assert_eq!(parse(b"-Infinity"), Some(Number::Infinite));
        for text in ["", "-", "e5", ".5", "1.2.3", "12a", "0.1e1", "+1"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
