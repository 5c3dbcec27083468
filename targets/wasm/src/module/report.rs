//! What is told to JavaScript: records of words, and texts.

use mote_runtime::engine::Format;
use mote_runtime::plan::PreprocessRecord;

/// The record given last.
static mut WORDS: [u32; 16] = [0; 16];
/// The text of the last failure.
static mut TEXT: ([u8; 256], usize) = ([0; 256], 0);

fn give(words: [u32; 16]) -> *const u32 {
    // SAFETY: WebAssembly without threads; JavaScript reads the words before it calls again.
    unsafe { WORDS = words };
    (&raw const WORDS).cast()
}

/// An input or output.
pub fn port(format: &Format, start: usize) -> *const u32 {
    let (scale, zero_point) = format.quant().unwrap_or((0.0, 0));
    let mut words = [0; 16];
    let shape = format.shape();
    let head = [
        start as u32,
        format.bytes() as u32,
        format.slice_bytes() as u32,
        format.dtype() as u32,
        scale.to_bits(),
        zero_point as u32,
        shape.len() as u32,
    ];
    words.iter_mut().zip(head.iter().chain(shape)).for_each(|(to, from)| *to = *from);
    give(words)
}

/// How pictures become an input.
pub fn preprocess(record: &PreprocessRecord) -> *const u32 {
    let crop = if record.fit == 1 { record.resize } else { 0 };
    let numbers =
        [record.mean0, record.mean1, record.mean2, record.deviation0, record.deviation1, record.deviation2];
    let mut words = [0; 16];
    let all = [record.order.into(), crop.into()].into_iter().chain(numbers.map(f32::to_bits));
    words.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    give(words)
}

/// A text, by its address and length.
pub fn text(text: &str) -> *const u32 {
    let mut words = [0; 16];
    words.iter_mut().zip([text.as_ptr().addr() as u32, text.len() as u32]).for_each(|(to, from)| *to = from);
    give(words)
}

/// Writes the text of a failure; what is too long is cut.
pub struct Text;

impl Text {
    pub fn cleared() -> Self {
        // SAFETY: WebAssembly without threads; nothing borrows it now.
        unsafe { TEXT.1 = 0 };
        Self
    }

    pub fn last() -> &'static str {
        let kept = &raw const TEXT;
        // SAFETY: as above; the text changes only while a later call fails.
        let (bytes, len) = unsafe { &*kept };
        core::str::from_utf8(bytes.get(..*len).unwrap_or(&[])).unwrap_or("")
    }
}

impl core::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let kept = &raw mut TEXT;
        // SAFETY: as above.
        let (bytes, len) = unsafe { &mut *kept };
        let room = bytes.get_mut(*len..).unwrap_or_default();
        if text.len() > room.len() {
            return Err(core::fmt::Error);
        }
        room.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        *len += text.len();
        Ok(())
    }
}
