//! Networks of `tests/golden/continual/published.json`.

use super::{decode, load, normal, path, skeleton};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Published {
    pub name: String,
    file: String,
    weights_crc32: u32,
    input: Vec<usize>,
    pub time_axis: usize,
    pub frames: usize,
    seed: u64,
    /// Frames at which the windows start that have results.
    pub starts: Vec<usize>,
    /// Rows of a recycling table.
    pub positions: Option<usize>,
    pub window_macs: u64,
    pub step_macs: u64,
    output: Vec<usize>,
    outputs: String,
}

impl Published {
    pub fn load(name: &str) -> Self {
        let all: Vec<Self> = load("continual/published.json");
        all.into_iter().find(|network| network.name == name).unwrap()
    }

    /// The ONNX file with its weights.
    pub fn model(&self) -> Vec<u8> {
        skeleton::fill(&path("continual").join(&self.file), self.weights_crc32)
    }

    /// Frames of a window.
    pub fn length(&self) -> usize {
        self.input[self.time_axis]
    }

    /// Frame `t` of the stream.
    pub fn frame(&self, t: usize) -> Vec<f32> {
        let n = self.input.iter().product::<usize>() / self.length();
        (0..n).map(|i| normal(self.seed, t * n + i)).collect()
    }

    /// The frames from `start` on, as the network's input.
    pub fn window(&self, start: usize) -> Vec<f32> {
        let frames: Vec<Vec<f32>> = (start..start + self.length()).map(|t| self.frame(t)).collect();
        let inner: usize = self.input[self.time_axis + 1..].iter().product();
        let outer: usize = self.input[..self.time_axis].iter().product();
        let piece = |o: usize| frames.iter().flat_map(move |frame| &frame[o * inner..][..inner]);
        (0..outer).flat_map(piece).copied().collect()
    }

    /// ONNX Runtime's results, of each start.
    pub fn results(&self) -> Vec<Vec<f32>> {
        let all = decode(&self.outputs, f32::from_le_bytes);
        let results: Vec<Vec<f32>> =
            all.chunks_exact(self.output.iter().product()).map(<[f32]>::to_vec).collect();
        assert_eq!(results.len(), self.starts.len());
        results
    }
}
