//! The float networks of MLPerf Tiny against LiteRT's reference kernels, at the logits and behind the softmax.

use crate::golden::{data_file, decode, difference, load, range, word};
use mote_compiler::compare::tensors;
use mote_compiler::convert::{Options, compile, import};
use mote_runtime::plan::crc32;
use serde::Deserialize;

/// Largest difference, of the range of the tensor.
const LIMIT: f32 = 1e-4;

/// The same for a file whose weights are int8: the reference rounds the activations to 8 bits too, picture by picture
/// ("dynamic range"), while a plan keeps them in f32.
const HYBRID_LIMIT: f32 = 2e-2;

/// `mlperf/<network>_f32.json`.
#[derive(Deserialize)]
struct Golden {
    model: String,
    model_crc32: u32,
    input_shape: Vec<usize>,
    seed: u64,
    lo: f32,
    hi: f32,
    count: usize,
    /// Base64, one string per sample.
    outputs: Vec<String>,
    /// What the softmax reads; some networks have none.
    logits_tensor: Option<usize>,
    #[serde(default)]
    logits: Vec<String>,
}

fn check(network: &str) {
    let golden: Golden = load(&format!("mlperf/{network}_f32.json"));
    let Some(bytes) = data_file(&format!("mlperf-tiny/{}", golden.model)) else { return };
    assert_eq!(crc32(&bytes), golden.model_crc32, "{network}: another file");
    let options = Options::default();
    let limit = if network == "kws" { HYBRID_LIMIT } else { LIMIT };
    let imported = import(&bytes, &options).unwrap();
    let name_of = |index: usize| {
        let position = imported.source_index.iter().position(|&source| source == Some(index));
        imported.graph.tensors[position.unwrap()].name.clone()
    };
    let output = imported.graph.tensor(imported.graph.outputs[0]).name.clone();
    let mut wanted = vec![(output, &golden.outputs)];
    wanted.extend(golden.logits_tensor.map(|index| (name_of(index), &golden.logits)));
    let plan = compile(imported.graph.clone(), &options).unwrap().plan;

    let len: usize = golden.input_shape.iter().product();
    let number = |index: usize| {
        let uniform = (word(golden.seed, index) >> 40) as f32 * (-24f32).exp2();
        golden.lo + (golden.hi - golden.lo) * uniform
    };
    let mut worst = vec![0.0f32; wanted.len()];
    for sample in 0..golden.count {
        let input: Vec<f32> = (0..len).map(|i| number(sample * len + i)).collect();
        let found = tensors(&plan, &input).unwrap();
        for ((name, expected), worst) in wanted.iter().zip(&mut worst) {
            let (_, own) = found.iter().find(|(found, _)| found == name).unwrap();
            let expected = decode(&expected[sample], f32::from_le_bytes);
            *worst = worst.max(difference(own, &expected) / range(&expected));
        }
    }
    for ((name, _), worst) in wanted.iter().zip(worst) {
        println!("{network} in f32: {worst:.1e} of the range of `{name}`, limit {limit:.0e}");
        assert!(worst <= limit, "{network}: `{name}`");
    }
}

macro_rules! networks {
    ($($name:ident = $network:literal;)*) => {$(
        #[test]
        fn $name() {
            check($network);
        }
    )*};
}

networks! {
    anomaly_detection = "ad";
    keyword_spotting = "kws";
    visual_wake_words = "vww";
    resnet8 = "ic_resnet8";
}
