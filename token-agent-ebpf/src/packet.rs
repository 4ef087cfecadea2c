//! The one door to a packet's bytes: copies, whether the packet is linear or not.
//!
//! The headers are copied word by word where they lie in the packet's first
//! part, as they nearly always do: every packet on the interface pays for that
//! copy, and a call of the kernel's own costs several times as much.

use core::{ffi::c_void, hint::black_box};

use aya_ebpf::{
    EbpfContext,
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{
        bpf_redirect, bpf_skb_change_tail, bpf_skb_load_bytes, bpf_skb_store_bytes,
        bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_load_bytes, bpf_xdp_store_bytes,
    },
    programs::{TcContext, XdpContext},
};
use token_agent_common::{
    abi::Question,
    packet::{Frame, HEADERS, Headers, PLAIN, Segment, plain, plain_port, plain_source_port},
    stream::{COPY, PAGE, Page},
    window::{self, Window},
};

use crate::maps;

/// How long an Ethernet header is.
const ETHERNET: u32 = 14;

/// A packet on one of the hooks.
pub(crate) trait Packet: Sized {
    /// What the kernel passes to a program.
    type Context: Copy;

    /// The packet of a context.
    fn at(context: Self::Context) -> Self;

    /// The packet's context.
    fn context(&self) -> Self::Context;

    /// Its length in bytes, from the Ethernet header on.
    fn len(&self) -> u32;

    /// The interface it arrived on.
    fn interface(&self) -> u32;

    /// Copies `len` bytes from `offset` on to `to`; false if they are not there.
    ///
    /// # Safety
    /// `to` is good for writing `len` bytes.
    unsafe fn load(&self, offset: u32, to: *mut c_void, len: u32) -> bool;

    /// Replaces `len` bytes from `offset` on; false if they are not there, or cannot be written.
    ///
    /// # Safety
    /// `from` is good for reading `len` bytes.
    unsafe fn write(&self, offset: u32, from: *const c_void, len: u32) -> bool;

    /// Makes it this long, which is not longer; false if that cannot be.
    fn shorten(&self, len: u32) -> bool;

    /// Replaces the four bytes from `offset` on; false if they are not there, or cannot be written.
    #[inline(always)]
    fn store(&self, offset: u32, bytes: &[u8; 4]) -> bool {
        // SAFETY: there are four.
        unsafe { self.write(offset, bytes.as_ptr().cast(), 4) }
    }

    /// Where its first part starts and ends in memory.
    fn linear(&self) -> (usize, usize);

    /// See [`plain_port`]; `None` also if the headers do not lie in the first part.
    #[inline(always)]
    fn plain_port(&self) -> Option<u16> {
        let start = self.start()?;
        // SAFETY: the words lie before the end of the first part.
        plain_port(|at| unsafe { word(start, at) })
    }

    /// The same for the source port.
    #[inline(always)]
    fn plain_source_port(&self) -> Option<u16> {
        let start = self.start()?;
        // SAFETY: as above.
        plain_source_port(|at| unsafe { word(start, at) })
    }

    /// See [`plain`]; false also if the headers do not lie in the first part, or the length costs a call, and of a
    /// SYN, whose options are looked for in a copy.
    #[inline(always)]
    fn plain(&self, segment: &mut Segment) -> bool {
        let Some(start) = self.start() else {
            return false;
        };
        // SAFETY: as above.
        let is_plain = plain(|at| unsafe { word(start, at) }, self.known_len(), segment);
        is_plain && !segment.is_syn()
    }

    /// So many bytes there are at least: what of the length is known without a call.
    fn known_len(&self) -> u32;

    /// Where its first part starts, if that is long enough for plain headers.
    #[inline(always)]
    fn start(&self) -> Option<usize> {
        let (start, end) = self.linear();
        (start + PLAIN <= end).then_some(start)
    }

    /// Reads the frame's headers. `Unreadable` also where they cannot be copied.
    #[inline(always)]
    fn frame(&self, headers: &mut Headers, segment: &mut Segment) -> Frame {
        if self.plain(segment) {
            return Frame::Tcp;
        }
        let len = self.len();
        if self.load_headers(len, headers) {
            headers.frame(len, segment)
        } else {
            Frame::Unreadable
        }
    }

