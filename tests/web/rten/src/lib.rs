//! rten behind four functions: memory for the model's bytes, the model, its input, a run.

use rten::{Model, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

struct Network {
    model: Model,
    input: Tensor<f32>,
    output: Vec<f32>,
}

static mut NETWORK: Option<Network> = None;

/// Room for `bytes` of a model.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: usize) -> *mut u8 {
    Box::leak(vec![0; bytes].into_boxed_slice()).as_mut_ptr()
}

/// Takes the model (ONNX) that was written there. Gives where its input of `1, channels, height, width` is written; null if
/// the model is not taken.
///
/// # Safety
/// `start` and `bytes` are what `reserve` gave and took.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn load(
    start: *mut u8,
    bytes: usize,
    channels: usize,
    height: usize,
    width: usize,
) -> *mut f32 {
    // SAFETY: as the caller promises.
    let bytes = unsafe { Vec::from_raw_parts(start, bytes, bytes) };
    let Ok(model) = Model::load(bytes) else { return std::ptr::null_mut() };
    let mut input = NdTensor::zeros([1, channels, height, width]).into_dyn();
    let place = input.data_mut().map_or(std::ptr::null_mut(), |data| data.as_mut_ptr());
    // SAFETY: one thread, and no call goes on.
    unsafe { NETWORK = Some(Network { model, input, output: Vec::new() }) };
    place
}

/// Runs it: elements of the first output; 0 if it fails.
#[unsafe(no_mangle)]
pub extern "C" fn run() -> usize {
    let network = &raw mut NETWORK;
    // SAFETY: one thread, and no other call goes on.
    let Some(Network { model, input, output }) = (unsafe { (*network).as_mut() }) else { return 0 };
    let Ok(result) = model.run_one(ValueOrView::from(input.view()), None) else { return 0 };
    let Ok(result) = Tensor::<f32>::try_from(result) else { return 0 };
    *output = result.to_vec();
    output.len()
}

/// Where the output is.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const f32 {
    let network = &raw const NETWORK;
    // SAFETY: as in `run`.
    unsafe { (*network).as_ref() }.map_or(std::ptr::null(), |network| network.output.as_ptr())
}
