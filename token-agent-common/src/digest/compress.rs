//! The compression function (section 2.2 of the paper).

use bytemuck::{Pod, Zeroable};

/// The first words of the initialization vector (table 1).
const IV: [u32; 4] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a];

const ROUNDS: u32 = 7;

/// Replaces the chaining value `cv` by what `block`, bytes in memory order, makes of it. `parameters` are the block's:
/// its counter in two halves, how many bytes it has, and the flags. Of the block nothing useful is left.
#[inline(always)]
pub(super) fn compress(cv: &mut [u32; 8], block: &mut [u64; 8], parameters: [u32; 4]) {
    let message: &mut Cells = bytemuck::cast_mut(block);
    let mut state = Cells([0; 16]);
    let mut i = 0;
    while i < 8 {
        state.set(i, cv[i]);
        i += 1;
    }
    let mut i = 0;
    while i < 4 {
        state.set(8 + i, IV[i]);
        state.set(12 + i, parameters[i]);
        i += 1;
    }
    // A loop and not seven rounds in a row: what stays in the processor's cache of decoded
    // instructions is worth more than what the permutation costs.
    let mut other = Cells([0; 16]);
    let (mut message, mut next) = (message, &mut other);
    let mut round = 0;
    let twice = twice();
    while round < ROUNDS {
        let mut words = Schedule {
            message: &*message,
            next: &mut *next,
        };
        state.mix([0, 4, 8, 12], words.two(0), twice);
        state.mix([1, 5, 9, 13], words.two(2), twice);
        state.mix([2, 6, 10, 14], words.two(4), twice);
        state.mix([3, 7, 11, 15], words.two(6), twice);
        state.mix([0, 5, 10, 15], words.two(8), twice);
        state.mix([1, 6, 11, 12], words.two(10), twice);
        state.mix([2, 7, 8, 13], words.two(12), twice);
        state.mix([3, 4, 9, 14], words.two(14), twice);
        (message, next) = (next, message);
        round += 1;
    }
    let mut i = 0;
    while i < 8 {
        cv[i] = state.get(i) ^ state.get(i + 8);
        i += 1;
    }
}

/// A factor by which a word stands in both halves of 64 bits.
const TWICE: u64 = 1 << 32 | 1;

/// The same in a register. BPF has no rotation: it takes four instructions, or a multiplication and a shift.
///
/// It multiplies in place. As an address, the factor is the second operand to the compiler; else it would be the
/// first, and copied each time.
#[inline(always)]
fn twice() -> u64 {
    if cfg!(target_arch = "bpf") {
        core::hint::black_box(core::ptr::without_provenance::<u8>(TWICE as usize)).addr() as u64
    } else {
        TWICE
    }
}

/// The word, rotated to the right by some bits.
#[inline(always)]
fn rotated(word: u32, by: u32, twice: u64) -> u32 {
    (u64::from(word).wrapping_mul(twice) >> by) as u32
}

/// The exclusive or of two words, of which only the second is needed afterwards.
#[inline(always)]
#[cfg(not(target_arch = "bpf"))]
const fn xor(word: u32, other: u32) -> u32 {
    word ^ other
}

/// The same, where the compiler would copy the second first to have the result in its place.
#[inline(always)]
#[cfg(target_arch = "bpf")]
#[expect(unsafe_code, reason = "only assembly says what becomes of a register")]
fn xor(mut word: u32, other: u32) -> u32 {
    // SAFETY: it does what it says.
    unsafe {
        core::arch::asm!(
            "{0} ^= {1}",
            inout(wreg) word,
            in(wreg) other,
            options(pure, nomem, nostack)
        );
    }
    word
}

/// Sixteen words that stay in memory, little-endian.
///
/// BPF has ten registers. Left alone, the compiler works on four columns at once, and moves most words to the stack and
/// back between any two steps; one column after the other, each is fetched and put back once.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
struct Cells([u32; 16]);

impl Cells {
    #[inline(always)]
    #[expect(unsafe_code, reason = "safe Rust has no volatile access")]
    fn get(&self, i: usize) -> u32 {
        // SAFETY: a reference.
        u32::from_le(unsafe { (&raw const self.0[i]).read_volatile() })
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "safe Rust has no volatile access")]
    fn set(&mut self, i: usize, value: u32) {
        // SAFETY: a reference.
        unsafe { (&raw mut self.0[i]).write_volatile(value.to_le()) }
    }

    /// The quarter round, of four words and two of the message; `twice` is [`TWICE`].
    #[inline(always)]
    fn mix(&mut self, [i, j, k, l]: [usize; 4], [x, y]: [u32; 2], twice: u64) {
        let (mut a, mut b, mut c, mut d) = (self.get(i), self.get(j), self.get(k), self.get(l));
        a = a.wrapping_add(x).wrapping_add(b);
        d = rotated(d ^ a, 16, twice);
        c = c.wrapping_add(d);
        b = rotated(xor(b, c), 12, twice);
        a = a.wrapping_add(y).wrapping_add(b);
        d = rotated(d ^ a, 8, twice);
        c = c.wrapping_add(d);
        b = rotated(xor(b, c), 7, twice);
        self.set(i, a);
        self.set(j, b);
        self.set(k, c);
        self.set(l, d);
    }
}

/// The words of the message in the order of this round, and where they are put in that of the next.
struct Schedule<'a> {
    message: &'a Cells,
    next: &'a mut Cells,
}

impl Schedule<'_> {
    /// Two words in a row.
    #[inline(always)]
    fn two(&mut self, i: usize) -> [u32; 2] {
        [self.one(i), self.one(i + 1)]
    }

    #[inline(always)]
    fn one(&mut self, i: usize) -> u32 {
        // Where each word goes: the inverse of table 2.
        const NEXT: [usize; 16] = [5, 8, 0, 2, 6, 11, 1, 4, 15, 12, 3, 9, 10, 7, 13, 14];
        let word = self.message.get(i);
        self.next.set(NEXT[i], word);
        word
    }
}
