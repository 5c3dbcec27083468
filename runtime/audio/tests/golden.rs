//! The front ends against float64 numpy (`tests/golden/audio.json`), and the wakeword one against the frames that its
//! network was tested with (`../shared/data`, where present).

use std::io::{Cursor, Read};
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
    let Some(data) = shared("data") else { return };
    let mut wav = hound::WavReader::open(data.join("mlperf-tiny/sww_easy10s.wav")).unwrap();
    let channels = wav.spec().channels as usize;
    let samples: Vec<i16> = wav.samples().step_by(channels).map(Result::unwrap).collect();
    let mut npz =
        zip::ZipArchive::new(std::fs::File::open(data.join("golden/sww_int8_stream.npz")).unwrap()).unwrap();
    let mut npy = Vec::new();
    npz.by_name("frames.npy").unwrap().read_to_end(&mut npy).unwrap();
    let want: Vec<i8> = npyz::NpyFile::new(Cursor::new(npy)).unwrap().into_vec().unwrap();

    let frames = all_frames(wakeword::NEW, &samples);
    let mut got = vec![0; frames.len()];
    // The network's input scale, from sww_int8.tflite.
    quantize(&frames, 0.003_701_042_6, -128, Rounding::TowardsZero, &mut got);
    assert_eq!(got.len(), want.len());
    let different = got.iter().zip(&want).filter(|(a, b)| a != b).count();
    let worst = got.iter().zip(&want).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max().unwrap();
    println!("{different} of {} int8 values differ, by at most {worst}", want.len());
    // Truncation turns the last bit of a float into a step wherever a feature stands next to one.
    assert!(worst <= 1 && different <= 5, "{different} differ, by up to {worst}");
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
