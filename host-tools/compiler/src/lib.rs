//! Turns trained networks into plans.
//!
//! ```text
//! .onnx / .tflite --import--> Graph --passes--> Graph --quantize--> Graph --lower, schedule--> plan bytes
//! ```
//!
//! * [`graph`]: the compiler's own picture of a network: typed, channels last, named operators.
//! * [`import`]: foreign files to [`graph::Graph`]; every operator that cannot be translated is listed at once.
//! * [`passes`]: rewriting of graphs: folding, fusing, recognising, changing layout.
//! * [`prune`]: zeros for the smallest weights, on request.
//! * [`train`]: the end of a network that goes on learning on the device, cut off, on request.
//! * [`quantize`]: post-training quantization from calibration samples.
//! * [`lower`]: graph operators to kernels of a target, by the kernels' own `pack` functions.
//! * [`stream`]: regions that run slice by slice, over rows and over time.
//! * [`schedule`]: in-place choices, arena addresses.
//! * [`cost`]: what steps cost on a device, from tables of measurements.
//! * [`targets`]: profiles: who chooses kernels, and which library runs them.
//! * [`convert`]: the whole way in one call.

pub mod compare;
pub mod convert;
pub mod cost;
pub mod emit;
pub mod executor;
pub mod graph;
pub mod import;
pub mod lower;
pub mod passes;
pub mod prune;
pub mod quantize;
pub mod record;
pub mod schedule;
pub mod stream;
pub mod targets;
pub mod train;
