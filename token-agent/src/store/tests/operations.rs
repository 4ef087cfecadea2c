//! What single operations answer. Sequences of them are compared with a model elsewhere.

use std::time::Duration;

use super::*;

fn ids(store: &Store, filter: &Filter, now: Timestamp) -> Vec<TokenId> {
    let tokens = store.tokens(filter, now).unwrap();
    tokens.into_iter().map(|token| token.id).collect()
}

#[test]
fn a_token_comes_back_as_it_went_in() {
    let directory = directory();
    let mut store = open(&directory);
    let new = NewToken {
        services: ["orders", "billing", "orders"].map(String::from).to_vec(),
        purpose: "Übung: \"ci\"".parse().unwrap(),
        ..new_token(1)
    };
    let change = store.insert(&new, ROOM).unwrap();
    let services = vec!["orders".to_owned(), "billing".to_owned()];
    let entry = Enforced {
        digest: digest(1),
        not_before: at(10),
        expires_at: at(100),
        revoked: false,
        services: services.clone(),
    };
    assert_eq!(
        change,
        Change {
            revision: Revision(1),
            upserts: vec![entry.clone()],
            removals: vec![],
        }
    );
    assert_eq!(store.enforced().unwrap(), [entry]);
    let token = Token {
        id: id(1),
        family: new.family,
        digest: digest(1),
        owner: new.owner,
        purpose: new.purpose,
        services,
        issued_at: at(0),
        not_before: at(10),
        expires_at: at(100),
        issued_revision: Revision(1),
        revoked_at: None,
        revoke_reason: None,
    };
    assert_eq!(store.token(&id(1)).unwrap().as_ref(), Some(&token));
    assert_eq!(store.token_by_digest(&digest(1)).unwrap(), Some(token));
    assert_eq!(store.token(&id(2)).unwrap(), None);
    assert_eq!(store.token_by_digest(&digest(2)).unwrap(), None);
}

#[test]
fn states_follow_the_clock() {
    let directory = directory();
    let mut store = open(&directory);
    issue(&mut store, [1]);
    let token = store.token(&id(1)).unwrap().unwrap();
    let just_before = |second| at(second) - Duration::from_nanos(1);
    for (now, state) in [
        (just_before(10), TokenState::Pending),
        (at(10), TokenState::Active),
        (just_before(100), TokenState::Active),
        (at(100), TokenState::Expired),
    ] {
        let filter = Filter {
            state: Some(state),
            ..Filter::default()
        };
        assert_eq!(token.state(now), state, "{now}");
        assert_eq!(ids(&store, &filter, now), [id(1)], "{now}");
    }
}

#[test]
fn lists_are_filtered_and_ordered() {
    let directory = directory();
    let mut store = open(&directory);
    let token = |number: u8, owner: &str, services: &[&str], end| NewToken {
        owner: owner.parse().unwrap(),
        services: services.iter().map(|&name| name.into()).collect(),
        lifetime: Lifetime::between(at(10), at(end)).unwrap(),
        ..new_token(number)
    };
    for new in [
        token(1, "a", &[], 400),
        token(2, "a", &["x"], 300),
        token(3, "b", &["y", "x"], 200),
        token(4, "b", &["y"], 100),
    ] {
        store.insert(&new, ROOM).unwrap();
    }
    let all = Filter::default();
    let list = |filter: &Filter, second| -> Vec<_> { ids(&store, filter, at(second)) };
    assert_eq!(list(&all, 50), [4, 3, 2, 1].map(id), "the latest first");

    let owner = Some("a".parse().unwrap());
    assert_eq!(
        list(
            &Filter {
                owner,
                ..all.clone()
            },
            50
        ),
        [2, 1].map(id)
    );
    let service = Some("x".to_owned());
    let at_x = Filter {
        service,
        ..all.clone()
    };
    assert_eq!(
        list(&at_x, 50),
        [3, 2, 1].map(id),
        "also those for every service"
    );
    assert_eq!(
        list(
            &Filter {
                limit: Some(2),
                ..at_x
            },
            50
        ),
        [3, 2].map(id)
    );
    assert_eq!(
        list(
            &Filter {
                limit: Some(0),
                ..all.clone()
            },
            50
        ),
        []
    );

    let within = |seconds| Filter {
        expiring_within: Some(Duration::from_secs(seconds)),
        ..all.clone()
    };
    assert_eq!(
        list(&within(250), 50),
        [4, 3, 2].map(id),
        "the soonest first"
    );
    assert_eq!(list(&within(100), 150), [3].map(id), "not the expired one");
    assert_eq!(list(&within(100), 5), [4].map(id), "pending ones too");
    assert_eq!(list(&within(u64::MAX), 50).len(), 4);
    store.revoke(&[id(4)], None, at(50)).unwrap();
    assert_eq!(ids(&store, &within(250), at(50)), [3, 2].map(id));
    assert_eq!(
        store.count_by_state(at(350)).unwrap(),
        Counts {
            active: 1,
            expired: 2,
            pending: 0,
            revoked: 1
        }
    );
}

