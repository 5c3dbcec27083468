//! Reading of golden files: a small JSON reader, base64, the random numbers of `tests/golden/README.md`.
//!
//! Written out here so that these tests add no dependency, and with it no feature, to the build of the large crates.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

/// Root of the repository.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `shared/data` beside the repository, if it is there.
pub fn shared_data() -> Option<PathBuf> {
    let candidates = ["../shared/data", "../../shared/data"].map(|path| workspace().join(path));
    let named = std::env::var_os("MOTE_DATA").map(PathBuf::from);
    named.into_iter().chain(candidates).find(|path| path.is_dir())
}

/// Word `index` of stream `seed`.
pub fn word(seed: u64, index: usize) -> u64 {
    let z = seed.wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `normal` of the README.
pub fn normal(seed: u64, index: usize) -> f32 {
    let w = word(seed, index);
    let sum = (0..4).map(|lane| (w >> (16 * lane)) & 0xffff).sum::<u64>() as i32;
    (sum - 131_070) as f32 * f32::from_bits(0x37dd_b3d7)
}

pub fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => u32::from(c - b'A'),
        b'a'..=b'z' => u32::from(c - b'a') + 26,
        b'0'..=b'9' => u32::from(c - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u32> = text.bytes().filter(|&c| c != b'=').map(value).collect();
    digits
        .chunks(4)
        .flat_map(|chunk| {
            let bits = chunk.iter().fold(0, |bits, d| bits << 6 | d) << (6 * (4 - chunk.len()));
            bits.to_be_bytes()[1..chunk.len()].to_vec()
        })
        .collect()
}

/// A value of a JSON file.
#[derive(Clone, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &str) -> Json {
        let mut rest = text.trim_start();
        value(&mut rest)
    }

    pub fn get(&self, key: &str) -> &Json {
        match self {
            Json::Object(fields) => fields.iter().find(|(k, _)| k == key).map_or(&Json::Null, |(_, v)| v),
            _ => &Json::Null,
        }
    }

    pub fn items(&self) -> &[Json] {
        if let Json::List(items) = self { items } else { &[] }
    }

    pub fn number(&self) -> f64 {
        if let Json::Number(n) = self { *n } else { panic!("not a number: {self:?}") }
    }

    pub fn text(&self) -> &str {
        if let Json::Text(t) = self { t } else { panic!("not a text: {self:?}") }
    }

    pub fn base64_u32(&self) -> Vec<u32> {
        base64(self.text()).chunks_exact(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect()
    }

    pub fn base64_f32(&self) -> Vec<f32> {
        base64(self.text()).chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()
    }
}

fn take(rest: &mut &str, count: usize) {
    *rest = rest[count..].trim_start();
}

fn value(rest: &mut &str) -> Json {
    match rest.as_bytes()[0] {
        b'{' => {
            take(rest, 1);
            let mut fields = Vec::new();
            while !rest.starts_with('}') {
                let Json::Text(key) = value(rest) else { panic!("key expected") };
                take(rest, 1);
                fields.push((key, value(rest)));
                if rest.starts_with(',') {
                    take(rest, 1);
                }
            }
            take(rest, 1);
            Json::Object(fields)
        }
        b'[' => {
            take(rest, 1);
            let mut items = Vec::new();
            while !rest.starts_with(']') {
                items.push(value(rest));
                if rest.starts_with(',') {
                    take(rest, 1);
                }
            }
            take(rest, 1);
            Json::List(items)
        }
        b'"' => {
            let bytes = rest.as_bytes();
            let mut end = 1;
            while bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            let text = rest[1..end].replace("\\\"", "\"").replace("\\/", "/").replace("\\\\", "\\");
            take(rest, end + 1);
            Json::Text(text)
        }
        _ => {
            let end = rest.find([',', ']', '}', '\n', ' ']).unwrap_or(rest.len());
            let word = rest[..end].to_string();
            take(rest, end);
            match word.as_str() {
                "null" => Json::Null,
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                number => Json::Number(number.parse().unwrap_or_else(|_| panic!("`{number}`"))),
            }
        }
    }
}
