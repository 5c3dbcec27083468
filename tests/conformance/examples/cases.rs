//! `cases <FILE.json>`: the suite's plans for WebAssembly, their inputs, and what the portable kernels make of them, for the
//! npm package's tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mote_wasm::kernels::pack::Simd128;
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: cases <FILE.json>")?;
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    let exact = mote_conformance::cases(&Simd128).into_iter().map(|case| (case, true));
    let floats = mote_conformance::floats(&Simd128).into_iter().map(|case| (case, false));
    let cases: Vec<_> = exact
        .chain(floats)
        .map(|(case, exact)| {
            json!({
                "exact": exact,
                "name": case.name,
                "kernel": case.kernel(),
                "plan": encoded(&case.plan()),
                "inputs": case.inputs().map(encoded).collect::<Vec<_>>(),
                "expected": encoded(&case.expected()),
            })
        })
        .collect();
    std::fs::write(file, serde_json::to_vec(&cases)?)?;
    Ok(())
}