#[test]
fn a_secret_and_an_id_are_taken_once() {
    let directory = directory();
    let mut store = open(&directory);
    issue(&mut store, [1]);
    store
        .revoke_digests(&[digest(9)], None, at(0), at(50), ROOM)
        .unwrap();
    let before = (store.revision().unwrap(), store.enforced().unwrap());
    for (number, secret) in [(2, 1), (1, 1), (2, 9)] {
        let new = NewToken {
            digest: digest(secret),
            ..new_token(number)
        };
        let error = store.insert(&new, ROOM).unwrap_err();
        assert!(matches!(error, StoreError::DuplicateDigest), "{error}");
    }
    let new = NewToken {
        digest: digest(2),
        ..new_token(1)
    };
    let error = store.insert(&new, ROOM).unwrap_err();
    assert!(matches!(error, StoreError::DuplicateId { id } if id == super::id(1)));
    assert_eq!(
        (store.revision().unwrap(), store.enforced().unwrap()),
        before
    );
}

#[test]
fn there_is_no_more_room_than_the_kernel_has() {
    let directory = directory();
    let mut store = open(&directory);
    store.insert(&new_token(1), 2).unwrap();
    store
        .revoke_digests(&[digest(9)], None, at(0), at(50), 2)
        .unwrap();
    let error = store.insert(&new_token(2), 2).unwrap_err();
    assert!(matches!(error, StoreError::Full { capacity: 2 }), "{error}");
    let both = [digest(1), digest(8)];
    let error = store
        .revoke_digests(&both, None, at(0), at(50), 2)
        .unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(store.token(&id(1)).unwrap().unwrap().revoked_at, None);
    // What needs no room is done even where there is too little.
    let done = store.revoke_digests(&[digest(1), digest(9)], None, at(0), at(50), 1);
    assert_eq!(done.unwrap().ids, [id(1)]);
    assert_eq!(store.revision().unwrap(), Revision(3));
}

#[test]
fn revoking_is_all_or_nothing_and_repeatable() {
    let directory = directory();
    let mut store = open(&directory);
    issue(&mut store, 1..=3);
    let wrong = [id(1), id(8), id(9), id(8)];
    let error = store.revoke(&wrong, None, at(20)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no such token: t-0000000000000008, t-0000000000000009; nothing was changed"
    );
    assert_eq!(store.revision().unwrap(), Revision(3));
    assert_eq!(store.count_by_state(at(20)).unwrap().revoked, 0);

    let leaked = reason("leaked");
    let done = store
        .revoke(&[id(2), id(1), id(2)], Some(&leaked), at(20))
        .unwrap();
    assert_eq!(done.ids, [id(2), id(1)]);
    assert_eq!(done.already, []);
    assert_eq!(done.change.revision, Revision(4));
    assert!(done.change.upserts.iter().all(|entry| entry.revoked));

    let again = store.revoke(&[id(1), id(2)], None, at(30)).unwrap();
    assert_eq!(again.ids, []);
    assert_eq!(again.already, [id(1), id(2)]);
    assert_eq!(again.change.revision, Revision(4));
    assert_eq!(again.change.upserts, []);
    let token = store.token(&id(1)).unwrap().unwrap();
    assert_eq!(token.revoked_at, Some(at(20)), "the first time counts");
    assert_eq!(token.revoke_reason, Some(leaked));

    let nothing = store.revoke(&[], None, at(30)).unwrap();
    assert_eq!(nothing.change.revision, Revision(4));
}

