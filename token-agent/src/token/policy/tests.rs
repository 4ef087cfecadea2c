use super::*;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2025-11-22T12:00:00.75Z")
}

fn decide(ttl: Option<Duration>, not_before: Option<&str>) -> Result<Lifetime, PolicyError> {
    lifetime(now(), ttl, not_before.map(at), DAY, 90 * DAY)
}

fn span(ttl: Option<Duration>, not_before: Option<&str>) -> (String, String) {
    let lifetime = decide(ttl, not_before).unwrap();
    (
        lifetime.not_before().to_string(),
        lifetime.expires_at().to_string(),
    )
}

fn expected(not_before: &str, expires_at: &str) -> (String, String) {
    (not_before.into(), expires_at.into())
}

#[test]
fn nothing_wished_is_the_default_from_now() {
    assert_eq!(
        span(None, None),
        expected("2025-11-22T12:00:00Z", "2025-11-23T12:00:00Z")
    );
}

#[test]
fn a_default_beyond_the_maximum_is_the_maximum() {
    let short = lifetime(now(), None, None, DAY, HOUR).unwrap();
    assert_eq!(short.expires_at(), at("2025-11-22T13:00:00Z"));
}

#[test]
fn the_lifetime_counts_from_a_later_beginning() {
    assert_eq!(
        span(Some(HOUR), Some("2025-12-01T00:00:00.001Z")),
        expected("2025-12-01T00:00:01Z", "2025-12-01T01:00:01Z"),
        "never before the wished moment"
    );
}

#[test]
fn a_beginning_just_past_is_now() {
    assert_eq!(
        span(Some(HOUR), Some("2025-11-22T11:59:01Z")),
        expected("2025-11-22T12:00:00Z", "2025-11-22T13:00:00Z")
    );
    assert!(decide(None, Some("2025-11-22T11:59:00.75Z")).is_ok());
    let error = decide(None, Some("2025-11-22T11:59:00.7Z")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the token would begin at 2025-11-22T11:59:00.7Z, which is past (2025-11-22T12:00:00.75Z); leave it out to begin now"
    );
}

#[test]
fn a_beginning_is_at_most_the_maximum_ahead() {
    assert!(decide(None, Some("2026-02-20T12:00:00.75Z")).is_ok());
    let error = decide(None, Some("2026-02-20T12:00:01Z")).unwrap_err();
    assert!(matches!(error, PolicyError::TooFarAhead { .. }));
    assert!(error.to_string().contains("90d"), "{error}");
}

#[test]
fn the_maximum_is_a_limit_not_a_clamp() {
    assert!(decide(Some(90 * DAY), None).is_ok());
    let error = decide(Some(90 * DAY + Duration::from_nanos(1)), None).unwrap_err();
    assert!(matches!(error, PolicyError::TooLong { .. }));
    assert_eq!(
        decide(Some(91 * DAY), None).unwrap_err().to_string(),
        "a lifetime of 91d is longer than the maximum of 90d"
    );
}

#[test]
fn no_lifetime_at_all_is_an_error() {
    for ttl in [Duration::ZERO, Duration::from_millis(999)] {
        assert_eq!(decide(Some(ttl), None), Err(PolicyError::NoTtl));
    }
    assert_eq!(
        lifetime(now(), None, None, DAY, Duration::ZERO),
        Err(PolicyError::NoTtl)
    );
}

#[test]
fn fractions_never_lengthen_a_life() {
    let lifetime = decide(Some(Duration::from_millis(1_999)), None).unwrap();
    assert_eq!(lifetime.expires_at(), at("2025-11-22T12:00:01Z"));
}

#[test]
fn the_end_of_time_is_an_error_not_a_panic() {
    for max in [300_000_000 * HOUR, Duration::MAX] {
        assert_eq!(
            lifetime(now(), Some(max), None, DAY, max),
            Err(PolicyError::OutOfRange)
        );
    }
    let late = lifetime(Timestamp::MAX, None, Some(Timestamp::MAX), DAY, DAY);
    assert_eq!(late, Err(PolicyError::OutOfRange));
    let early = lifetime(Timestamp::MIN, None, None, DAY, DAY);
    assert_eq!(early, Err(PolicyError::OutOfRange));
}

#[test]
fn a_given_span_is_checked_too() {
    let span = Lifetime::between(at("2025-11-22T12:00:00.9Z"), at("2025-11-22T12:00:01.1Z"));
    assert_eq!(span.unwrap().expires_at(), at("2025-11-22T12:00:01Z"));
    assert_eq!(Lifetime::between(now(), now()), Err(PolicyError::NoTtl));
    let early = Lifetime::between(at("1969-12-31T23:59:59Z"), now());
    assert_eq!(early, Err(PolicyError::OutOfRange));
}

#[test]
fn durations_read_as_users_write_them() {
    for (seconds, text) in [
        (1, "1s"),
        (60, "60s"),
        (90, "90s"),
        (900, "15m"),
        (3_600, "60m"),
        (86_400, "24h"),
        (90_000, "25h"),
        (2_592_000, "30d"),
        (86_401, "86401s"),
    ] {
        assert_eq!(Units(Duration::from_secs(seconds)).to_string(), text);
    }
}
