//! Small networks with a stream of frames and what must come out: entries of `vectors.json` and `networks.json` in
//! `tests/golden/continual`.

use super::{decode, load, normal, workspace};
use mote_compiler::convert::Options;
use mote_compiler::stream::time;
use serde::Deserialize;

/// One for each operator that has a state, and how they go together.
pub fn vectors() -> Vec<Stream> {
    let mut streams: Vec<Stream> = load("continual/vectors.json");
    streams.iter_mut().for_each(|stream| stream.file = format!("tests/golden/continual/{}", stream.file));
    streams
}

/// The trained networks of `models/continual`.
pub fn networks() -> Vec<Stream> {
    load("continual/networks.json")
}

/// An entry of `vectors.json` or `networks.json`.
#[derive(Deserialize)]
pub struct Stream {
    pub name: String,
    /// In the repository.
    file: String,
    pub input: Vec<usize>,
    pub time_axis: usize,
    pub frames: usize,
    seed: u64,
    gain: Option<f32>,
    mean: Option<f32>,
    std: Option<f32>,
    compare: Option<String>,
    hop: Option<usize>,
    output_time_axis: Option<usize>,
    pub first_ready: usize,
    every: Option<usize>,
    pub count: usize,
    output: Vec<usize>,
    outputs: String,
    pub positions: Option<usize>,
}

impl Stream {
    pub fn model(&self) -> Vec<u8> {
        std::fs::read(workspace().join(&self.file)).unwrap()
    }

    /// How it is converted: over windows, or over frames.
    pub fn options(&self, by_frames: bool) -> Options {
        let transform = time::Stream { axis: Some(self.time_axis), hop: self.hop, whole: self.is_whole() };
        Options { keep_layout: true, stream: by_frames.then_some(transform), ..Options::default() }
    }

    /// Results are slices of one pass over the whole stream, not one for each window of it.
    pub fn is_whole(&self) -> bool {
        self.compare.as_deref() == Some("whole")
    }

    /// Frames of a window.
    pub fn length(&self) -> usize {
        self.input[self.time_axis]
    }

    /// Frames from result to result.
    pub fn every(&self) -> usize {
        self.every.or(self.hop).unwrap_or(1)
    }

    /// Some windows: where they start, and which of their slices along time is which result.
    pub fn windows(&self) -> Vec<(usize, Vec<(usize, usize)>)> {
        if self.is_whole() {
            let ready = (0..self.count).filter(|j| self.first_ready + j * self.every() < self.length());
            return vec![(0, ready.map(|j| (j, j)).collect())];
        }
        let hop = self.hop.unwrap_or(1);
        // The file holds the positions of the first window, which come back after all rows of the table.
        let rows = self.positions.unwrap_or(1);
        (0..self.count).filter(|k| (k * hop).is_multiple_of(rows)).map(|k| (k * hop, vec![(0, k)])).collect()
    }

    /// Slice `place` of a window's output along the output's time axis; all of it where the output has none.
    pub fn slice(&self, output: &[f32], place: usize) -> Vec<f32> {
        let axis = self.output_time_axis.unwrap_or(0);
        let outer: usize = self.output[..axis].iter().product();
        let inner: usize = self.output[axis..].iter().product();
        let length = output.len() / (outer * inner);
        (0..outer).flat_map(|o| &output[(o * length + place) * inner..][..inner]).copied().collect()
    }

    /// The frames from `start` on, as the network's input.
    pub fn window(&self, start: usize) -> Vec<f32> {
        let (length, axis) = (self.length(), self.time_axis);
        let outer: usize = self.input[..axis].iter().product();
        let inner: usize = self.input[axis + 1..].iter().product();
        let mut window = Vec::new();
        for o in 0..outer {
            for t in start..start + length {
                window.extend((0..inner).map(|i| self.element(t, outer * inner, o * inner + i)));
            }
        }
        window
    }

    /// Frame `t`.
    pub fn frame(&self, t: usize) -> Vec<f32> {
        let n = self.input.iter().product::<usize>() / self.length();
        (0..n).map(|i| self.element(t, n, i)).collect()
    }

    /// Element `i` of frame `t`, of `n` in a frame.
    fn element(&self, t: usize, n: usize, i: usize) -> f32 {
        let normal = normal(self.seed, t * n + i);
        match (self.mean, self.std) {
            (Some(mean), Some(std)) => mean + std * normal,
            _ => self.gain.unwrap() * normal,
        }
    }

    pub fn results(&self) -> Vec<f32> {
        let values = decode(&self.outputs, f32::from_le_bytes);
        assert_eq!(values.len(), self.count * self.output.iter().product::<usize>());
        values
    }
}
