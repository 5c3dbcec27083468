//! The MLPerf Tiny networks, converted from `.tflite`, against LiteRT's reference kernels: every tensor that an
//! operator writes, for 200 random inputs and the recorded ones, in every byte (`tests/golden/README.md`).
//!
//! The golden files hold CRC-32s of the reference's tensors; a plan's tensors are found by their names. The networks
//! lie beside the repository; without them the tests say so and end.

use mote_compiler::convert::{Converted, Options, convert};
use mote_compiler::executor::{AlignedBytes, Executor};
use mote_compiler::record::Recorder;
use mote_compiler::stream::Rows;
use mote_runtime::Plan;
use mote_runtime::plan::crc32;
use std::collections::HashMap;

#[path = "../golden/mod.rs"]
mod golden;
#[path = "../pictures/mod.rs"]
mod pictures;

mod cifar;
mod files;
mod float;
mod wakeword;
use files::{Golden, Set, words};
use golden::data_file;

/// Bytes of arena that are allowed with whole tensors (the largest sum alive at once) and by rows.
const ARENA_LIMITS: [(&str, &str, usize, usize); 5] = [
    ("ad", "ad_int8", 768, 768),
    ("kws", "kws_int8", 16_000, 6_000),
    ("sww", "sww_int8", 6_656, 4_800),
    ("vww", "vww_int8", 55_296, 20_000),
    ("ic_resnet8", "ic_resnet8_int8", 49_152, 13_500),
];

fn converted(model: &str, rows: Rows) -> Option<Converted> {
    let bytes = data_file(&format!("mlperf-tiny/{model}.tflite"))?;
    let options = Options { rows, ..Options::default() };
    Some(convert(&bytes, &options).unwrap_or_else(|e| panic!("{model}: {e}")))
}

/// Compares one set of inputs; gives the number of tensors compared.
fn compare(
    name: &str,
    plan: &[u8],
    golden: &Golden,
    set: &Set,
    inputs: impl Iterator<Item = Vec<u8>>,
) -> usize {
    let aligned = AlignedBytes::from_slice(plan);
    let view = Plan::parse(aligned.as_ref()).unwrap();
    let mut executor = Executor::new(plan).unwrap();
    let tensors = &golden.tensors;
    let expected = words(&set.crc32);
    let input_crcs = words(&set.input_crc32);
    let mut compared = 0;
    for (sample, input) in inputs.enumerate().take(input_crcs.len()) {
        assert_eq!(crc32(&input), input_crcs[sample], "{name}: input {sample} was made differently");
        let mut recorder = Recorder::new(&view);
        executor.run_observed(&[&input], &mut recorder).unwrap();
        let named = |(index, bytes): (u16, &[u8])| (view.tensor_name(index.into()).to_string(), crc32(bytes));
        let found: HashMap<String, u32> = recorder.tensors().map(named).collect();
        for (index, tensor) in tensors.iter().enumerate() {
            let Some(&found) = found.get(&tensor.name) else { continue };
            let wanted = expected[sample * tensors.len() + index];
            assert_eq!(found, wanted, "{name}, sample {sample}: tensor `{}`", tensor.name);
            compared += 1;
        }
    }
    compared
}

fn check(short: &str, model: &str, rows: Rows, arena_limit: usize) {
    let Some(converted) = converted(model, rows) else { return };
    let golden = Golden::load(short);
    let arena = converted.schedule.arena;
    println!("{short}, rows {rows:?}: arena {arena} bytes, limit {arena_limit}");
    assert!(arena <= arena_limit, "{short}: arena of {arena} bytes");
    let len: usize = golden.input_shape.iter().product();
    for set in &golden.sets {
        let name = set.name.as_str();
        let count = set.count;
        let inputs: Vec<Vec<u8>> = match name {
            "random" => {
                let seed = set.seed.unwrap();
                (0..count)
                    .map(|s| (0..len).map(|i| (golden::word(seed, s * len + i) >> 56) as u8).collect())
                    .collect()
            }
            "ad_normal_id_01" => recorded_ad(&golden),
            "sww_stream" => recorded_sww(),
            "photos" => photos(),
            other => panic!("{short}: a set `{other}` that nobody makes"),
        };
        assert_eq!(inputs.len(), count, "{short} {name}");
        let compared = compare(short, &converted.plan, &golden, set, inputs.into_iter());
        let tensors = golden.tensors.len();
        println!(
            "{short} {name}: {count} samples, {compared} tensors equal ({} of {tensors} each)",
            compared / count
        );
        assert!(
            compared / count + 2 >= tensors,
            "{short}: only {} of {tensors} tensors compared",
            compared / count
        );
    }
}

