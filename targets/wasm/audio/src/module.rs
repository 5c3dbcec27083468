//! What the module exports. Records are given by the address of their words.

use mote_audio::{Change, Detection, Detector, FrontEnd, RealFft, Recipe, digits, wakeword};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Most samples of a call, and most scores of a result.
const ROOM: usize = 4096;

/// Everything that an instance holds.
struct Kept {
    digits: FrontEnd<'static, 256, 32>,
    wakeword: FrontEnd<'static, 1024, 40>,
    /// Which of them listens.
    chosen: usize,
    detector: Detector,
    /// Samples, or scores: what JavaScript hands over.
    given: [f32; ROOM],
    frame: [f32; 40],
    words: [u32; 10],
}

/// WebAssembly without threads: there is one caller.
static mut KEPT: Kept = Kept {
    digits: digits::NEW,
    wakeword: wakeword::NEW,
    chosen: 0,
    detector: Detector::new(1.0, 1),
    given: [0.0; ROOM],
    frame: [0.0; 40],
    words: [0; 10],
};

fn kept() -> &'static mut Kept {
    let kept = &raw mut KEPT;
    // SAFETY: exported functions don't call each other, so there is one borrow at a time.
    unsafe { &mut *kept }
}

/// A front end of any size.
trait Ear {
    fn recipe(&self) -> &Recipe;
    /// Takes samples until a frame is complete: how many are left then; `None` if none is complete.
    fn push(&mut self, samples: &[f32], frame: &mut [f32]) -> Option<usize>;
    fn reset(&mut self);
}

impl<const FFT: usize, const MELS: usize> Ear for FrontEnd<'_, FFT, MELS>
where
    [f32; FFT]: RealFft,
{
    fn recipe(&self) -> &Recipe {
        FrontEnd::recipe(self)
    }

    fn push(&mut self, samples: &[f32], frame: &mut [f32]) -> Option<usize> {
        let frame = frame.first_chunk_mut::<MELS>()?;
        FrontEnd::push(self, samples, frame).map(<[f32]>::len)
    }

    fn reset(&mut self) {
        FrontEnd::reset(self);
    }
}

impl Kept {
    fn ear(&mut self) -> (&mut dyn Ear, &[f32; ROOM], &mut [f32]) {
        let ear: &mut dyn Ear = if self.chosen == 0 { &mut self.digits } else { &mut self.wakeword };
        (ear, &self.given, &mut self.frame)
    }

    fn give<const WORDS: usize>(&mut self, words: [u32; WORDS]) -> *const u32 {
        self.words.iter_mut().zip(words).for_each(|(to, from)| *to = from);
        self.words.as_ptr()
    }
}

/// Chooses the front end: 0 digits, 1 wakeword. Words: samples a second, samples of a window and of a hop, features of a
/// frame, most samples of a call.
#[unsafe(no_mangle)]
pub extern "C" fn mote_audio_open(which: usize) -> *const u32 {
    let kept = kept();
    kept.chosen = which;
    let recipe = *kept.ear().0.recipe();
    kept.give([recipe.rate, recipe.window as u32, recipe.hop as u32, recipe.mels as u32, ROOM as u32])
}

/// Where samples (or scores) are written.
#[unsafe(no_mangle)]
pub extern "C" fn mote_audio_given() -> *const f32 {
    kept().given.as_ptr()
}

/// Where a complete frame is.
#[unsafe(no_mangle)]
pub extern "C" fn mote_audio_frame() -> *const f32 {
    kept().frame.as_ptr()
}

/// Takes samples `from..to` of those given until a frame is complete: how many are left then; -1 if none is complete.
#[unsafe(no_mangle)]
pub extern "C" fn mote_audio_push(from: usize, to: usize) -> i32 {
    let (ear, given, frame) = kept().ear();
    let left = ear.push(given.get(from..to).unwrap_or(&[]), frame);
    left.map_or(-1, |left| left as i32)
}

/// Back to the start of a stream.
#[unsafe(no_mangle)]
pub extern "C" fn mote_audio_reset() {
    kept().ear().0.reset();
}

/// Begins to detect: `hold` results one after another, at least this probable.
#[unsafe(no_mangle)]
pub extern "C" fn mote_audio_detect(threshold: f32, hold: u32) {
    kept().detector = Detector::new(threshold, hold);
}

/// Takes the scores given as the result of `frame`; without scores the stream ends. Words, of a detection that ended and
/// of one that began: 1 (or 0 if there is none), class, first frame, last frame, probability (bits of an `f32`).
#[unsafe(no_mangle)]
pub extern "C" fn mote_audio_take(frame: u32, classes: usize) -> *const u32 {
    let kept = kept();
    let scores = kept.given.get(..classes).unwrap_or(&[]);
    let change = if scores.is_empty() {
        Change { ended: kept.detector.finish(), began: None }
    } else {
        kept.detector.take(frame, || scores.iter().copied())
    };
    let [a, b, c, d, e] = words(change.ended);
    let [f, g, h, i, j] = words(change.began);
    kept.give([a, b, c, d, e, f, g, h, i, j])
}

fn words(detection: Option<Detection>) -> [u32; 5] {
    detection.map_or([0; 5], |Detection { class, first, last, probability }| {
        [1, class as u32, first, last, probability.to_bits()]
    })
}
