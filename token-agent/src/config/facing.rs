//! Which interfaces are guarded, and which side each of them faces.

use std::fmt;

use super::interface::InterfacePattern;

/// Where the clients are, as an interface sees it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Facing {
    /// They come in by it.
    Client,
    /// They go out by it to the service, as by the host's end of a container's veth pair.
    Service,
}

/// Patterns of the interfaces to guard. None is there twice, and no two of both sides overlap.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Interfaces(Vec<(InterfacePattern, Facing)>);

impl Facing {
    pub(super) const WORDS: [(&str, Self); 2] =
        [("client", Self::Client), ("service", Self::Service)];

    /// The word users write.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Service => "service",
        }
    }
}

impl Interfaces {
    pub(crate) fn new(entries: impl IntoIterator<Item = (InterfacePattern, Facing)>) -> Self {
        Self(entries.into_iter().collect())
    }

    /// The patterns, and which side the interfaces that match face.
    pub fn iter(&self) -> impl Iterator<Item = (&InterfacePattern, Facing)> {
        self.0.iter().map(|(pattern, facing)| (pattern, *facing))
    }

    pub fn patterns(&self) -> impl Iterator<Item = &InterfacePattern> {
        self.0.iter().map(|(pattern, _)| pattern)
    }

    /// On which side the interface of this name is to be guarded, if at all. Its own name
    /// wins over patterns.
    #[must_use]
    pub fn facing(&self, name: &str) -> Option<Facing> {
        let by_name = self.0.iter().find(|(pattern, _)| pattern.as_str() == name);
        let by_pattern = || self.0.iter().find(|(pattern, _)| pattern.matches(name));
        by_name.or_else(by_pattern).map(|(_, facing)| *facing)
    }
}

/// As they are written: `eth0, veth*`.
impl fmt::Display for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pattern) in self.patterns().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            pattern.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_name_wins_over_patterns() {
        let entries = [
            ("veth*", Facing::Service),
            ("veth1", Facing::Client),
            ("e*", Facing::Client),
        ];
        let entries = entries.map(|(pattern, facing)| (pattern.parse().unwrap(), facing));
        let these = Interfaces::new(entries);
        for (name, facing) in [
            ("veth0", Some(Facing::Service)),
            ("veth1", Some(Facing::Client)),
            ("eth0", Some(Facing::Client)),
            ("lo", None),
        ] {
            assert_eq!(these.facing(name), facing, "{name}");
        }
        assert_eq!(these.to_string(), "veth*, veth1, e*");
    }
}
