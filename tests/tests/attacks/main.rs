//! Attacks, and honest traffic that looks like them: real packets at real servers behind the guard, and what
//! the applications logged.
//!
//! `tests/attacks/cases.jsonl` is a catalogue; its README's rules hold here, too: `must` says what a sound guard
//! does, and a stricter one is as good, but honest clients must come to no harm. One thing is asked everywhere: no
//! application gets a complete request with a revoked token.

mod catalogue;
mod honest;
mod requests;
mod rules;
mod tcp;
