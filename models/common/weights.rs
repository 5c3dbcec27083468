//! Where the numbers of a network come from: a seed, a file, or nowhere.

use super::{Parameter, Role};
use half::{bf16, f16};
use mote_runtime::random::word;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashSet;
use std::fmt;

/// Where parameters get their values.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Nowhere: the graph has shapes only.
    Shapes,
    /// The values that training starts from, by a seed. Kernels are normal with variance `2 / fan_in` (He et al. 2015,
    /// arXiv 1502.01852), matrices with deviation 0.02; norms do nothing; layer scales are 1e-5.
    Seeded(u64),
    /// A file.
    Checkpoint(&'a Checkpoint<'a>),
}

/// A `.safetensors` file. Its numbers may be f32, f16 or bf16.
#[derive(Debug)]
pub struct Checkpoint<'a>(SafeTensors<'a>);

impl<'a> Checkpoint<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        SafeTensors::deserialize(bytes).map(Self).map_err(|error| WeightsError::Malformed(error.to_string()))
    }

    /// Classes of the classifier that the file holds.
    pub fn classes(&self) -> Option<usize> {
        let bias = ["classifier.bias", "head.bias"].iter().find_map(|name| self.0.tensor(name).ok())?;
        bias.shape().first().copied().filter(|&classes| classes > 0)
    }
}

/// A `.safetensors` file of what training starts from, as [`Weights::Seeded`] has it, which timm loads: counters of batches
/// are in it, too.
pub fn seeded_file(parameters: &[Parameter], seed: u64) -> Vec<u8> {
    let tensors: Vec<(&Parameter, Vec<u8>)> = parameters
        .iter()
        .filter(|parameter| parameter.role != Role::Beside || parameter.shape.is_empty())
        .map(|parameter| match parameter.role {
            Role::Beside => (parameter, 0i64.to_le_bytes().to_vec()),
            _ => (parameter, initial(seed, parameter).iter().flat_map(|x| x.to_le_bytes()).collect()),
        })
        .collect();
    let views = tensors.iter().filter_map(|(parameter, bytes)| {
        let dtype = if parameter.role == Role::Beside { Dtype::I64 } else { Dtype::F32 };
        Some((&parameter.name, TensorView::new(dtype, parameter.shape.clone(), bytes).ok()?))
    });
    safetensors::serialize(views, None).unwrap_or_default()
}

/// Why weights do not fit a network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    #[error("not a readable safetensors file: {0}")]
    Malformed(String),
    /// All that is wrong, in the order of the network; tensors that nothing reads come last.
    #[error("{} tensor(s) do not fit:\n{}", .0.len(), .0.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
}

/// One tensor that does not fit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    Missing {
        name: String,
        shape: Vec<usize>,
    },
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    Type {
        name: String,
        found: String,
    },
    NotFinite {
        name: String,
        index: usize,
        value: f32,
    },
    /// The network has no such tensor.
    Extra {
        name: String,
        shape: Vec<usize>,
    },
}

impl Fault {
    /// Name of the tensor.
    pub fn name(&self) -> &str {
        match self {
            Fault::Missing { name, .. }
            | Fault::Shape { name, .. }
            | Fault::Type { name, .. }
            | Fault::NotFinite { name, .. }
            | Fault::Extra { name, .. } => name,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing { name, shape } => write!(f, "{name}: missing; its shape is {shape:?}"),
            Fault::Shape { name, expected, found } => {
                write!(f, "{name}: its shape is {found:?}, the network needs {expected:?}")
            }
            Fault::Type { name, found } => {
                write!(f, "{name}: its type is {found}; F32, F16 and BF16 are read")
            }
            Fault::NotFinite { name, index, value } => write!(f, "{name}: element {index} is {value}"),
            Fault::Extra { name, shape } => write!(f, "{name} {shape:?}: the network has no such tensor"),
        }
    }
}

/// [`Weights`] at work: gives each parameter its values and collects what is wrong.
pub(crate) struct Source<'a> {
    weights: Weights<'a>,
    asked: HashSet<String>,
    faults: Vec<Fault>,
}

impl<'a> Source<'a> {
    pub fn new(weights: Weights<'a>) -> Self {
        Self { weights, asked: HashSet::new(), faults: Vec::new() }
    }