#[test]
fn a_clock_set_back_does_not_prevent_a_revocation() {
    let directory = directory();
    let mut store = open(&directory);
    issue(&mut store, [1]);
    assert_eq!(store.revoke(&[id(1)], None, at(-500)).unwrap().ids, [id(1)]);
}

#[test]
fn foreign_secrets_are_held_until_the_latest_wish() {
    let directory = directory();
    let mut store = open(&directory);
    let mut revoke = |second, until| {
        let done = store
            .revoke_digests(&[digest(7)], None, at(second), at(until), ROOM)
            .unwrap();
        let held: Vec<_> = store.enforced().unwrap();
        (done.foreign, done.change.revision, held[0].expires_at)
    };
    assert_eq!(revoke(0, 50), (1, Revision(1), at(50)));
    assert_eq!(
        revoke(10, 50),
        (0, Revision(1), at(50)),
        "repeating is nothing"
    );
    assert_eq!(revoke(10, 40), (0, Revision(1), at(50)), "never shorter");
    assert_eq!(revoke(10, 60), (0, Revision(2), at(60)));
    let error = store
        .revoke_digests(&[digest(8)], None, at(10), at(10), ROOM)
        .unwrap_err();
    assert!(matches!(error, StoreError::KeepUntil { .. }), "{error}");
    assert_eq!(store.prune(at(59), Duration::ZERO).unwrap().removals, []);
    assert_eq!(
        store.prune(at(60), Duration::ZERO).unwrap().removals,
        [digest(7)]
    );
}

#[test]
fn the_dead_are_kept_for_a_while() {
    let directory = directory();
    let mut store = open(&directory);
    issue(&mut store, 1..=3);
    store.revoke(&[id(1)], None, at(20)).unwrap();
    // Revoked after its end: dead since its end.
    store.revoke(&[id(2)], None, at(150)).unwrap();
    let retain = Duration::from_secs(50);
    let mut prune = |second| store.prune(at(second), retain).unwrap();
    assert_eq!(prune(70).removals, []);
    assert_eq!(prune(71).removals, [digest(1)]);
    assert_eq!(prune(150).revision, Revision(6));
    let last = prune(151);
    assert_eq!(last.removals, [digest(2), digest(3)]);
    assert_eq!(last.revision, Revision(7));
    assert!(!store.holds_digests().unwrap());
    issue(&mut store, [1]);
    let forever = store.prune(at(10_000), Duration::MAX).unwrap();
    assert_eq!(forever.removals, []);
}

#[test]
fn a_store_belongs_to_one_key_while_it_holds_digests() {
    let directory = directory();
    let mut store = open(&directory);
    assert_eq!(store.key_id().unwrap(), None);
    store.bind_key(key(1)).unwrap();
    store.bind_key(key(2)).unwrap();
    assert_eq!(
        store.key_id().unwrap(),
        Some(key(2)),
        "nothing depends on it yet"
    );
    store
        .revoke_digests(&[digest(1)], None, at(0), at(50), ROOM)
        .unwrap();
    store.bind_key(key(2)).unwrap();
    let error = store.bind_key(key(1)).unwrap_err().to_string();
    assert!(
        error.contains("the hash key is k-0000000000000001"),
        "{error}"
    );
    assert!(
        error.contains("restore the key k-0000000000000002"),
        "{error}"
    );
    assert_eq!(store.key_id().unwrap(), Some(key(2)));
    assert_eq!(store.revision().unwrap(), Revision(1));
}

#[test]
fn errors_name_operation_and_file() {
    let directory = directory();
    let mut store = open(&directory);
    store.connection.execute_batch("DROP TABLE tokens").unwrap();
    let error = store.insert(&new_token(1), ROOM).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot add a token in the store {}", store.path().display())
    );
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("no such table"), "{source}");
}

#[test]
fn what_is_enforced_is_found_by_its_digest() {
    let directory = directory();
    let mut store = open(&directory);
    issue(&mut store, [1]);
    store
        .revoke_digests(&[digest(2)], None, at(20), at(50), ROOM)
        .unwrap();
    let all = store.enforced().unwrap();
    assert_eq!(all.len(), 2);
    for entry in all {
        let found = store.enforced_by_digest(&entry.digest).unwrap();
        assert_eq!(found, Some(entry));
    }
    assert_eq!(store.enforced_by_digest(&digest(3)).unwrap(), None);
}
