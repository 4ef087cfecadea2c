use std::collections::BTreeSet;

use super::*;

#[test]
fn round_trip() {
    let id = TokenId::random().unwrap();
    let text = id.to_string();
    assert_eq!(text.len(), 18);
    assert_eq!(text.parse(), Ok(id));
    assert_eq!(format!("{id:?}"), text);
    let family: FamilyId = "f-0123456789abcdef".parse().unwrap();
    assert_eq!(family.to_string(), "f-0123456789abcdef");
    assert!("t-ghjkmnpqrstvwxyz".parse::<TokenId>().is_ok());
}

#[test]
fn only_the_one_spelling_is_accepted() {
    for bad in [
        "",
        "t",
        "t-",
        "t-0123456789abcde",
        "t-0123456789abcdef0",
        "t-0123456789abcdeF",
        "t-0123456789abcdei",
        "t-0123456789abcdel",
        "t-0123456789abcdeo",
        "t-0123456789abcdeu",
        "t_0123456789abcdef",
        "T-0123456789abcdef",
        "f-0123456789abcdef",
        " t-0123456789abcdef",
        "t-0123456789abcdef\n",
        "t-0123456789abcdé",
        "t-0123456789abcd\u{130}f",
    ] {
        assert!(bad.parse::<TokenId>().is_err(), "{bad:?}");
    }
}

#[test]
fn errors_explain_without_repeating_the_text() {
    let parse = |text: &str| text.parse::<TokenId>().unwrap_err().to_string();
    assert_eq!(
        parse("t-0123"),
        "a token id has 16 characters after `t-`, this one has 4"
    );
    assert_eq!(parse("f-0123456789abcdef"), "a token id begins with `t-`");
    assert!(parse("t-01234o6789abcdef").starts_with("character 8 of the token id"));
    let secret = "tka_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab17977v";
    let error = secret.parse::<FamilyId>().unwrap_err();
    assert_eq!(error, IdError::Secret { noun: "family" });
    assert!(!error.to_string().contains("0123"));
}

#[test]
fn json_is_the_text() {
    let id: TokenId = serde_json::from_str("\"t-0123456789abcdef\"").unwrap();
    assert_eq!(
        serde_json::to_string(&id).unwrap(),
        "\"t-0123456789abcdef\""
    );
    assert!(serde_json::from_str::<FamilyId>("\"t-0123456789abcdef\"").is_err());
}

#[test]
fn random_ids_differ_and_use_every_digit() {
    let ids: BTreeSet<_> = (0..1_000).map(|_| TokenId::random().unwrap()).collect();
    assert_eq!(ids.len(), 1_000);
    let digits: BTreeSet<_> = ids.iter().flat_map(|id| id.digits).collect();
    assert_eq!(digits.len(), 32);
}
