//! The compression function (section 2.2 of the paper).

/// The first words of the initialization vector (table 1).
const IV: [u32; 4] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a];

const ROUNDS: u32 = 7;

/// Replaces the chaining value `cv` by what `block` makes of it. `parameters` are the block's: its counter in two
/// halves, how many bytes it has, and the flags.
#[inline(always)]
pub(super) fn compress(cv: &mut [u32; 8], block: &[u64; 8], parameters: [u32; 4]) {
    let mut state = Cells([0; 16]);
    let mut message = Cells([0; 16]);
    let mut i = 0;
    while i < 8 {
        state.set(i, cv[i]);
        message.set(2 * i, block[i] as u32);
        message.set(2 * i + 1, (block[i] >> 32) as u32);
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
    let mut round = 0;
    let twice = twice();
    loop {
        state.mix([0, 4, 8, 12], message.two(0), twice);
        state.mix([1, 5, 9, 13], message.two(2), twice);
        state.mix([2, 6, 10, 14], message.two(4), twice);
        state.mix([3, 7, 11, 15], message.two(6), twice);
        state.mix([0, 5, 10, 15], message.two(8), twice);
        state.mix([1, 6, 11, 12], message.two(10), twice);
        state.mix([2, 7, 8, 13], message.two(12), twice);
        state.mix([3, 4, 9, 14], message.two(14), twice);
        round += 1;
        if round == ROUNDS {
            break;
        }
        message.permute();
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

/// Sixteen words that stay in memory.
///
/// BPF has ten registers. Left alone, the compiler works on four columns at once, and moves most words to the stack and
/// back between any two steps; one column after the other, each is fetched and put back once.
struct Cells([u32; 16]);

impl Cells {
    #[inline(always)]
    #[expect(unsafe_code, reason = "safe Rust has no volatile access")]
    fn get(&self, i: usize) -> u32 {
        // SAFETY: a reference.
        unsafe { (&raw const self.0[i]).read_volatile() }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "safe Rust has no volatile access")]
    fn set(&mut self, i: usize, value: u32) {
        // SAFETY: a reference.
        unsafe { (&raw mut self.0[i]).write_volatile(value) }
    }

    #[inline(always)]
    fn two(&self, i: usize) -> [u32; 2] {
        [self.get(i), self.get(i + 1)]
    }

    /// The quarter round, of four words and two of the message; `twice` is [`TWICE`].
    #[inline(always)]
    fn mix(&mut self, [i, j, k, l]: [usize; 4], [x, y]: [u32; 2], twice: u64) {
        let (mut a, mut b, mut c, mut d) = (self.get(i), self.get(j), self.get(k), self.get(l));
        a = a.wrapping_add(b).wrapping_add(x);
        d = rotated(d ^ a, 16, twice);
        c = c.wrapping_add(d);
        b = rotated(b ^ c, 12, twice);
        a = a.wrapping_add(b).wrapping_add(y);
        d = rotated(d ^ a, 8, twice);
        c = c.wrapping_add(d);
        b = rotated(b ^ c, 7, twice);
        self.set(i, a);
        self.set(j, b);
        self.set(k, c);
        self.set(l, d);
    }

    /// Puts the words in order for the next round (table 2).
    #[inline(always)]
    fn permute(&mut self) {
        // The permutation's two cycles: each word takes the place of the one before it here.
        const CYCLES: [[usize; 8]; 2] = [[0, 2, 3, 10, 12, 9, 11, 5], [1, 6, 4, 7, 13, 14, 15, 8]];
        let mut cycle = 0;
        while cycle < 2 {
            let places = CYCLES[cycle];
            let first = self.get(places[0]);
            let mut i = 0;
            while i < 7 {
                self.set(places[i], self.get(places[i + 1]));
                i += 1;
            }
            self.set(places[7], first);
            cycle += 1;
        }
    }
}
