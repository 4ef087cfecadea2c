//! Programs of a few instructions, to compare with.

use anyhow::Result;

use super::{Program, Spot};

/// Passes every packet.
pub fn empty(spot: Spot) -> Result<Program> {
    Program::load(spot, &[result(spot.pass()), EXIT])
}

/// Passes every packet but, by chance, one of a hundred.
pub fn lossy(spot: Spot) -> Result<Program> {
    let all = [
        instruction(CALL, 0, GET_PRANDOM_U32),
        instruction(JUMP_IF_LESS, 2, u32::MAX / 100),
        result(spot.pass()),
        EXIT,
        result(spot.drop()),
        EXIT,
    ];
    Program::load(spot, &all)
}

/// Codes of instructions (RFC 9669).
const CALL: u8 = 0x85;
const JUMP_IF_LESS: u8 = 0xa5;
const MOVE: u8 = 0xb7;
const EXIT: u64 = 0x95;

/// The helper's number.
const GET_PRANDOM_U32: u32 = 7;

/// Sets register 0.
const fn result(value: i32) -> u64 {
    instruction(MOVE, 0, value.cast_unsigned())
}

/// An instruction on register 0.
const fn instruction(code: u8, offset: u16, immediate: u32) -> u64 {
    code as u64 | (offset as u64) << 16 | (immediate as u64) << 32
}
