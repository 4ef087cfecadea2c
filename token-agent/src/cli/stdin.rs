//! Secrets from standard input, the only place they may come from.

use std::io;

use zeroize::Zeroizing;

use super::usage::Usage;
use crate::token::Secret;

/// The longest secret, in bytes: longer ones are never let pass.
pub(super) const LONGEST: usize = 8192;

/// The most bytes read: what a request may hold, with room for its JSON.
const MOST_BYTES: usize = 768 * 1024;

/// The most secrets at once.
const MOST_SECRETS: usize = 10_000;

/// The secrets on standard input, one on each line, none longer than `longest`.
pub(super) fn secrets(longest: usize) -> anyhow::Result<Vec<Secret>> {
    // Not through the standard library's handle, whose buffer would keep them.
    let stdin = io::stdin();
    let read = |buffer: &mut [u8]| nix::unistd::read(&stdin, buffer).map_err(io::Error::from);
    Ok(split(&everything(read)?, longest)?)
}

/// The one secret on standard input.
pub(super) fn secret(longest: usize) -> anyhow::Result<Secret> {
    let mut secrets = secrets(longest)?;
    match (secrets.pop(), secrets.is_empty()) {
        (Some(secret), true) => Ok(secret),
        (None, _) | (Some(_), false) => {
            Err(Usage::new("exactly one secret is expected on standard input").into())
        }
    }
}

fn everything(
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    // The whole size at once: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(vec![0; MOST_BYTES + 1]);
    let mut len = 0;
    while len < bytes.len() {
        match read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(anyhow::Error::from(error).context("cannot read standard input"));
            }
        }
    }
    if len > MOST_BYTES {
        let what = format!("standard input has more than {MOST_BYTES} bytes; give it in parts");
        return Err(Usage::new(what).into());
    }
    bytes.truncate(len);
    Ok(bytes)
}

fn split(bytes: &[u8], longest: usize) -> Result<Vec<Secret>, Usage> {
    let mut secrets = Vec::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let Some(text) = std::str::from_utf8(line)
            .ok()
            .filter(|_| line.len() <= longest)
        else {
            let what =
                format!("line {number} is no secret: it is not text of at most {longest} bytes");
            return Err(Usage::new(what));
        };
        if secrets.len() == MOST_SECRETS {
            let what = format!("more than {MOST_SECRETS} secrets at once; give them in parts");
            return Err(Usage::new(what));
        }
        secrets.push(Secret::from(text.to_owned()));
    }
    if secrets.is_empty() {
        return Err(Usage::new("there is no secret on standard input"));
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(input: &str) -> Result<Vec<String>, String> {
        match split(input.as_bytes(), 8) {
            Ok(secrets) => Ok(secrets
                .iter()
                .map(|secret| secret.expose().to_owned())
                .collect()),
            Err(usage) => Err(usage.to_string()),
        }
    }

    #[test]
    fn one_on_each_line() {
        assert_eq!(texts("a\n\r\n b \r\nc").unwrap(), ["a", "b", "c"]);
        assert_eq!(texts("12345678\n").unwrap(), ["12345678"]);
        assert!(texts("").is_err() && texts("\n \n").is_err());
    }

    #[test]
    fn what_is_no_secret_is_not_repeated() {
        let error = texts("a\n123456789").unwrap_err();
        assert!(
            error.contains("line 2") && !error.contains("123456789"),
            "{error}"
        );
        assert!(split(b"\xff", 8).is_err());
        let many = "a\n".repeat(MOST_SECRETS + 1);
        assert!(texts(&many).unwrap_err().contains("in parts"));
    }

    #[test]
    fn input_is_read_in_pieces_and_not_without_end() {
        let mut pieces = [b"ab".as_slice(), b"c\n"].into_iter();
        let read = |buffer: &mut [u8]| {
            let piece = pieces.next().unwrap_or_default();
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        };
        assert_eq!(everything(read).unwrap().as_slice(), b"abc\n");
        assert!(everything(|buffer| Ok(buffer.len())).is_err());
    }
}