    /// Copies the first bytes of the frame, which has `len` bytes.
    #[inline(always)]
    fn load_headers(&self, len: u32, headers: &mut Headers) -> bool {
        let len = bounded::<HEADERS>(len.min(HEADERS as u32));
        if self.copy_headers(len, headers) {
            return true;
        }
        let to = headers.bytes_mut().as_mut_ptr().cast();
        // SAFETY: `Headers` holds `HEADERS` bytes, the bound of `len`.
        unsafe { self.load(0, to, len) }
    }

    /// Copies the first `len` bytes of the frame if they lie in its first part.
    #[inline(always)]
    fn copy_headers(&self, len: u32, headers: &mut Headers) -> bool {
        let (start, end) = self.linear();
        let mut at = 0;
        while at < HEADERS {
            if start + at + 8 > end {
                break;
            }
            // SAFETY: the eight bytes lie before the end, as was just checked.
            let word = unsafe { ((start + at) as *const u64).read_unaligned() };
            headers.put(at as u32, word);
            at += 8;
        }
        // The last eight bytes, some of them for the second time.
        let last = black_box(len.wrapping_sub(8)) & (HEADERS as u32 - 1);
        let from = start + last as usize;
        if from + 8 > end {
            return false;
        }
        // SAFETY: as above.
        let word = unsafe { (from as *const u64).read_unaligned() };
        headers.put(last, word);
        true
    }

    /// Copies `len` bytes of the frame from `offset` on.
    #[inline(always)]
    fn load_window(&self, offset: u32, len: u32, window: &mut Window) -> bool {
        let len = bounded::<{ window::CAPACITY }>(len);
        let to = window.payload_mut().as_mut_ptr().cast();
        // SAFETY: the window's payload holds `CAPACITY` bytes, the bound of `len`.
        let loaded = unsafe { self.load(offset, to, len) };
        window.seal(len);
        loaded
    }

    /// `len` (1 to 8) bytes of the frame from `offset` on, the first in the lowest bits.
    #[inline(always)]
    fn load_word(&self, offset: u32, len: u32) -> Option<u64> {
        let len = bounded::<8>(len);
        let mut word = 0u64;
        // SAFETY: a word holds eight bytes, the bound of `len`.
        let loaded = unsafe { self.load(offset, (&raw mut word).cast(), len) };
        loaded.then_some(u64::from_le(word))
    }

    /// What the agent asks, behind an Ethernet header.
    #[inline(always)]
    fn load_question(&self, question: &mut Question) -> bool {
        let to = core::ptr::from_mut(question).cast();
        // SAFETY: any bytes are a question, and there is room for as many.
        unsafe { self.load(ETHERNET, to, size_of::<Question>() as u32) }
    }

    /// Copies `len` bytes of the frame from `offset` on to the page's byte `at`.
    #[inline(always)]
    fn load_kept(&self, offset: u32, len: u32, page: &mut Page, at: u32) -> bool {
        let len = bounded::<{ COPY as usize }>(len);
        let at = black_box(at) & (PAGE - 1);
        let to = page.bytes_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: behind every byte of the page there is room for `COPY` more, the bound of `len`.
        unsafe { self.load(offset, to.add(at as usize).cast(), len) }
    }
}

/// The eight bytes at `at` from `start` on.
///
/// # Safety
/// They may be read.
#[inline(always)]
unsafe fn word(start: usize, at: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { ((start + at) as *const u64).read_unaligned() }
}

/// `len`, which is 1 to `MAX`, in a form whose bounds the verifier sees: the
/// compiler would drop a plain mask that it can prove needless.
#[inline(always)]
pub(crate) fn bounded<const MAX: usize>(len: u32) -> u32 {
    const { assert!(MAX.is_power_of_two()) };
    (black_box(len.wrapping_sub(1)) & (MAX as u32 - 1)) + 1
}

/// A frame at XDP; its bytes may lie in several buffers.
pub(crate) struct XdpPacket(XdpContext);

impl Packet for XdpPacket {
    type Context = *mut xdp_md;

