//! The front ends against float64 numpy (`tests/golden/audio.json`), and the wakeword one against the frames that its
//! network was tested with (`../shared/data`, where present).

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mote_audio::{FrontEnd, RealFft, Rounding, Sample, digits, quantize, wakeword};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    front_end: String,
    signal: String,
    samples: String,
    frames: usize,
    features: String,
}

#[derive(Deserialize)]
struct Wakeword {
    recording: String,
    channel: usize,
    samples_crc32: u32,
    input_scale: f32,
    input_zero_point: i8,
    frames: usize,
    crc32: String,
}

/// Largest difference from float64 that an f32 front end may show, in features (a feature runs from 0 to 1).
const TOLERANCE: f32 = 2e-5;

#[test]
fn equals_numpy() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/golden/audio.json")).unwrap();
    assert!(cases.len() >= 8, "{} cases", cases.len());
    for case in cases {
        let bytes = BASE64.decode(&case.samples).unwrap();
        let samples: Vec<i16> = bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        let bytes = BASE64.decode(&case.features).unwrap();
        let want: Vec<f32> =
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let got = match case.front_end.as_str() {
            "wakeword" => all_frames(wakeword::NEW, &samples),
            "digits" => all_frames(digits::NEW, &samples),
            other => panic!("front end {other}"),
        };
        assert_eq!(got.len(), want.len(), "{} {}", case.front_end, case.signal);
        assert!(case.frames > 0 && got.len() % case.frames == 0);
        let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!(
            "{} on {}: {} frames, largest difference {worst:.2e}",
            case.front_end, case.signal, case.frames
        );
        assert!(worst <= TOLERANCE, "{} on {}: {worst:e}", case.front_end, case.signal);
    }
}

#[test]
fn equals_the_wakeword_frames() {
    let golden: Wakeword =
        serde_json::from_str(include_str!("../../../tests/golden/audio_wakeword.json")).unwrap();
    let Some(data) = shared("data") else { return };
    let mut wav = hound::WavReader::open(data.join(&golden.recording)).unwrap();
    let channels = wav.spec().channels as usize;
    let samples: Vec<i16> =
        wav.samples().skip(golden.channel).step_by(channels).map(Result::unwrap).collect();
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    assert_eq!(crc32fast::hash(&bytes), golden.samples_crc32, "another recording");

    let bytes = BASE64.decode(&golden.crc32).unwrap();
    let want: Vec<u32> = bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
    let frames = all_frames(wakeword::NEW, &samples);
    let mut got = vec![0; frames.len()];
    let (scale, zero_point) = (golden.input_scale, golden.input_zero_point);
    quantize(&frames, scale, zero_point, Rounding::TowardsZero, &mut got);
    let got: Vec<u32> = got
        .chunks_exact(wakeword::RECIPE.mels)
        .map(|frame| crc32fast::hash(&frame.iter().map(|&q| q as u8).collect::<Vec<_>>()))
        .collect();
    let different: Vec<usize> = (0..want.len()).filter(|&t| got.get(t) != Some(&want[t])).collect();
    println!("{} of {} int8 frames differ", different.len(), want.len());
    assert_eq!((got.len(), want.len()), (golden.frames, golden.frames));
    assert!(different.is_empty(), "frames {different:?}");
}

/// How the samples are cut into slices changes nothing, not even in the last bit; nor does their type.
#[test]
fn slices_do_not_matter() {
    let samples: Vec<i16> = (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as i16).collect();
    let floats: Vec<f32> = samples.iter().map(|&s| f32::from(s) / 32768.0).collect();
    let want = all_frames(digits::NEW, &samples);
    assert_eq!(want.len(), 32 * ((4000 - 240) / 128 + 1));
    assert_eq!(all_frames(digits::NEW, &floats), want);
    for length in [1, 2, 7, 127, 128, 129, 240, 241, 1000] {
        let mut front = digits::NEW;
        let mut got = Vec::new();
        for slice in samples.chunks(length) {
            collect(&mut front, slice, &mut got);
        }
        assert_eq!(got, want, "slices of {length}");
    }
}

#[test]
fn reset_starts_anew() {
    let samples: Vec<i16> = (0..3000).map(|i| ((i * i) % 9001) as i16).collect();
    let want = all_frames(wakeword::NEW, &samples);
    let mut front = wakeword::NEW;
    let mut got = Vec::new();
    collect(&mut front, &samples[..1700], &mut got);
    front.reset();
    got.clear();
    collect(&mut front, &samples, &mut got);
    assert_eq!(got, want);
}

/// A hop longer than the window leaves samples out.
#[test]
fn long_hops_skip_samples() {
    let recipe = mote_audio::Recipe { hop: 1000, ..digits::RECIPE };
    let samples: Vec<i16> = (0..5240).map(|i| ((i * 7919) % 20_011 - 10_000) as i16).collect();
    let got = all_frames(FrontEnd::<256, 32>::new(&recipe, digits::TABLES.tables()).unwrap(), &samples);
    let want: Vec<f32> = (0..6).flat_map(|t| all_frames(digits::NEW, &samples[t * 1000..][..240])).collect();
    assert_eq!(got, want);
}

/// Sound that is not a number stays in its frames and becomes a number.
#[test]
fn survives_damaged_samples() {
    let mut samples = vec![0.25f32; 1000];
    samples[300] = f32::NAN;
    samples[301] = f32::INFINITY;
    let got = all_frames(digits::NEW, &samples);
    assert!(got.iter().all(|x| (0.0..=1.0).contains(x)), "{got:?}");
    let clean = all_frames(digits::NEW, &[0.25f32; 240]);
    assert_eq!(got[got.len() - 32..], clean[..], "the last frame does not hold the damaged samples");
}

fn all_frames<S: Sample, const FFT: usize, const MELS: usize>(
    mut front: FrontEnd<'_, FFT, MELS>,
    samples: &[S],
) -> Vec<f32>
where
    [f32; FFT]: RealFft,
{
    let mut frames = Vec::new();
    collect(&mut front, samples, &mut frames);
    frames
}

fn collect<S: Sample, const FFT: usize, const MELS: usize>(
    front: &mut FrontEnd<'_, FFT, MELS>,
    mut samples: &[S],
    frames: &mut Vec<f32>,
) where
    [f32; FFT]: RealFft,
{
    let mut frame = [0.0; MELS];
    while let Some(rest) = front.push(samples, &mut frame) {
        samples = rest;
        frames.extend(frame);
    }
}

fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(folder);
    if !path.is_dir() {
        println!("left out: {} is absent", path.display());
        return None;
    }
    Some(path)
}
