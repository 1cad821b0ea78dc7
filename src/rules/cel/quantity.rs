//! Kubernetes quantities as `quantity()` reads them, exactly and with the same odd cases.

/// An amount in billionths of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(i128);

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAmount {
    /// The API server would not accept it either.
    Malformed,
    /// It is too large or too fine for this implementation.
    Extreme,
}

impl Amount {
    /// Reads a quantity as apimachinery's `resource.ParseQuantity` does; `.` and `+` are zero there.
    pub(super) fn parse(text: &str) -> Result<Amount, NoAmount> {
        if text.is_empty() {
            return Err(NoAmount::Malformed);
        }
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, rest) = split_digits(unsigned);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("", rest),
        };
        let scale = Scale::of(suffix).ok_or(NoAmount::Malformed)?;
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0').collect();
        if digits.is_empty() {
            return Ok(Amount(0));
        }
        let amount = scale.apply(&digits, fraction.len()).ok_or(NoAmount::Extreme)?;
        Ok(Amount(if negative { -amount } else { amount }))
    }
}

enum Scale {
    Ten(i32),
    Two(u32),
}

impl Scale {
    fn of(suffix: &str) -> Option<Scale> {
        Some(match suffix {
            "n" => Scale::Ten(-9),
            "u" => Scale::Ten(-6),
            "m" => Scale::Ten(-3),
            "" => Scale::Ten(0),
            "k" => Scale::Ten(3),
            "M" => Scale::Ten(6),
            "G" => Scale::Ten(9),
            "T" => Scale::Ten(12),
            "P" => Scale::Ten(15),
            "E" => Scale::Ten(18),
            "Ki" => Scale::Two(10),
            "Mi" => Scale::Two(20),
            "Gi" => Scale::Two(30),
            "Ti" => Scale::Two(40),
            "Pi" => Scale::Two(50),
            "Ei" => Scale::Two(60),
            _ => Scale::Ten(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
        })
    }

    /// The amount in billionths, rounded away from zero; none where 128 bits don't hold it.
    fn apply(&self, digits: &[u8], fraction: usize) -> Option<i128> {
        let number: i128 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let places = i32::try_from(fraction).ok()?;
        match self {
            Scale::Ten(exponent) => {
                let exponent = exponent.checked_add(NANO)?.checked_sub(places)?;
                let factor = 10i128.checked_pow(exponent.unsigned_abs())?;
                if exponent < 0 { Some(up(number, factor)) } else { number.checked_mul(factor) }
            }
            Scale::Two(exponent) => {
                let numerator = number.checked_mul(1i128 << exponent)?.checked_mul(BILLION)?;
                let amount = up(numerator, 10i128.checked_pow(places.unsigned_abs())?);
                Some(amount.min(i128::from(i64::MAX) * BILLION))
            }
        }
    }
}

fn up(number: i128, divisor: i128) -> i128 {
    number / divisor + i128::from(number % divisor != 0)
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

const NANO: i32 = 9;
const BILLION: i128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_api_server_reads() {
        for (text, want) in [
            ("1", Ok(BILLION)),
            ("0.5", Ok(BILLION / 2)),
            ("-100m", Ok(-BILLION / 10)),
            ("+1e3", Ok(1000 * BILLION)),
            ("1E-3", Ok(BILLION / 1000)),
            ("1Ki", Ok(1024 * BILLION)),
            ("1.5Ki", Ok(1536 * BILLION)),
            ("1.G", Ok(BILLION * BILLION)),
            ("0.1n", Ok(1)),
            ("8Ei", Ok(i128::from(i64::MAX) * BILLION)),
            (".", Ok(0)),
            ("-", Ok(0)),
            ("", Err(NoAmount::Malformed)),
            ("1x", Err(NoAmount::Malformed)),
            ("1 ", Err(NoAmount::Malformed)),
            ("1ki", Err(NoAmount::Malformed)),
            ("1e", Err(NoAmount::Malformed)),
            ("1.2.3", Err(NoAmount::Malformed)),
            ("1e99", Err(NoAmount::Extreme)),
        ] {
            assert_eq!(Amount::parse(text), want.map(Amount), "{text}");
        }
    }
}
