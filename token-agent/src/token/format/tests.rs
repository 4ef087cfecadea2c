use std::collections::BTreeSet;

use super::*;

// Checksums from an independent implementation (Python's zlib.crc32).
const KNOWN: [&str; 3] = [
    "tka_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab17977v",
    "ab_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz2aRHkV",
    // A small checksum: zero-padded.
    "tka_0000000000000000000000000000000000055400a0iN",
];

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

#[test]
fn known_vectors() {
    for token in KNOWN {
        assert!(recognise(token), "{token}");
    }
    let characters = ALPHABET[..RANDOM_LEN].try_into().unwrap();
    let secret = Secret::assemble(&prefix("tka"), characters);
    assert_eq!(secret.expose(), KNOWN[0]);
}

#[test]
fn minted_tokens_are_recognised_and_differ() {
    let minted: BTreeSet<String> = (0..1_000)
        .map(|_| Secret::mint(&prefix("tka")).unwrap().expose().to_owned())
        .collect();
    assert_eq!(minted.len(), 1_000);
    for token in &minted {
        assert_eq!(token.len(), 48);
        assert!(token.starts_with("tka_"));
        assert!(recognise(token));
    }
    let long = Secret::mint(&prefix("a123456789")).unwrap();
    assert!(recognise(long.expose()));
}

#[test]
fn every_typo_is_noticed() {
    let token = KNOWN[0];
    for position in 0..token.len() {
        for wrong in "0aZ_-. ".chars() {
            let mut typo = token.to_owned();
            typo.replace_range(position..=position, wrong.encode_utf8(&mut [0; 4]));
            assert_eq!(recognise(&typo), typo == token, "{typo}");
        }
        let mut shorter = token.to_owned();
        shorter.remove(position);
        assert!(!recognise(&shorter), "{shorter}");
        let mut longer = token.to_owned();
        longer.insert(position, 'x');
        assert!(!recognise(&longer), "{longer}");
    }
    for position in 4..token.len() - 1 {
        let mut bytes = token.as_bytes().to_owned();
        bytes.swap(position, position + 1);
        let swapped = String::from_utf8(bytes).unwrap();
        assert_eq!(recognise(&swapped), swapped == token, "{swapped}");
    }
}

#[test]
fn other_texts_are_not_tokens() {
    for text in [
        "",
        "_",
        "tka",
        "tka_",
        "Bearer x",
        "eyJhbGciOiJIUzI1NiJ9.e30.x",
        "ü_",
    ] {
        assert!(!recognise(text), "{text:?}");
    }
    // The checksum is right, the shape is not.
    for head in ["t_", "TKA_", "1ka_", "tka", "abcdefghijk_", "tk-a_"] {
        let mut text = format!("{head}{}", "0".repeat(RANDOM_LEN));
        text.extend(checksum(text.as_bytes()).map(char::from));
        assert!(!recognise(&text), "{text}");
    }
}

#[test]
fn each_character_comes_of_exactly_four_bytes() {
    let mut counts = [0; 256];
    for character in (0..=255).filter_map(base62) {
        counts[usize::from(character)] += 1;
    }
    for character in ALPHABET {
        assert_eq!(counts[usize::from(*character)], 4);
    }
    assert_eq!(counts.iter().sum::<i32>(), 248);
}

#[test]
fn drawn_characters_are_evenly_spread() {
    const DRAWN: usize = 62 * 1_000;
    let mut characters = vec![0; DRAWN];
    random_base62(&mut characters).unwrap();
    let chi_squared: f64 = ALPHABET
        .iter()
        .map(|wanted| {
            let count = characters.iter().filter(|found| *found == wanted).count();
            (count as f64 - 1_000.0).powi(2) / 1_000.0
        })
        .sum();
    // 61 degrees of freedom: beyond 160 once in some 10^10 runs.
    assert!(chi_squared < 160.0, "{chi_squared}");
}

#[test]
fn a_secret_does_not_show_itself() {
    let secret = Secret::mint(&prefix("tka")).unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(redacted)");
    assert_eq!(Secret::from("x".to_owned()).expose(), "x");
}

#[test]
fn prefixes() {
    for good in ["tk", "tka", "a1", "a123456789"] {
        assert_eq!(prefix(good).as_str(), good);
    }
    for bad in ["", "t", "1a", "tKa", "t_a", "tk-", "a1234567890", "té"] {
        assert_eq!(bad.parse::<Prefix>(), Err(PrefixError), "{bad:?}");
    }
}

#[test]
fn tokens_are_found_wherever_they_are() {
    let prefix: Prefix = "tka".parse().unwrap();
    let secret = Secret::mint(&prefix).unwrap();
    let token = secret.expose();
    let mut mistyped = token.to_owned();
    mistyped.replace_range(
        8..9,
        if token.as_bytes()[8] == b'x' {
            "y"
        } else {
            "x"
        },
    );
    for token in [token, &mistyped] {
        for text in [
            token.to_owned(),
            format!("für {token} "),
            format!("Bearer:{token}"),
            format!("_{token}_"),
            format!("{token}{token}"),
            format!("a_b_{token}"),
        ] {
            assert!(may_hold_a_token(&text));
            let shown = without_tokens(&text);
            assert!(
                !shown.contains(&token[4..24]) && shown.contains("(not repeated)"),
                "{shown}"
            );
        }
    }
    let cut = &token[..token.len() - 1];
    for text in ["", "_", "ci", "a_b", "snake_case_words", "tka_", cut, "ä_ö"] {
        assert!(!may_hold_a_token(text), "{text}");
        assert_eq!(without_tokens(text), text);
    }
}

#[test]
fn what_no_request_bears_is_no_credential() {
    let secret = Secret::mint(&"tka".parse().unwrap()).unwrap();
    let token = secret.expose();
    let cut = &token[..token.len() - 1];
    let longest = "k".repeat(8192);
    for credential in [token, "hunter2", "a.b_c-d~e+f/g==", "x_y", &longest] {
        assert_eq!(credential_fault(credential, "tka"), None, "{credential}");
    }
    for text in [
        "",
        &(longest.clone() + "k"),
        &format!("Bearer {token}"),
        &format!("Authorization:Bearer:{token}"),
        &format!("{{\"token\":\"{token}\"}}"),
        &format!("\u{feff}{token}"),
        &format!("{token}{token}"),
        cut,
        "tka_",
        "tab\there",
        "pass\u{f6}rd",
    ] {
        assert!(credential_fault(text, "tka").is_some(), "{text}");
    }
    // Somebody else's, whatever it looks like.
    assert_eq!(credential_fault(cut, "other"), None);
}
