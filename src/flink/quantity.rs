//! Kubernetes quantities, exactly: `1728Mi`, `1.5Gi`, `500m`, `1e9`.

use std::fmt;
use std::str::FromStr;

const NANO: i128 = 1_000_000_000;

/// A Kubernetes quantity, in billionths, which is as fine as Kubernetes has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    nanos: i128,
}

impl Quantity {
    /// This many whole units: bytes, cores.
    pub fn whole(units: u64) -> Self {
        Quantity { nanos: i128::from(units) * NANO }
    }

    /// It is less than nothing, which Kubernetes refuses.
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }
}

/// In whole units, else in thousandths or billionths: `2`, `500m`.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milli = NANO / 1000;
        if self.nanos % NANO == 0 {
            write!(f, "{}", self.nanos / NANO)
        } else if self.nanos % milli == 0 {
            write!(f, "{}m", self.nanos / milli)
        } else {
            write!(f, "{}n", self.nanos)
        }
    }
}

/// As the API server reads it (`resource.ParseQuantity`); what is finer than a billionth is rounded up.
impl FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no Kubernetes quantity");
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(wrong());
        }
        // The number is `digits` times ten to the power of `-fraction`.
        let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| wrong())?;
        let (factor, exponent) = factor(suffix).ok_or_else(wrong)?;
        let exponent = exponent - i32::try_from(fraction.len()).map_err(|_| wrong())?;
        let scaled = digits.checked_mul(factor).and_then(|n| n.checked_mul(NANO)).ok_or_else(wrong)?;
        let power = 10_i128.checked_pow(exponent.unsigned_abs()).ok_or_else(wrong)?;
        let nanos =
            if exponent < 0 { (scaled + power - 1) / power } else { scaled.checked_mul(power).ok_or_else(wrong)? };
        Ok(Quantity { nanos: if text.starts_with('-') { -nanos } else { nanos } })
    }
}

/// What a suffix multiplies by, and by which power of ten on top.
fn factor(suffix: &str) -> Option<(i128, i32)> {
    let binary = |shift: u32| Some((1_i128 << shift, 0));
    match suffix {
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        "n" => Some((1, -9)),
        "u" => Some((1, -6)),
        "m" => Some((1, -3)),
        "" => Some((1, 0)),
        "k" => Some((1, 3)),
        "M" => Some((1, 6)),
        "G" => Some((1, 9)),
        "T" => Some((1, 12)),
        "P" => Some((1, 15)),
        "E" => Some((1, 18)),
        _ => suffix.strip_prefix(['e', 'E'])?.parse().ok().map(|exponent| (1, exponent)),
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn reads_quantities_as_kubernetes_does() {
        let bytes = |text: &str| text.parse::<Quantity>().unwrap();
        for (text, whole) in [
            ("1728Mi", 1728 << 20),
            ("1.5Gi", 1536 << 20),
            ("1G", 1_000_000_000),
            ("1.7e9", 1_700_000_000),
            ("2E3", 2000),
            ("1E", 1_000_000_000_000_000_000),
            ("12k", 12_000),
            (".5Ki", 512),
            ("7.", 7),
            ("2000m", 2),
            ("+3", 3),
        ] {
            assert_eq!(bytes(text), Quantity::whole(whole), "{text}");
        }
        assert!(bytes("1728m") < Quantity::whole(2));
        assert_eq!(bytes("0.1"), bytes("100m"));
        assert!(bytes("-1").is_negative());
        assert!(bytes("1G") < bytes("1Gi"));
        assert_eq!(bytes("0.5").to_string(), "500m");
        assert_eq!(bytes("1n").to_string(), "1n");
        for bad in ["", "Mi", "1.2.3", "1600MB", "1 Gi", "2g", "x", "1ee3", "--1", "."] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad}");
        }
    }
}
