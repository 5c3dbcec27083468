//! Recordings as frames of features.

use crate::failure::Failure;
use crate::files::read;
use clap::ValueEnum;
use mote_audio::{Rounding, digits, quantize, wakeword};
use std::path::Path;

/// A front end by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FrontEnd {
    /// 40 log-mel values of 16 kHz sound every 32 ms: the MLPerf Tiny streaming wakeword
    Wakeword,
    /// 32 log-mel values of 8 kHz sound every 16 ms: the spoken digits of `models/continual`
    Digits,
}

/// When frames are complete.
#[derive(Clone, Copy, Debug)]
pub struct Seconds {
    first: f64,
    hop: f64,
}

impl Seconds {
    /// Of frames that come every so many microseconds; `None` if that is 0.
    pub fn of_frames(micros: u32) -> Option<Self> {
        let hop = f64::from(micros) / 1e6;
        (micros > 0).then_some(Self { first: hop, hop })
    }

    /// End of frame `index`, in seconds of the recording.
    pub fn at(&self, index: u32) -> f64 {
        self.first + self.hop * f64::from(index)
    }
}

/// The features of a recording.
pub struct Sound {
    pub frames: Vec<Vec<f32>>,
    pub seconds: Seconds,
    rounding: Rounding,
}

impl Sound {
    /// Frames as int8 codes, rounded as the front end's network was trained.
    pub fn codes(&self, scale: f32, zero_point: i8) -> Vec<Vec<u8>> {
        let code = |frame: &Vec<f32>| {
            let mut codes = vec![0i8; frame.len()];
            quantize(frame, scale, zero_point, self.rounding, &mut codes);
            codes.into_iter().map(|code| code as u8).collect()
        };
        self.frames.iter().map(code).collect()
    }
}

/// Reads a recording of any number of channels (the first counts) and makes its frames of `values` numbers.
pub fn load(path: &Path, named: Option<FrontEnd>, values: usize) -> Result<Sound, Failure> {
    let failure = |reason: String, help: &str| Failure::input(path, reason, help);
    let bytes = read(path)?;
    let wav = |error: hound::Error| failure(error.to_string(), "16-bit PCM recordings (.wav) can be read");
    let mut reader = hound::WavReader::new(&bytes[..]).map_err(wav)?;
    let spec = reader.spec();
    if spec.sample_format != hound::SampleFormat::Int || spec.bits_per_sample != 16 {
        let message = format!("samples of {} bits", spec.bits_per_sample);
        return Err(failure(message, "convert the recording to 16-bit PCM"));
    }
    let samples: Result<Vec<i16>, _> = reader.samples().step_by(spec.channels.max(1).into()).collect();
    let samples = samples.map_err(wav)?;
    let front_end = match (named, spec.sample_rate, values) {
        (Some(front_end), ..) => front_end,
        (None, 16_000, 40) => FrontEnd::Wakeword,
        (None, 8_000, 32) => FrontEnd::Digits,
        (None, rate, _) => {
            let message = format!("no front end makes frames of {values} numbers from sound at {rate} Hz");
            return Err(failure(message, "resample the recording, or give the frames as .npy"));
        }
    };
    let (recipe, frames, rounding) = match front_end {
        FrontEnd::Wakeword => (wakeword::RECIPE, collect(wakeword::NEW, &samples), Rounding::TowardsZero),
        FrontEnd::Digits => (digits::RECIPE, collect(digits::NEW, &samples), Rounding::Nearest),
    };
    if recipe.rate != spec.sample_rate || recipe.mels != values {
        let message = format!(
            "the front end makes {} numbers from {} Hz; the recording has {} Hz, the plan's frames {values} numbers",
            recipe.mels, recipe.rate, spec.sample_rate
        );
        return Err(failure(message, "choose another front end (--features), or resample the recording"));
    }
    let rate = f64::from(spec.sample_rate);
    let seconds = Seconds { first: recipe.window as f64 / rate, hop: recipe.hop as f64 / rate };
    Ok(Sound { frames, seconds, rounding })
}

fn collect<const FFT: usize, const MELS: usize>(
    mut front: mote_audio::FrontEnd<'_, FFT, MELS>,
    samples: &[i16],
) -> Vec<Vec<f32>>
where
    [f32; FFT]: mote_audio::RealFft,
{
    let (mut rest, mut frame, mut frames) = (samples, [0.0; MELS], Vec::new());
    while let Some(left) = front.push(rest, &mut frame) {
        frames.push(frame.to_vec());
        rest = left;
    }
    frames
}
