//! Sound for the keyword app: recordings as samples, and a generator of something that resembles speech.

use std::{
    f64::consts::TAU,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Result, bail};

use crate::workspace::target;

/// One channel of samples, and where it lies as a .wav for the host and as raw samples for the image.
pub struct Recording {
    pub wav: PathBuf,
    pub raw: PathBuf,
    pub samples: Vec<i16>,
    /// The words in it, if they are known.
    pub spoken: Vec<String>,
}

impl Recording {
    /// Takes the first channel of a 16-bit recording.
    pub fn read(path: &Path, rate: u32) -> Result<Self> {
        let context = || format!("reading {}", path.display());
        let mut wav = hound::WavReader::open(path).with_context(context)?;
        let spec = wav.spec();
        if spec.bits_per_sample != 16 || spec.sample_rate != rate {
            bail!(
                "{}: {} bits at {} Hz; the network listens to 16 bits at {rate} Hz",
                path.display(),
                spec.bits_per_sample,
                spec.sample_rate
            );
        }
        let samples = wav.samples().step_by(spec.channels.max(1).into()).collect::<Result<_, _>>();
        let name = path.file_stem().context("a recording without a name")?.to_string_lossy();
        Self::write(&name, rate, samples.with_context(context)?)
    }

    /// Its first seconds, as a recording of their own.
    pub fn start(&self, seconds: usize, rate: u32) -> Result<Self> {
        let name = self.wav.file_stem().context("a recording without a name")?.to_string_lossy();
        let length = seconds * rate as usize;
        Self::write(&format!("{name}-start"), rate, self.samples.iter().copied().take(length).collect())
    }

    /// Stores samples. Another process may read files of that name meanwhile: they are replaced as wholes.
    pub fn write(name: &str, rate: u32, samples: Vec<i16>) -> Result<Self> {
        let folder = target()?.join("sounds");
        fs::create_dir_all(&folder)?;
        let (wav, raw) = (folder.join(format!("{name}.wav")), folder.join(format!("{name}.raw")));
        let new = folder.join(format!("{name}-{}", process::id()));
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&new, spec)?;
        samples.iter().try_for_each(|&sample| writer.write_sample(sample))?;
        writer.finalize()?;
        fs::rename(&new, &wav)?;
        fs::write(&new, samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>())?;
        fs::rename(&new, &raw)?;
        Ok(Self { wav, raw, samples, spoken: Vec::new() })
    }
}

/// The ten digits, from zero to nine: a test word each of the Free Spoken Digit Dataset, by its six speakers in turn,
/// half a second of silence before each; 8 kHz. `None` where the archive is not there.
pub fn spoken_digits(archive: &Path) -> Result<Option<Vec<i16>>> {
    const SPEAKERS: [&str; 6] = ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"];
    let Ok(file) = fs::File::open(archive) else { return Ok(None) };
    let wanted: Vec<_> =
        SPEAKERS.iter().cycle().take(10).enumerate().map(|(i, name)| format!("{i}_{name}_0.wav")).collect();
    let mut words: Vec<Vec<i16>> = vec![Vec::new(); wanted.len()];
    for entry in tar::Archive::new(lzma_rust2::XzReader::new(file, true)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(at) = wanted.iter().position(|name| path.ends_with(name)) else { continue };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        words[at] = hound::WavReader::new(&bytes[..])?.into_samples().collect::<Result<_, _>>()?;
    }
    if let Some(at) = words.iter().position(Vec::is_empty) {
        bail!("{} holds no {}", archive.display(), wanted[at]);
    }
    let mut sound = Vec::new();
    for word in words {
        sound.extend([0; 4000]);
        sound.extend(word);
    }
    sound.extend([0; 8000]);
    Ok(Some(sound))
}

/// Frequencies of the first three resonances of a mouth that says a vowel, in Hz.
type Vowel = [f64; 3];

const I: Vowel = [280.0, 2250.0, 2900.0];
const E: Vowel = [520.0, 1850.0, 2500.0];
const A: Vowel = [730.0, 1100.0, 2450.0];
const O: Vowel = [480.0, 850.0, 2400.0];
const U: Vowel = [320.0, 800.0, 2250.0];
const R: Vowel = [420.0, 1300.0, 1650.0];

/// Syllables: from one vowel to another, at this pitch (Hz), with so much hiss before it.
const SYLLABLES: &[(Vowel, Vowel, f64, f64)] = &[
    (U, A, 120.0, 0.0),
    (A, I, 110.0, 0.3),
    (O, R, 140.0, 0.4),
    (I, O, 105.0, 0.5),
    (E, I, 150.0, 0.0),
    (R, I, 115.0, 0.2),
    (A, I, 130.0, 0.0),
    (I, E, 100.0, 0.6),
    (U, U, 125.0, 0.3),
];

/// What resembles speech: syllables of 0.4 s with pauses of 0.5 s between them, and a little noise. A voice is a sum of
/// harmonics of its pitch, each as strong as the resonances let it through; they glide from vowel to vowel.
pub fn babble(rate: u32) -> Vec<i16> {
    let rate = f64::from(rate);
    let length = |seconds: f64| (seconds * rate) as usize;
    let mut noise = Noise(1);
    let mut sound = vec![0.0; length(0.5)];
    for &(from, to, pitch, strength) in SYLLABLES {
        let (hiss, voice) = (length(0.12), length(0.4));
        if strength > 0.0 {
            sound.extend((0..hiss).map(|i| strength * swell(i, hiss) * noise.next()));
        }
        let mut phase = 0.0;
        sound.extend((0..voice).map(|i| {
            let at = i as f64 / voice as f64;
            let vowel: Vowel = std::array::from_fn(|k| from[k] + (to[k] - from[k]) * at);
            let pitch = pitch * (1.1 - 0.2 * at);
            phase += TAU * pitch / rate;
            let harmonics = (1..).map(f64::from).take_while(|n| n * pitch < 0.45 * rate);
            let wave: f64 = harmonics.map(|n| (n * phase).sin() * passed(n * pitch, &vowel)).sum();
            swell(i, voice) * wave
        }));
        sound.extend(vec![0.0; length(0.5)]);
    }
    sound.extend(vec![0.0; length(1.0)]);
    let sample = |x: &f64| (8000.0 * (x + 0.001 * noise.next())).round().clamp(-32768.0, 32767.0) as i16;
    sound.iter().map(sample).collect()
}

/// How much of a frequency the mouth lets through: each resonance 80 Hz wide, higher ones weaker.
fn passed(frequency: f64, vowel: &Vowel) -> f64 {
    let resonance = |(k, &centre): (usize, &f64)| {
        let off = (frequency - centre) / 80.0;
        0.6_f64.powi(k as i32) / (1.0 + off * off).sqrt()
    };
    vowel.iter().enumerate().map(resonance).sum::<f64>() * 150.0 / (150.0 + frequency)
}

/// Grows over the first fifth of a sound and fades over its last two.
fn swell(i: usize, length: usize) -> f64 {
    let at = i as f64 / length as f64;
    (at / 0.2).min((1.0 - at) / 0.4).min(1.0)
}

/// Even numbers between -1 and 1: the top bits of a linear congruential generator (Knuth's MMIX).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 23) - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn babble_is_always_the_same_and_loud_enough() {
        let samples = babble(8000);
        assert_eq!(samples, babble(8000));
        let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        assert!((4000..30_000).contains(&loudest), "{loudest}");
    }
}
