//! The operating system's random number generator.

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("cannot read random bytes from the operating system")]
pub struct RandomError(#[source] getrandom::Error);

/// Fills `bytes` from the CSPRNG; blocks while the system has not gathered enough entropy at boot.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(RandomError)
}
