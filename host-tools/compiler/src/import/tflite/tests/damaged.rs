//! Damaged files: an error or a result each time, no panic, in bounded time.

use super::super::import;
use super::built;
use super::shared_data;
use std::time::{Duration, Instant};

/// xorshift64*: repeatable, and good enough to hit everything.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

fn damage(file: &[u8], tries: usize, random: &mut Random) -> (usize, usize) {
    let started = Instant::now();
    let (mut read, mut refused) = (0, 0);
    for _ in 0..tries {
        if started.elapsed() > Duration::from_secs(10) {
            break;
        }
        let mut bytes = file.to_vec();
        match random.below(8) {
            0 => bytes.truncate(random.below(file.len())),
            1 => {
                let from = random.below(file.len());
                bytes.drain(from..(from + 1 + random.below(64)).min(file.len()));
            }
            _ => {
                for _ in 0..=random.below(4) {
                    // Most of a real file is weights; its tables stand at the ends.
                    let place = match random.below(3) {
                        0 => random.below(file.len()),
                        1 => random.below(file.len().min(4096)),
                        _ => file.len() - 1 - random.below(file.len().min(16384)),
                    };
                    let extremes = [0, 1, 0x7f, 0x80, 0xff];
                    bytes[place] = match random.below(3) {
                        0 => random.next() as u8,
                        1 => extremes[random.below(extremes.len())],
                        _ => bytes[place] ^ (1 << random.below(8)),
                    };
                }
            }
        }
        let one = Instant::now();
        match import(&bytes) {
            Ok(imported) => {
                imported.graph.validate().unwrap();
                read += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
        assert!(one.elapsed() < Duration::from_secs(3), "one import took {:?}", one.elapsed());
    }
    (read, refused)
}

#[test]
fn damaged_files_never_panic() {
    let mut random = Random(0x5EED);
    for (name, file) in built::all() {
        let (read, refused) = damage(&file, 4000, &mut random);
        println!("{name}: {read} read, {refused} refused");
        assert!(read > 0 && refused > 0, "{name}");
    }
    for name in ["ad_int8", "kws_int8", "kws_f32", "sww_int8", "ic_resnet8_int8", "vww_int8"] {
        let Some(file) = shared_data(&format!("mlperf-tiny/{name}.tflite")) else { continue };
        let (read, refused) = damage(&file, 3000, &mut random);
        println!("{name}: {read} read, {refused} refused");
        assert!(read > 0 && refused > 0, "{name}");
    }
}

#[test]
fn empty_and_foreign_files_are_malformed() {
    for bytes in [&b""[..], b"TFL3", b"\x08\0\0\0TFL3", b"not a model at all, but long enough", &[0xff; 4096]]
    {
        assert!(matches!(import(bytes), Err(crate::import::ImportError::Malformed { .. })));
    }
}