/// 196 windows of five frames of 128 log-mel values.
fn recorded_ad(golden: &Golden) -> Vec<Vec<u8>> {
    let bytes = data_file("mlperf-tiny/ad_normal_id_01.bin").unwrap();
    let values: Vec<f32> = bytes.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
    let scale = golden.input_scale;
    let zero = golden.input_zero_point as f32;
    let code = |x: f32| ((x / scale).round_ties_even() + zero).clamp(-128.0, 127.0) as i8 as u8;
    (0..196).map(|i| values[i * 128..i * 128 + 640].iter().map(|&x| code(x)).collect()).collect()
}

/// 282 windows of 30 frames of 40 features, from a recording that was streamed.
fn recorded_sww() -> Vec<Vec<u8>> {
    let archive = data_file("golden/sww_int8_stream.npz").unwrap();
    let frames: Vec<i8> =
        npyz::NpyFile::new(stored(&archive, "frames.npy").unwrap()).unwrap().into_vec().unwrap();
    (0..282).map(|i| frames[i * 40..][..30 * 40].iter().map(|&x| x as u8).collect()).collect()
}

/// What follows the local header of a file that a zip archive holds uncompressed.
fn stored<'a>(archive: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let at = archive.windows(name.len()).position(|bytes| bytes == name.as_bytes())?;
    let header = archive.get(at.checked_sub(30)?..at)?;
    let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let (method, name_len, extra) = (word(8), usize::from(word(26)), usize::from(word(28)));
    let sound = header.starts_with(b"PK\x03\x04") && method == 0 && name_len == name.len();
    sound.then(|| archive.get(at + name_len + extra..)).flatten()
}

fn photos() -> Vec<Vec<u8>> {
    let pixels = std::fs::read(golden::path("mlperf/vww_photos.bin")).unwrap();
    pixels.chunks_exact(96 * 96 * 3).map(|p| p.iter().map(|&x| x.wrapping_sub(128)).collect()).collect()
}

macro_rules! networks {
    ($($name:ident = $index:literal;)*) => {$(
        #[test]
        fn $name() {
            let (short, model, whole, by_rows) = ARENA_LIMITS[$index];
            check(short, model, Rows::Off, whole);
            check(short, model, Rows::Auto, by_rows);
        }
    )*};
}

networks! {
    anomaly_detection = 0;
    keyword_spotting = 1;
    streaming_wakeword = 2;
    visual_wake_words = 3;
    resnet8 = 4;
}

/// Damaged plans: a clear error, or (with the CRC mended) at least no crash and no hang.
#[test]
fn damaged_plans() {
    let path = golden::workspace().join("models/cifar10/cifar10_small.onnx");
    let plan = convert(&std::fs::read(path).unwrap(), &Options::default()).unwrap().plan;
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut next = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as usize % bound
    };
    // The tables are a small part of the file: aim at them.
    let tables = plan.len() - Plan::parse(AlignedBytes::from_slice(&plan).as_ref()).unwrap().weights().len();
    let mut accepted = 0;
    for round in 0..2_000 {
        let mut damaged = plan.clone();
        for _ in 0..1 + next(3) {
            let at = next(tables.min(damaged.len()));
            damaged[at] = if next(2) == 0 { next(256) as u8 } else { damaged[at] ^ (1 << next(8)) };
        }
        if damaged == plan {
            continue;
        }
        assert!(Executor::new(&damaged).is_err(), "round {round}: damage went unnoticed");
        let crc = crc32(&damaged[16..]).to_le_bytes();
        damaged[12..16].copy_from_slice(&crc);
        // A sound frame around senseless tables: whatever is accepted must run.
        if accepted < 40
            && let Ok(mut executor) = Executor::new(&damaged)
        {
            accepted += 1;
            let _ = executor.with(|engine| engine.run());
        }
    }
    println!("{accepted} of the mended plans were accepted and ran");
}