    #[inline(always)]
    fn at(context: Self::Context) -> Self {
        Self(XdpContext::new(context))
    }

    #[inline(always)]
    fn context(&self) -> Self::Context {
        self.0.ctx
    }

    #[inline(always)]
    fn linear(&self) -> (usize, usize) {
        (self.0.data(), self.0.data_end())
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        // SAFETY: the context is the one the kernel passed in.
        unsafe { bpf_xdp_get_buff_len(self.0.ctx) as u32 }
    }

    #[inline(always)]
    fn known_len(&self) -> u32 {
        let (start, end) = self.linear();
        end.wrapping_sub(start) as u32
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        self.0.ingress_ifindex() as u32
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32, to: *mut c_void, len: u32) -> bool {
        // SAFETY: the context is the one the kernel passed in; `to` is the caller's promise.
        unsafe { bpf_xdp_load_bytes(self.0.ctx, offset, to, len) == 0 }
    }

    #[inline(always)]
    unsafe fn write(&self, offset: u32, from: *const c_void, len: u32) -> bool {
        // SAFETY: the context is the one the kernel passed in, which only reads the bytes; they are the caller's promise.
        unsafe { bpf_xdp_store_bytes(self.0.ctx, offset, from.cast_mut(), len) == 0 }
    }

    #[inline(always)]
    fn shorten(&self, len: u32) -> bool {
        let more = len.wrapping_sub(self.len()).cast_signed();
        // SAFETY: the context is the one the kernel passed in.
        unsafe { bpf_xdp_adjust_tail(self.0.ctx, more) == 0 }
    }
}

/// A packet at TC; its bytes may lie in several pages.
pub(crate) struct TcPacket(TcContext);

impl TcPacket {
    /// The interface by which the packet came to this host, whichever it is at now; 0 if it was made here.
    #[inline(always)]
    pub(crate) fn origin(&self) -> u32 {
        // SAFETY: the context is the one the kernel passed in.
        unsafe { (*self.0.skb.skb).ingress_ifindex }
    }

    /// Has the packet leave where it came from: by the interface it arrived on, or, where it was about to leave to a service,
    /// as if it had arrived there.
    #[inline(always)]
    pub(crate) fn send_back(&self) -> i32 {
        const OUT: u64 = 0;
        const IN: u64 = 1;
        let interface = self.interface();
        let was_leaving =
            maps::settings().is_some_and(|settings| maps::faces_service(settings, interface));
        let to = if was_leaving { IN } else { OUT };
        // SAFETY: the helper only notes where the packet goes.
        unsafe { bpf_redirect(interface, to) as i32 }
    }
}

impl Packet for TcPacket {
    type Context = *mut __sk_buff;

    #[inline(always)]
    fn at(context: Self::Context) -> Self {
        Self(TcContext::new(context))
    }

    #[inline(always)]
    fn context(&self) -> Self::Context {
        self.0.skb.skb
    }

    #[inline(always)]
    fn linear(&self) -> (usize, usize) {
        (self.0.data(), self.0.data_end())
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        self.0.len()
    }

    #[inline(always)]
    fn known_len(&self) -> u32 {
        self.len()
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        // SAFETY: the context is the one the kernel passed in.
        unsafe { (*self.0.skb.skb).ifindex }
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32, to: *mut c_void, len: u32) -> bool {
        // SAFETY: the context is the one the kernel passed in; `to` is the caller's promise.
        unsafe { bpf_skb_load_bytes(self.0.as_ptr(), offset, to, len) == 0 }
    }

    #[inline(always)]
    unsafe fn write(&self, offset: u32, from: *const c_void, len: u32) -> bool {
        // SAFETY: the context is the one the kernel passed in; the bytes are the caller's promise.
        unsafe { bpf_skb_store_bytes(self.0.skb.skb, offset, from, len, 0) == 0 }
    }

    #[inline(always)]
    fn shorten(&self, len: u32) -> bool {
        // SAFETY: the context is the one the kernel passed in.
        unsafe { bpf_skb_change_tail(self.0.skb.skb, len, 0) == 0 }
    }
}
