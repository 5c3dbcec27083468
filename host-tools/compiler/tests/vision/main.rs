//! Whole vision networks, converted from ONNX and run by the runtime, against ONNX Runtime
//! (`tests/golden/README.md`): with random weights in f32, f16 and int8 (QDQ), and EfficientNet-Lite0 with its trained
//! weights, quantized here.

#[path = "../golden/mod.rs"]
mod golden;

mod face_sparse;
mod float;
mod lite0;
mod network;
mod passes;
mod qdq;
mod rows;
