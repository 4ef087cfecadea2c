//! Numbers of a wide range in a byte.

/// The number that stands for the one of `numbers` that is nearest.
pub(super) fn code(numbers: &[i64], wanted: i64) -> u8 {
    let nearest = numbers
        .iter()
        .enumerate()
        .min_by_key(|(_, number)| number.abs_diff(wanted));
    nearest.map_or(0, |(code, _)| code as u8)
}

/// The number that `code` stands for.
pub(super) fn number(numbers: &[i64], code: u8) -> i64 {
    numbers[usize::from(code) % numbers.len()]
}