    /// Values in PyTorch's order; zeros where a fault was found, so that all others are found, too.
    pub fn values(&mut self, parameter: &Parameter) -> Option<Vec<f32>> {
        match self.weights {
            Weights::Shapes => None,
            Weights::Seeded(seed) => Some(initial(seed, parameter)),
            Weights::Checkpoint(checkpoint) => {
                self.asked.insert(parameter.name.clone());
                Some(read(&checkpoint.0, parameter).unwrap_or_else(|fault| {
                    self.faults.push(fault);
                    vec![0.0; parameter.len()]
                }))
            }
        }
    }

    /// The file may hold this, or not.
    pub fn pass_over(&mut self, parameter: &Parameter) {
        self.asked.insert(parameter.name.clone());
    }

    pub fn finish(mut self) -> Result<(), WeightsError> {
        if let Weights::Checkpoint(checkpoint) = self.weights {
            let unread = checkpoint.0.tensors().into_iter().filter(|(name, _)| !self.asked.contains(name));
            let mut unread: Vec<Fault> =
                unread.map(|(name, view)| Fault::Extra { name, shape: view.shape().to_vec() }).collect();
            unread.sort_by(|a, b| a.name().cmp(b.name()));
            self.faults.extend(unread);
        }
        if self.faults.is_empty() { Ok(()) } else { Err(WeightsError::Faults(self.faults)) }
    }
}

fn read(file: &SafeTensors<'_>, parameter: &Parameter) -> Result<Vec<f32>, Fault> {
    let name = || parameter.name.clone();
    let missing = |_| Fault::Missing { name: name(), shape: parameter.shape.clone() };
    let view = file.tensor(&parameter.name).map_err(missing)?;
    if view.shape() != parameter.shape {
        let (expected, found) = (parameter.shape.clone(), view.shape().to_vec());
        return Err(Fault::Shape { name: name(), expected, found });
    }
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => view.data().as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect(),
        Dtype::F16 => view.data().as_chunks().0.iter().map(|&x| f16::from_le_bytes(x).to_f32()).collect(),
        Dtype::BF16 => view.data().as_chunks().0.iter().map(|&x| bf16::from_le_bytes(x).to_f32()).collect(),
        other => return Err(Fault::Type { name: name(), found: format!("{other:?}") }),
    };
    match values.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(Fault::NotFinite { name: name(), index, value: values[index] }),
        None => Ok(values),
    }
}

/// What training starts from.
fn initial(seed: u64, parameter: &Parameter) -> Vec<f32> {
    let normal = |deviation: f32| {
        let stream = stream(seed, &parameter.name);
        (0..parameter.len() as u64).map(|i| deviation * self::normal(stream, i)).collect()
    };
    match parameter.role {
        Role::Kernel { fan_in } => normal((2.0 / fan_in.max(1) as f32).sqrt()),
        Role::Matrix => normal(0.02),
        Role::NormScale | Role::RunningVariance => vec![1.0; parameter.len()],
        Role::LayerScale => vec![1e-5; parameter.len()],
        Role::Bias | Role::NormShift | Role::RunningMean | Role::AttentionBias | Role::Beside => {
            vec![0.0; parameter.len()]
        }
    }
}

/// Stream of a tensor: FNV-1a of its name, moved by the seed. Depends on nothing else, so another network with a tensor of
/// this name has the same numbers there.
fn stream(seed: u64, name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    word(seed, hash)
}

/// Roughly normal, mean 0, variance 1: the sum of a word's four lanes, whose variance is `(2^32 - 1) / 3`.
fn normal(stream: u64, index: u64) -> f32 {
    let word = word(stream, index);
    let sum: u64 = (0..4).map(|lane| word >> (16 * lane) & 0xffff).sum();
    (sum as f32 - 131_070.0) / 37_837.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_kernels_have_their_deviation() {
        let parameter = |name: &str| Parameter {
            name: name.into(),
            shape: vec![64, 32, 3, 3],
            role: Role::Kernel { fan_in: 288 },
        };
        let values = initial(7, &parameter("a.weight"));
        let count = values.len() as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / count;
        assert!(mean.abs() < 0.002 && (variance * 288.0 / 2.0 - 1.0).abs() < 0.05, "{mean} {variance}");
        assert_eq!(values, initial(7, &parameter("a.weight")));
        assert_ne!(values, initial(7, &parameter("b.weight")));
        assert_ne!(values, initial(8, &parameter("a.weight")));
    }
}
