//! Spoken digits: the networks of `models/continual` on the official test split of the Free Spoken Digit Dataset, float
//! beside int8, window by window. Says so and passes where `../shared/data/fsdd` is absent.

use mote_audio::digits;
use mote_compiler::convert::{Options, Precision, convert};
use mote_compiler::executor::Executor;
use mote_compiler::quantize::Calibration;
use std::io::{Cursor, Read};

// Its other readers are for other tests.
#[allow(dead_code)]
mod golden;

const FRAMES: usize = 64;
const MELS: usize = 32;

/// A word in the middle of a window, as the network takes it (`[mels, frames]`), and its digit.
type Word = (Vec<f32>, usize);

/// What a step costs, beside a window.
#[test]
fn steps_save_work() {
    // At most this part of a window's multiply-accumulates.
    for (name, part) in [("digits_conv", 40), ("digits_transformer", 12)] {
        let stream = golden::streams::networks().into_iter().find(|stream| stream.name == name).unwrap();
        let macs = |by_frames| -> u64 {
            let converted = convert(&stream.model(), &stream.options(by_frames)).unwrap();
            converted.steps.iter().map(|step| step.macs).sum()
        };
        let (window, step) = (macs(false), macs(true));
        println!(
            "{name}: {window} multiply-accumulates a window, {step} a step (1/{:.1})",
            window as f64 / step as f64
        );
        assert!(step * part <= window);
    }
}

#[test]
fn official_split() {
    let Some((test, train)) = words() else {
        eprintln!("skipped: ../shared/data/fsdd/fsdd-wav.tar.xz is not there");
        return;
    };
    assert_eq!(test.len(), 300);
    // Least float accuracy, and what int8 may lose, in percent.
    for (name, least, loss) in [("digits_conv", 98.0, 0.5), ("digits_transformer", 95.0, 1.0)] {
        let file = golden::workspace().join(format!("models/continual/{name}/{name}.onnx"));
        let model = std::fs::read(file).unwrap();
        let samples = train.iter().map(|(window, _)| vec![window.clone()]).collect();
        let calibration = Some(Calibration::new(samples));
        let accuracy = |precision| {
            let calibration = calibration.clone();
            let options = Options { keep_layout: true, precision, calibration, ..Options::default() };
            let converted = convert(&model, &options).unwrap();
            let mut network = Executor::new(&converted.plan).unwrap();
            let right = test.iter().filter(|(window, digit)| {
                let logits = network.run_reals(&[window]).unwrap().remove(0);
                let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
                best == Some(*digit)
            });
            100.0 * right.count() as f64 / test.len() as f64
        };
        let (float, int8) = (accuracy(Precision::F32), accuracy(Precision::Int8));
        println!("{name}: {float:.2} % float, {int8:.2} % int8 ({} words to calibrate)", train.len());
        assert!(float >= least && int8 >= float - loss, "{name}: {float} {int8}");
    }
}

/// Takes 0 to 4 of each speaker and digit are the test; of the others some are for calibration.
fn words() -> Option<(Vec<Word>, Vec<Word>)> {
    let path = golden::workspace().join("../shared/data/fsdd/fsdd-wav.tar.xz");
    let archive = std::fs::File::open(path).ok()?;
    let mut archive = tar::Archive::new(lzma_rust2::XzReader::new(archive, true));
    let (mut test, mut train) = (Vec::new(), Vec::new());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(name) = name.and_then(|name| Some(name.strip_suffix(".wav")?.to_string())) else { continue };
        let parts: Vec<&str> = name.split('_').collect();
        let &[digit, _, take] = &parts[..] else { continue };
        let (Ok(digit), Ok(take)) = (digit.parse::<usize>(), take.parse::<usize>()) else { continue };
        if take >= 5 && take % 10 != 7 {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let list = if take < 5 { &mut test } else { &mut train };
        list.push((window(&bytes), digit));
    }
    Some((test, train))
}

/// Features of a window with the recording in its middle.
fn window(wav: &[u8]) -> Vec<f32> {
    let mut recording = hound::WavReader::new(Cursor::new(wav)).unwrap();
    assert_eq!((recording.spec().sample_rate, recording.spec().channels), (8000, 1));
    let word: Vec<i16> = recording.samples::<i16>().map(Result::unwrap).collect();
    let length = digits::RECIPE.samples(FRAMES);
    let start = (length as isize - word.len() as isize).div_euclid(2);
    let at = |i: isize| usize::try_from(i - start).ok().and_then(|i| word.get(i)).copied().unwrap_or(0);
    let samples: Vec<i16> = (0..length as isize).map(at).collect();

    let mut front_end = digits::NEW;
    let (mut rest, mut frame) = (&samples[..], [0f32; MELS]);
    let mut features = vec![0f32; MELS * FRAMES];
    for t in 0..FRAMES {
        rest = front_end.push(rest, &mut frame).unwrap_or_else(|| panic!("no frame {t}"));
        frame.iter().enumerate().for_each(|(mel, &x)| features[mel * FRAMES + t] = x);
    }
    features
}
