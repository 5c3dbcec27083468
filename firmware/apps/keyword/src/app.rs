//! The app proper. It knows the embedded-hal and embedded-io traits, and nothing of any board.

use embedded_hal::digital::OutputPin;
use embedded_io::Read;
use mote_audio::{Change, Detection, Detector};
use mote_cortex_m::mark;
use mote_runtime::Progress;

use crate::{
    log,
    model::{self, Model},
    sound::{self, Front, HOLD, HOP, MELS, THRESHOLD, milliseconds},
};

/// Why the app gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "log", derive(defmt::Format))]
pub enum Error {
    /// The engine refused.
    Model(mote_runtime::Error),
    /// The model was started before: its memory is taken.
    Taken,
    /// The network's frames have another length or type than the front end's.
    Frames { needed: usize },
    /// The source of sound failed.
    Sound,
    /// The light cannot be switched.
    Light,
    /// The console does not take the results.
    #[cfg(feature = "results")]
    Console,
}

impl From<mote_runtime::Error> for Error {
    fn from(error: mote_runtime::Error) -> Self {
        Self::Model(error)
    }
}

/// Listens until the sound ends. `light` is on while a keyword lasts; `each` gets the bytes of every result.
pub fn run(
    sound: &mut impl Read,
    light: &mut impl OutputPin,
    mut each: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut model = Model::start()?;
    log::info!("arena: {=usize} bytes, state: {=usize} bytes", model::ARENA_BYTES, model::STATE_BYTES);
    fft_alone();
    let mut front = sound::NEW;
    let mut detector = Detector::new(THRESHOLD, HOLD);
    let mut samples = [0; HOP];
    let mut frame = 0;
    loop {
        let count = sound::read(sound, &mut samples).map_err(|_| Error::Sound)?;
        let heard = samples.get(..count).unwrap_or_default();
        if heard.is_empty() {
            break;
        }
        mark::begin_section();
        let complete = listen(&mut front, heard, &mut model);
        mark::end_section();
        if !complete {
            continue;
        }
        if model.step()? == Progress::Ready {
            let result = model.output()?;
            each(result.bytes())?;
            tell(detector.take(frame, || result.reals()), &model, light)?;
        }
        frame += 1;
    }
    tell(Change { ended: detector.finish(), began: None }, &model, light)?;
    log::info!("{=u32} frames, {=u32} ms", frame, frame.checked_sub(1).map_or(0, milliseconds));
    Ok(())
}

/// Hands samples of at most a hop to the front end; whether they completed a frame, which the model then has.
fn listen(front: &mut Front, samples: &[i16], model: &mut Model) -> bool {
    let (mut rest, mut complete) = (samples, false);
    let mut features = [0.0; MELS];
    while let Some(left) = front.push(rest, &mut features) {
        model.write(&features);
        complete = true;
        rest = left;
    }
    complete
}

fn tell(change: Change, model: &Model, light: &mut impl OutputPin) -> Result<(), Error> {
    let known = |detection: &Detection| !sound::IGNORED.contains(&model.label(detection.class));
    if let Some(Detection { class, first, last, probability }) = change.ended.filter(known) {
        light.set_low().map_err(|_| Error::Light)?;
        let (from, to) = (milliseconds(first), milliseconds(last));
        log::info!(
            "{=str}: {=u32} ms to {=u32} ms, probability {=f32}",
            model.label(class),
            from,
            to,
            probability
        );
        let _ = (class, from, to, probability); // without a log the light must do
    }
    if let Some(Detection { class, last, probability, .. }) = change.began.filter(known) {
        light.set_high().map_err(|_| Error::Light)?;
        let at = milliseconds(last);
        log::info!("heard {=str} at {=u32} ms, probability {=f32}", model.label(class), at, probability);
        let _ = (class, at, probability);
    }
    Ok(())
}

/// How much of the front end is the FFT.
fn fft_alone() {
    #[cfg(feature = "fft-alone")]
    {
        let mut samples = core::hint::black_box([0.0f32; sound::RECIPE.fft]);
        mark::begin_section();
        core::hint::black_box(mote_audio::RealFft::transform(&mut samples));
        mark::end_section();
    }
}
