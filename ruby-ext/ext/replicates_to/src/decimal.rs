//! Decimals in plain notation. Pure.

/// What a numeric text, plain or scientific, means.
#[derive(Debug, PartialEq, Eq)]
pub enum Number<'a> {
    Nan,
    Infinite,
    /// `0.DIGITS` times ten to the power of `exponent`, without leading or trailing zeros; zero has no digits.
    Finite {
        negative: bool,
        whole: &'a [u8],
        fraction: &'a [u8],
        exponent: i64,
    },
}

/// Reads what `BigDecimal#to_s` writes: `0.105e2`, or `10.5` where `ActiveSupport` is loaded. `None`: no number.
pub fn parse(text: &[u8]) -> Option<Number<'_>> {
    let (negative, unsigned) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    match unsigned {
        b"NaN" => return Some(Number::Nan),
        b"Infinity" => return Some(Number::Infinite),
        _ => {}
    }
    let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (
            &unsigned[..at],
            std::str::from_utf8(&unsigned[at + 1..])
                .ok()?
                .parse()
                .ok()?,
        ),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let is_number = !whole.is_empty() && whole.iter().chain(fraction).all(u8::is_ascii_digit);
    is_number.then_some(Number::Finite {
        negative,
        whole,
        fraction,
        exponent,
    })
}

/// Longest text of a decimal. A numeric column holds at most 131,072 digits before and 16,383 after the point; what is
/// longer is an exponent gone astray, which would fill the memory with zeros.
pub const DIGITS_MAX: i64 = 150_000;

/// Appends a finite number without exponent, with at least `scale` digits after the point; without a scale, trailing
/// zeros are dropped. No digit of the value is ever cut. `false`: more than [`DIGITS_MAX`] digits.
pub fn put_plain(
    out: &mut Vec<u8>,
    negative: bool,
    (whole, fraction): (&[u8], &[u8]),
    exponent: i64,
    scale: Option<usize>,
) -> bool {
    let digit = |at: i64| -> u8 {
        let Ok(at) = usize::try_from(at) else {
            return b'0';
        };
        *whole
            .get(at)
            .or_else(|| fraction.get(at - whole.len()))
            .unwrap_or(&b'0')
    };
    // No slice is longer than an isize can say.
    let len = |digits: &[u8]| i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let digits = len(whole).saturating_add(len(fraction));
    let Some(first) = (0..digits).find(|&at| digit(at) != b'0') else {
        out.push(b'0');
        put_fraction(out, std::iter::empty(), scale.unwrap_or(0));
        return true;
    };
    let last = (0..digits).rfind(|&at| digit(at) != b'0').unwrap_or(first);
    // The point stands before the digit of this index.
    let point = exponent.saturating_add(len(whole));
    if point.saturating_abs() > DIGITS_MAX {
        return false;
    }
    if negative {
        out.push(b'-');
    }
    if first < point {
        out.extend((first..point).map(digit));
    } else {
        out.push(b'0');
    }
    put_fraction(out, (point..=last).map(digit), scale.unwrap_or(0));
    true
}

fn put_fraction(out: &mut Vec<u8>, digits: impl Iterator<Item = u8>, scale: usize) {
    let point = out.len();
    out.push(b'.');
    out.extend(digits);
    let missing = (point + 1 + scale).saturating_sub(out.len());
    out.extend(std::iter::repeat_n(b'0', missing));
    if out.len() == point + 1 {
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, scale: Option<usize>) -> String {
        let Some(Number::Finite {
            negative,
            whole,
            fraction,
            exponent,
        }) = parse(text.as_bytes())
        else {
            panic!("{text} is not finite")
        };
        let mut out = Vec::new();
        assert!(put_plain(
            &mut out,
            negative,
            (whole, fraction),
            exponent,
            scale
        ));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_scale_of_the_column_is_kept() {
        assert_eq!(plain("0.105e2", Some(2)), "10.50");
        assert_eq!(plain("10.5", Some(2)), "10.50");
        assert_eq!(plain("-0.3e1", Some(3)), "-3.000");
        assert_eq!(plain("0.0", Some(2)), "0.00");
        assert_eq!(plain("0.12e5", Some(0)), "12000");
    }

    #[test]
    fn without_a_scale_trailing_zeros_are_dropped() {
        assert_eq!(plain("10.500", None), "10.5");
        assert_eq!(plain("0.1e1", None), "1");
        assert_eq!(plain("100.0", None), "100");
        assert_eq!(plain("0.0", None), "0");
    }

    #[test]
    fn no_digit_is_cut() {
        assert_eq!(plain("0.123456e1", Some(2)), "1.23456");
        assert_eq!(plain("0.1e-19", Some(2)), "0.00000000000000000001");
        assert_eq!(
            plain("0.12345678901234567890123456789e29", None),
            "12345678901234567890123456789"
        );
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(plain("-0.0", None), "0");
    }

    #[test]
    fn an_exponent_gone_astray_is_refused() {
        let mut out = Vec::new();
        assert!(!put_plain(
            &mut out,
            false,
            (b"0", b"1"),
            2_000_000_000,
            None
        ));
        assert!(!put_plain(
            &mut out,
            false,
            (b"0", b"1"),
            -2_000_000_000,
            None
        ));
        assert!(out.is_empty());
    }

    #[test]
    fn what_is_no_number_is_not_read_as_one() {
        assert_eq!(parse(b"NaN"), Some(Number::Nan));
        assert_eq!(parse(b"-Infinity"), Some(Number::Infinite));
        for text in [
            "",
            "-",
            "e5",
            ".5",
            "1.2.3",
            "12a",
            "1e",
            "1e9999999999999999999999",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
