//! See [`token_agent_fuzz::stream`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| token_agent_fuzz::stream(input));
