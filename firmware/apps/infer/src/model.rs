//! The only place that knows the runtime's interface.

use mote_cortex_m::mark;

use crate::app::Error;

/// A workload of known shape until the engine takes its place: a small fully connected layer.
pub struct Model {
    input: [u8; INPUTS],
    output: [u8; OUTPUTS],
}

const INPUTS: usize = 64;
const OUTPUTS: usize = 10;

impl Model {
    pub fn start() -> Result<Self, Error> {
        mark::begin_start_up();
        let model = Self { input: [0; INPUTS], output: [0; OUTPUTS] };
        mark::end_start_up();
        Ok(model)
    }

    /// The input tensor, to be filled before [`run`](Self::run).
    pub fn input(&mut self) -> &mut [u8] {
        &mut self.input
    }

    pub fn run(&mut self) {
        mark::begin_inference();
        for (row, out) in self.output.iter_mut().enumerate() {
            let mut sum = 0i32;
            for (column, &value) in self.input.iter().enumerate() {
                sum += i32::from(value as i8) * ((row * 7 + column * 3) % 17) as i32;
            }
            *out = (sum >> 8).clamp(-128, 127) as i8 as u8;
            mark::lap();
        }
        mark::end_inference();
    }

    pub fn output(&self) -> &[u8] {
        &self.output
    }
}
