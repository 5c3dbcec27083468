//! Networks whose weights are recipes of random numbers (`*.onnx.gz`, see `tests/golden/README.md`).

use super::normal;
use flate2::read::GzDecoder;
use mote_runtime::plan::crc32;
use prost::Message;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

/// The network as an ONNX file with all its weights, whose CRC-32 must be this.
pub fn fill(skeleton: &Path, weights_crc32: u32) -> Vec<u8> {
    let mut raw = Vec::new();
    GzDecoder::new(File::open(skeleton).unwrap()).read_to_end(&mut raw).unwrap();
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
    assert_eq!(crc32(&filled), weights_crc32, "the weights were made differently");
    model.encode_to_vec()
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
