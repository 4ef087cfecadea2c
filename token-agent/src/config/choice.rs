//! A word out of a few.

use super::problem::{Invalid, closest, quote};

/// The value that `word` stands for.
pub(super) fn choose<T: Copy>(word: &str, choices: &[(&str, T)]) -> Result<T, Invalid> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
        return Ok(*value);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
    let what = Invalid::new(format!("{} is not known here", quote(word)));
    Err(match (closest(word, &names), names.as_slice()) {
        (Some(meant), _) => what.help(format!("did you mean {}?", quote(meant))),
        (None, [only]) => what.help(format!("write {}", quote(only))),
        (None, _) => {
            let quoted: Vec<_> = names.iter().map(|name| quote(name)).collect();
            what.help(format!("write one of {}", quoted.join(", ")))
        }
    })
}
