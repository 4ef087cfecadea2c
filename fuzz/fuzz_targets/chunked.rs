//! See [`token_agent_fuzz::chunked`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| token_agent_fuzz::chunked(input));
