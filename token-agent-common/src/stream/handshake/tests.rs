//! What is remembered of offers.

use super::*;

/// An offer of a cookie that binds this sum, and something else.
fn offer(sum: u32, client: u32) -> Pair {
    Pair {
        client,
        server: client.wrapping_add(sum),
    }
}

#[test]
fn what_else_was_offered_is_known_beside_each_pair() {
    let mut offers = Offers::NONE;
    let (first, far, near) = (offer(0, 1), offer(1 << 20, 2), offer((1 << 20) + 60_000, 3));
    offers.add(first, 0);
    assert_eq!(offers.besides(first), Besides::Nothing);
    offers.add(far, 1);
    assert_eq!(offers.besides(first), Besides::Far);
    offers.add(near, 2);
    assert_eq!(offers.besides(first), Besides::Far);
    assert_eq!(offers.besides(far), Besides::Near);
    assert_eq!(offers.besides(near), Besides::Near);
    // Pushed out by those of the same sum, it is still known beside them.
    for client in 10..20 {
        let other = offer((1 << 20) + 60_000, client);
        offers.add(other, 3);
        assert_eq!(offers.besides(other), Besides::Near, "{client}");
    }
    // One of a sum of its own has but others that are far.
    let last = offer(1 << 30, 30);
    offers.add(last, 4);
    assert_eq!(offers.besides(last), Besides::Far);
}

#[test]
fn offers_are_forgotten_when_no_cookie_of_theirs_is_good() {
    let mut offers = Offers::NONE;
    let (old, new) = (offer(0, 1), offer(100, 2));
    offers.add(old, 0);
    offers.withdraw();
    assert!(offers.is_none());
    let later = ticks(130_000_000_000);
    let mut soon = offers;
    soon.add(new, later);
    assert_eq!(soon.besides(new), Besides::Near);
    offers.add(new, later + 1);
    assert_eq!(offers.besides(new), Besides::Nothing);
}

#[test]
fn an_offer_that_did_not_get_to_the_client_is_known_and_not_taken_up() {
    let mut offers = Offers::NONE;
    let (first, dropped) = (offer(0, 1), offer(100, 2));
    offers.add(first, 0);
    let before = offers;
    offers.note(dropped, 1);
    assert_eq!(offers.open, before.open);
    assert_eq!(offers.besides(first), Besides::Near);
    // One that did stays open, and one whose place is taken does not open it.
    offers.note(first, 2);
    assert_eq!(offers.open, before.open);
    for client in 3..10 {
        offers.note(offer(1 << client, client), 3);
    }
    assert!(offers.is_none());
    offers.add(dropped, 4);
    assert!(!offers.is_none());
}
