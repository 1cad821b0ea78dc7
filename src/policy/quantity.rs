//! A Kubernetes resource quantity such as `100m`, `4Gi` or `1e3`, compared exactly.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::model::Json;

/// A non-negative quantity in thousandths of its unit; written by hand because
/// k8s-openapi's `Quantity` is an unchecked string. Grammar: apimachinery `resource.Quantity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    text: String,
    thousandths: u128,
}

impl Quantity {
    /// Reads a quantity; negative ones, and ones finer than a thousandth, are rounded up as the API server does.
    pub fn parse(text: &str) -> Option<Self> {
        let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '+').unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits_end);
        let number = number.strip_prefix('+').unwrap_or(number);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty())
            || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            || fraction.contains('.')
        {
            return None;
        }
        let digits: u128 = match fraction {
            "" => whole.parse().ok()?,
            _ => format!("{whole}{fraction}").parse().ok()?,
        };
        let scale = u32::try_from(fraction.len()).ok()?;
        let (factor, divisor) = multiplier(suffix)?;
        let numerator = digits.checked_mul(factor)?.checked_mul(1000)?;
        let denominator = 10u128.checked_pow(scale)?.checked_mul(divisor)?;
        Some(Quantity { text: text.to_owned(), thousandths: numerator.div_ceil(denominator) })
    }

    /// Reads a quantity from JSON, where people also write bare numbers.
    pub fn of(value: &Json<'_>) -> Option<Self> {
        match value {
            Json::String(text) => Quantity::parse(text),
            Json::Number(number) => Quantity::parse(&number.to_string()),
            _ => None,
        }
    }

    /// So many of whatever it is.
    pub fn whole_number(number: u32) -> Self {
        Quantity { text: number.to_string(), thousandths: u128::from(number) * 1000 }
    }

    /// So many GiB.
    pub fn gibibytes(number: u32) -> Self {
        Quantity { text: format!("{number}Gi"), thousandths: (u128::from(number) << 30) * 1000 }
    }

    /// As a whole number, rounded up; of bytes where it is one of memory or disk.
    pub fn whole(&self) -> u64 {
        u64::try_from(self.thousandths.div_ceil(1000)).unwrap_or(u64::MAX)
    }

    /// Whether nothing is asked for.
    pub fn is_zero(&self) -> bool {
        self.thousandths == 0
    }

    /// Whether this is more than the other.
    pub fn exceeds(&self, other: &Quantity) -> bool {
        self.thousandths > other.thousandths
    }
}

/// What a suffix multiplies and divides by.
fn multiplier(suffix: &str) -> Option<(u128, u128)> {
    let power = |base: u128, exponent: u32| base.checked_pow(exponent).map(|factor| (factor, 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => power(1000, 1),
        "M" => power(1000, 2),
        "G" => power(1000, 3),
        "T" => power(1000, 4),
        "P" => power(1000, 5),
        "E" => power(1000, 6),
        "Ki" => power(1024, 1),
        "Mi" => power(1024, 2),
        "Gi" => power(1024, 3),
        "Ti" => power(1024, 4),
        "Pi" => power(1024, 5),
        "Ei" => power(1024, 6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let factor = 10u128.checked_pow(exponent.unsigned_abs())?;
            Some(if exponent < 0 { (1, factor) } else { (factor, 1) })
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        Quantity::parse(&text)
            .ok_or_else(|| D::Error::custom(format_args!("`{text}` is no quantity; write it like 100m, 2 or 4Gi")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_what_is_written_differently() {
        for (less, more) in [
            ("999m", "1"),
            ("1", "1001m"),
            ("4G", "4Gi"),
            ("1e3", "1001"),
            ("0.5", "501m"),
            ("1023Mi", "1Gi"),
            ("1n", "2m"),
        ] {
            let (less, more) = (Quantity::parse(less).unwrap(), Quantity::parse(more).unwrap());
            assert!(more.exceeds(&less) && !less.exceeds(&more), "{less} < {more}");
        }
        assert!(!Quantity::parse("1024Mi").unwrap().exceeds(&Quantity::parse("1Gi").unwrap()));
        assert!(Quantity::parse("0").unwrap().is_zero());
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in [
            "",
            "-1",
            "1x",
            "Gi",
            "1.2.3",
            ".",
            "1e",
            "1e99999",
            "99999999999999999999999999999999999999999",
            "1+1",
            "1 Gi",
        ] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }
}
