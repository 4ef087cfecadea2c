//! Names of network interfaces, and patterns of them.

use std::fmt;
use std::str::FromStr;

use super::problem::{Invalid, quote};

/// An interface's name, in which `*` stands for any characters and `?` for any one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct InterfacePattern(String);

impl InterfacePattern {
    /// The longest name the kernel gives an interface.
    const LONGEST_NAME: usize = 15;

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// It may match any number of interfaces, none included.
    #[must_use]
    pub fn is_glob(&self) -> bool {
        self.0.contains(['*', '?'])
    }

    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let pattern: Vec<_> = self.0.chars().collect();
        let name: Vec<_> = name.chars().collect();
        let (mut p, mut n) = (0, 0);
        // The last star met, and how much of the name was left to what follows it.
        let mut star = None;
        while n < name.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(c) if *c == '?' || *c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    // The star takes one character more.
                    let Some((at, taken)) = star else {
                        return false;
                    };
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
            }
        }
        pattern[p..].iter().all(|c| *c == '*')
    }
}

impl InterfacePattern {
    /// Whether there is a name that both match.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let [ours, theirs] = [self, other].map(|pattern| pattern.0.chars().collect::<Vec<_>>());
        let row = theirs.len() + 1;
        // Whether what is left of both from here on can be the same.
        let mut meet = vec![false; (ours.len() + 1) * row];
        for i in (0..=ours.len()).rev() {
            for j in (0..=theirs.len()).rev() {
                let skips = |di: usize, dj: usize| meet[(i + di) * row + j + dj];
                meet[i * row + j] = match (ours.get(i), theirs.get(j)) {
                    (None, None) => true,
                    // A star stands for nothing, or for one piece more of the other.
                    (Some('*'), theirs) => skips(1, 0) || (theirs.is_some() && skips(0, 1)),
                    (ours, Some('*')) => skips(0, 1) || (ours.is_some() && skips(1, 0)),
                    (Some(a), Some(b)) => (*a == '?' || *b == '?' || a == b) && skips(1, 1),
                    (None, Some(_)) | (Some(_), None) => false,
                };
            }
        }
        meet[0]
    }
}

impl FromStr for InterfacePattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |why: String| {
            Err(Invalid::new(format!("{} {why}", quote(text)))
                .help(r#"write a name as `ip link` shows it, or a pattern like "veth*""#))
        };
        if text.is_empty() || matches!(text, "." | "..") {
            return invalid("cannot be an interface".into());
        }
        let is_bad = |c: &char| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control();
        if let Some(bad) = text.chars().find(is_bad) {
            return invalid(format!("cannot be an interface: it has {bad:?}"));
        }
        // Everything but a star stands for at least one byte.
        let shortest = text.bytes().filter(|byte| *byte != b'*').count();
        if shortest > Self::LONGEST_NAME {
            let longest = Self::LONGEST_NAME;
            return invalid(format!(
                "cannot be an interface: names have at most {longest} bytes"
            ));
        }
        let mut pattern = String::with_capacity(text.len());
        for c in text.chars() {
            // Stars in a row say no more than one.
            if !(c == '*' && pattern.ends_with('*')) {
                pattern.push(c);
            }
        }
        Ok(Self(pattern))
    }
}

impl fmt::Display for InterfacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_what_the_shell_would() {
        for (pattern, name, matches) in [
            ("eth0", "eth0", true),
            ("eth0", "eth1", false),
            ("eth0", "eth00", false),
            ("eth", "eth0", false),
            ("*", "lo", true),
            ("veth*", "veth", true),
            ("veth*", "veth12", true),
            ("veth*", "eth0", false),
            ("eth?", "eth1", true),
            ("eth?", "eth", false),
            ("eth?", "eth10", false),
            ("*0", "eth00", true),
            ("*0", "eth01", false),
            ("e*s?f*", "enp3s0f1", true),
            ("e*s?f*", "enp3s0", false),
            ("*a*b", "aab", true),
            ("*a*b", "aba", false),
            ("?", "ä", true),
            ("e[01]", "e0", false),
        ] {
            let parsed: InterfacePattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(name), matches, "{pattern} {name}");
            assert_eq!(parsed.as_str(), pattern);
            assert_eq!(parsed.is_glob(), pattern.contains(['*', '?']));
        }
    }

    #[test]
    fn patterns_overlap_where_a_name_can_be_both() {
        for (one, other, overlap) in [
            ("eth0", "eth0", true),
            ("eth0", "eth1", false),
            ("*", "veth*", true),
            ("eth*", "veth*", false),
            ("*0", "veth*", true),
            ("e*0", "e*1", false),
            ("e*a*", "*b*0", true),
            ("eth?", "eth*", true),
            ("eth?", "eth", false),
            ("eth?", "eth*10", false),
            ("*a", "b*", true),
        ] {
            let [a, b] = [one, other].map(|text| text.parse::<InterfacePattern>().unwrap());
            assert_eq!(
                (a.overlaps(&b), b.overlaps(&a)),
                (overlap, overlap),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn stars_in_a_row_are_one() {
        let pattern: InterfacePattern = "**e***0*".parse().unwrap();
        assert_eq!(pattern.as_str(), "*e*0*");
        assert!(pattern.matches("eth0"));
    }

    #[test]
    fn refuses_what_no_interface_is_called() {
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "eth0:1",
            "a b",
            "a\tb",
            "a\u{0}b",
            "a\u{a0}b",
            "sixteen_bytes_ab",
            "*sixteen_bytes_ab*",
            "ääääääää",
        ] {
            assert!(text.parse::<InterfacePattern>().is_err(), "{text:?}");
        }
        assert!("fifteen_bytes_a".parse::<InterfacePattern>().is_ok());
        assert!("*fifteen*bytes_a*".parse::<InterfacePattern>().is_ok());
    }
}
