//! Seeded damage: bits, bytes, numbers at their extremes, cuts, splices.

use mote_runtime::plan::{CRC_FROM, Header, SectionRecord, crc32, section};

use crate::corpus::{Entry, Kind};

/// Splitmix64: any seed is a good one.
pub struct Random(u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0 .. bound`; 0 if the bound is.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound as u64).max(1)) as usize
    }
}

/// Case number `case` of a file. The same arguments give the same bytes on every machine.
pub fn mutate(entry: &Entry, seed: u64, case: u64) -> Vec<u8> {
    let mut random = Random(seed ^ case.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut bytes = entry.bytes.clone();
    let places = places(entry);
    for _ in 0..1 + random.below(4) {
        damage(&mut bytes, &places, &mut random);
    }
    // Behind a wrong CRC nothing else would ever be looked at.
    if entry.kind == Kind::Plan && random.below(8) > 0 {
        repair(&mut bytes, &mut random);
    }
    bytes
}

/// The ranges worth damaging: tables rather than weights.
fn places(entry: &Entry) -> Vec<(usize, usize)> {
    let len = entry.bytes.len();
    let mut places = vec![(0, len)];
    match entry.kind {
        Kind::Plan => {
            let sections = Header::read(&entry.bytes, 0).map_or(0, |header| header.sections.into());
            places.push((0, Header::SIZE + sections * SectionRecord::SIZE));
            for i in 0..sections {
                let record = SectionRecord::read(&entry.bytes, Header::SIZE + i * SectionRecord::SIZE);
                if let Some(record) = record.filter(|record| record.kind < section::CORE as u16) {
                    places.push((record.offset as usize, record.bytes as usize));
                }
            }
        }
        // The tables of a flatbuffer stand at its ends.
        Kind::Tflite => places.extend([(0, len.min(4096)), (len.saturating_sub(16384), len.min(16384))]),
        Kind::Onnx => places.push((0, len.min(4096))),
        Kind::Line => {}
    }
    places
}

fn damage(bytes: &mut Vec<u8>, places: &[(usize, usize)], random: &mut Random) {
    let (from, len) = places[random.below(places.len())];
    let at = (from + random.below(len)).min(bytes.len().saturating_sub(1));
    if bytes.is_empty() {
        return;
    }
    match random.below(16) {
        0 => bytes.truncate(at),
        1 => {
            bytes.drain(at..(at + 1 + random.below(64)).min(bytes.len()));
        }
        2 => {
            // A piece of the file somewhere else in it, over what was there or between.
            let (start, size) = (random.below(bytes.len()), 1 + random.below(64));
            let piece = bytes[start..(start + size).min(bytes.len())].to_vec();
            let end = if random.below(2) == 0 { at } else { (at + piece.len()).min(bytes.len()) };
            bytes.splice(at..end, piece);
        }
        // A length or value in the notation of protocol buffers.
        3 => {
            let value = [0, 1, u64::MAX, i64::MAX as u64, 1 << 31, u32::MAX.into()][random.below(6)];
            let end = (at + random.below(3)).min(bytes.len());
            bytes.splice(at..end, varint(value));
        }
        4..=6 => bytes[at] ^= 1 << random.below(8),
        7 => bytes[at] = random.next() as u8,
        8 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        _ => {
            // A number as fixed-width formats have them.
            let width = [1, 2, 4, 4][random.below(4)];
            let at = at - (at - from.min(at)) % width;
            let Some(field) = bytes.get_mut(at..at + width) else { return };
            let mut word = [0; 8];
            word[..width].copy_from_slice(field);
            let new = number(u64::from_le_bytes(word), 8 * width as u32, random);
            field.copy_from_slice(&new.to_le_bytes()[..width]);
        }
    }
}

/// Another number of so many bits: an extreme, a neighbour, or a multiple.
fn number(old: u64, bits: u32, random: &mut Random) -> u64 {
    let top = 1u64 << (bits - 1);
    match random.below(12) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => top,
        4 => top - 1,
        5 => old.wrapping_add(1),
        6 => old.wrapping_sub(1),
        7 => old.wrapping_mul(2),
        8 => old / 2,
        9 => old ^ top,
        10 => old.wrapping_neg(),
        _ => random.next() >> random.below(64),
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Makes the CRC right again, and mostly the length.
fn repair(bytes: &mut [u8], random: &mut Random) {
    let len = (bytes.len() as u32).to_le_bytes();
    if random.below(4) > 0
        && let Some(field) = bytes.get_mut(16..20)
    {
        field.copy_from_slice(&len);
    }
    if let Some(body) = bytes.get(CRC_FROM..) {
        let crc = crc32(body).to_le_bytes();
        if let Some(field) = bytes.get_mut(12..16) {
            field.copy_from_slice(&crc);
        }
    }
}
