//! Sets of services, numbered: distinct ones are few, so a token's entry in the
//! kernel holds a number and not the set.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    num::NonZeroU32,
};

use token_agent_common::verdict::Audience;

use crate::datapath::ServiceNumber;

#[derive(Clone, Debug)]
pub(super) struct Audiences {
    services: HashMap<String, ServiceNumber>,
    numbers: HashMap<BTreeSet<ServiceNumber>, NonZeroU32>,
    sets: Vec<BTreeSet<ServiceNumber>>,
    /// How many pairs of an audience and one of its services there are.
    pairs: usize,
    /// Pairs the kernel has not been told yet.
    unannounced: VecDeque<(Audience, ServiceNumber)>,
}

impl Audiences {
    pub(super) fn new<'a>(services: impl Iterator<Item = &'a str>) -> Self {
        Self {
            services: services
                .zip(1..)
                .map(|(name, number)| (name.to_owned(), ServiceNumber(number)))
                .collect(),
            numbers: HashMap::new(),
            sets: Vec::new(),
            pairs: 0,
            unannounced: VecDeque::new(),
        }
    }

    /// The audience of a token for `services`; none named means every one. A
    /// service that is not configured any more admits nobody.
    pub(super) fn intern(&mut self, services: &[String]) -> Audience {
        if services.is_empty() {
            return Audience::EVERY;
        }
        let set = self.set(services);
        if let Some(number) = self.numbers.get(&set) {
            return Audience::set(*number);
        }
        let number = NonZeroU32::MIN.saturating_add(self.sets.len() as u32);
        let audience = Audience::set(number);
        self.unannounced
            .extend(set.iter().map(|service| (audience, *service)));
        self.pairs += set.len();
        self.numbers.insert(set.clone(), number);
        self.sets.push(set);
        audience
    }

    /// Whether there are at most `max` pairs with this audience too, or it is known.
    pub(super) fn has_room_for(&self, services: &[String], max: usize) -> bool {
        let set = self.set(services);
        self.numbers.contains_key(&set) || self.pairs + set.len() <= max
    }

    fn set(&self, services: &[String]) -> BTreeSet<ServiceNumber> {
        services
            .iter()
            .filter_map(|name| self.services.get(name))
            .copied()
            .collect()
    }

    pub(super) fn contains(&self, audience: Audience, service: &str) -> bool {
        if audience == Audience::EVERY {
            return true;
        }
        let set = self.sets.get(audience.number() as usize - 1);
        self.services
            .get(service)
            .is_some_and(|service| set.is_some_and(|set| set.contains(service)))
    }

    /// The next pair to tell the kernel; [`announced`](Self::announced) when it was.
    pub(super) fn unannounced(&self) -> Option<(Audience, ServiceNumber)> {
        self.unannounced.front().copied()
    }

    pub(super) fn announced(&mut self) {
        self.unannounced.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_services_are_the_same_audience() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let mut audiences = Audiences::new(["a", "b", "c"].into_iter());
        let ab = audiences.intern(&names(&["a", "b"]));
        let ba = audiences.intern(&names(&["b", "a", "gone"]));
        let c = audiences.intern(&names(&["c"]));
        let nobody = audiences.intern(&names(&["gone"]));
        assert_eq!(audiences.intern(&[]), Audience::EVERY);
        assert_eq!(ab, ba);
        for (services, room) in [
            (&["b", "a"][..], 0),
            (&["gone"], 0),
            (&["b"], 4),
            (&["c", "a"], 5),
        ] {
            let services = names(services);
            assert!(audiences.has_room_for(&services, room), "{services:?}");
            assert!(room == 0 || !audiences.has_room_for(&services, room - 1));
        }
        assert!(ab != c && c != nobody && nobody != Audience::EVERY);
        for (audience, service, expected) in [
            (ab, "a", true),
            (ab, "b", true),
            (ab, "c", false),
            (c, "c", true),
            (nobody, "a", false),
            (nobody, "gone", false),
            (Audience::EVERY, "a", true),
        ] {
            assert_eq!(
                audiences.contains(audience, service),
                expected,
                "{audience:?} {service}"
            );
        }
        let mut told = Vec::new();
        while let Some(pair) = audiences.unannounced() {
            told.push(pair);
            audiences.announced();
        }
        assert_eq!(
            told,
            [
                (ab, ServiceNumber(1)),
                (ab, ServiceNumber(2)),
                (c, ServiceNumber(3))
            ]
        );
    }
}
