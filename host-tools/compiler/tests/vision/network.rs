//! Networks whose weights are recipes of random numbers (`tests/golden/vision/*.onnx.gz`), and their golden files.

use crate::golden::{decode, load, path, word};
use flate2::read::GzDecoder;
use mote_runtime::plan::crc32;
use prost::Message;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

/// A golden file, as far as both kinds of networks have the same fields.
#[derive(Deserialize)]
pub struct Golden {
    weights_crc32: u32,
    input_shape: Vec<usize>,
    input_seeds: Vec<u64>,
    #[serde(default)]
    input_sums: Vec<f64>,
    logits: Vec<String>,
}

impl Golden {
    pub fn load(model: &str) -> Self {
        load(&format!("vision/{model}.json"))
    }

    /// The pictures, channels last, each with ONNX Runtime's logits for it.
    pub fn samples(&self) -> Vec<(Vec<f32>, Vec<f32>)> {
        let [_, c, h, w] = self.input_shape[..] else { panic!("{:?}", self.input_shape) };
        let samples = self.input_seeds.iter().zip(&self.logits).enumerate();
        let sample = |(i, (&seed, logits)): (usize, (&u64, &String))| {
            let picture = picture(seed, [c, h, w]);
            if let Some(told) = self.input_sums.get(i) {
                let sum: f64 = picture.iter().map(|&x| f64::from(x)).sum();
                assert!(
                    (sum - told).abs() < 1e-6 * told.abs().max(1.0),
                    "picture {i}: sum {sum}, not {told}"
                );
            }
            (picture, decode(logits, f32::from_le_bytes))
        };
        samples.map(sample).collect()
    }

    /// The network as an ONNX file with all its weights.
    pub fn network(&self, model: &str) -> Vec<u8> {
        let mut raw = Vec::new();
        let file = File::open(path(&format!("vision/{model}.onnx.gz"))).unwrap();
        GzDecoder::new(file).read_to_end(&mut raw).unwrap();
        let mut model = ModelProto::decode(&raw[..]).unwrap();
        let entries = std::mem::take(&mut model.metadata_props);
        let recipes: HashMap<&str, Recipe> =
            entries.iter().filter_map(|e| Recipe::parse(&e.key, &e.value)).collect();
        let graph = model.graph.as_mut().unwrap();
        let mut filled = Vec::new();
        for index in 0..graph.initializer.len() {
            let Some(recipe) = recipes.get(graph.initializer[index].name.as_str()) else { continue };
            let data = recipe.data(graph, &graph.initializer[index]);
            filled.extend_from_slice(&data);
            graph.initializer[index].raw_data = data;
        }
        assert_eq!(crc32(&filled), self.weights_crc32, "the weights were made differently");
        model.encode_to_vec()
    }
}

/// How a tensor's data are made.
struct Recipe<'a> {
    seed: u64,
    mean: f32,
    std: f32,
    quant: Option<QuantRecipe<'a>>,
}

/// The same for quantized data: the axis of the scales (-1: one scale), the initializers that hold them.
struct QuantRecipe<'a> {
    axis: i32,
    scale: &'a str,
    zero_point: &'a str,
}

impl<'a> Recipe<'a> {
    /// Name of the initializer and its recipe.
    fn parse(key: &'a str, value: &'a str) -> Option<(&'a str, Self)> {
        let (kind, name) = key.split_once(':')?;
        let fields: Vec<&str> = value.split(' ').collect();
        let quant = match (kind, &fields[..]) {
            ("seed", [_, _, _]) => None,
            ("quant", &[_, _, _, axis, scale, zero_point]) => {
                Some(QuantRecipe { axis: axis.parse().unwrap(), scale, zero_point })
            }
            _ => return None,
        };
        let number = |i: usize| fields[i].parse::<f32>().unwrap();
        Some((name, Self { seed: fields[0].parse().unwrap(), mean: number(1), std: number(2), quant }))
    }

    /// Little-endian bytes of the tensor's elements.
    fn data(&self, graph: &GraphProto, tensor: &TensorProto) -> Vec<u8> {
        let dims: Vec<usize> = tensor.dims.iter().map(|&n| n as usize).collect();
        let reals = (0..dims.iter().product()).map(|i| self.mean + self.std * normal(self.seed, i));
        let Some(QuantRecipe { axis, scale, zero_point }) = self.quant else {
            return reals.flat_map(f32::to_le_bytes).collect();
        };
        let find = |name: &str| graph.initializer.iter().find(|t| t.name == name).unwrap();
        let scales = floats(find(scale));
        let (zero_points, low, high) = zero_points(find(zero_point));
        let (channels, inner) = match usize::try_from(axis) {
            Ok(axis) => (dims[axis], dims[axis + 1..].iter().product()),
            Err(_) => (1, 1),
        };
        let code = |(i, x): (usize, f32)| {
            let k = i / inner % channels;
            ((x / scales[k]).round_ties_even() as i32 + zero_points[k]).clamp(low, high) as u8
        };
        reals.enumerate().map(code).collect()
    }
}

fn floats(tensor: &TensorProto) -> Vec<f32> {
    match &tensor.float_data[..] {
        [] => tensor.raw_data.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect(),
        data => data.to_vec(),
    }
}

/// Zero points, and the limits of their type.
fn zero_points(tensor: &TensorProto) -> (Vec<i32>, i32, i32) {
    const UINT8: i32 = 2;
    let signed = tensor.data_type != UINT8;
    let code = |&byte: &u8| if signed { i32::from(byte as i8) } else { i32::from(byte) };
    let codes = match &tensor.int32_data[..] {
        [] => tensor.raw_data.iter().map(code).collect(),
        data => data.to_vec(),
    };
    if signed { (codes, -128, 127) } else { (codes, 0, 255) }
}

/// Number `index` of stream `seed`, roughly normal: mean 0, variance 1.
fn normal(seed: u64, index: usize) -> f32 {
    let word = word(seed, index);
    let sum: u64 = (0..4).map(|lane| word >> (16 * lane) & 0xffff).sum();
    (sum as i32 - 131_070) as f32 * f32::from_bits(0x37dd_b3d7)
}

/// A random picture with structure at three sizes, channels last.
fn picture(seed: u64, [c, h, w]: [usize; 3]) -> Vec<f32> {
    let (blocks_high, blocks_wide) = (h.div_ceil(32), w.div_ceil(32));
    let pixel = |y: usize, x: usize, channel: usize| {
        let block = (channel * blocks_high + y / 32) * blocks_wide + x / 32;
        (0.5 * normal(seed, channel) + normal(seed + (1 << 32), block))
            + 0.25 * normal(seed + (2 << 32), (channel * h + y) * w + x)
    };
    (0..h * w * c).map(|i| pixel(i / c / w, i / c % w, i % c)).collect()
}

#[test]
fn normal_numbers_have_their_bits() {
    let bits: Vec<u32> = (0..6).map(|i| normal(42, i).to_bits()).collect();
    assert_eq!(bits, [0xbf44_9833, 0x3f98_080c, 0xbf89_a84e, 0x3e98_5a52, 0xc013_f39f, 0x3e89_c77b]);
    let scaled: Vec<u32> = (0..6).map(|i| (0.5 + 0.1 * normal(42, i)).to_bits()).collect();
    assert_eq!(scaled, [0x3ed8_ae5c, 0x3f1e_6802, 0x3ec8_efe1, 0x3f07_9e1e, 0x3e89_a380, 0x3f06_e393]);
}
