//! Every kernel against the portable one, here on the host.

use std::ops::Range;

use mote_aarch64::kernels::AARCH64;
use mote_aarch64::kernels::pack::Neon;
use mote_conformance::{Case, Kind, cases, floats};
use mote_cortex_m::kernels::CORTEX_M;
use mote_cortex_m::kernels::mve::pack::Helium;
use mote_cortex_m::kernels::pack::Dsp;
use mote_runtime::kernels::pack::{Packer, Portable};
use mote_runtime::kernels::sparse::{Block, LEAST};
use mote_runtime::kernels::{Library, PORTABLE};
use mote_wasm::kernels::WASM;
use mote_wasm::kernels::pack::Simd128;

/// Entries of one weight.
const SINGLES: Block = Block::of(1, 1);
/// Entries of the weights of four input channels.
const FOURS: Block = Block::of(1, 4);

#[test]
fn cortex_m_dsp() {
    equal(&Dsp, &CORTEX_M, 1000..1100, |case| match case.kind {
        Kind::Sparse { block: SINGLES, .. } => true,
        Kind::Sparse { block, outputs, .. } => block == Block::of(4, 1) && outputs % 4 == 0,
        _ => true,
    });
}

#[test]
fn cortex_m_mve() {
    equal(&Helium, &CORTEX_M, 1100..1200, |case| !matches!(case.kind, Kind::Sparse { .. }));
}

/// On 64-bit Arm this takes the instructions of the core that it runs on.
#[test]
fn aarch64_neon() {
    let meant = |case: &Case| match case.kind {
        Kind::Depthwise(channels) => channels >= 8,
        Kind::Sparse { .. } => false,
        Kind::Other => true,
    };
    equal(&Neon, &AARCH64, 2000..2100, meant);
}

#[test]
fn aarch64_neon_floats() {
    alike(&Neon, &AARCH64, 2100..2200, |case| case.own && !matches!(case.kind, Kind::Sparse { .. }));
}

#[test]
fn wasm_simd128() {
    equal(&Simd128, &WASM, 3000..3100, |case| match case.kind {
        Kind::Sparse { block, strip, is_small, .. } => {
            (block == SINGLES || block == FOURS && is_small) && strip > LEAST
        }
        _ => true,
    });
}

#[test]
fn wasm_simd128_floats() {
    alike(&Simd128, &WASM, 3100..3200, |case| match case.kind {
        Kind::Depthwise(channels) => channels % 4 == 0,
        Kind::Sparse { block, strip, .. } => block == SINGLES && strip > LEAST,
        Kind::Other => false,
    });
}

/// As [`equal`], of float kernels, whose numbers may differ as another order of sums makes them.
fn alike(packer: &dyn Packer, library: &Library, kernels: Range<u16>, meant: impl Fn(&Case) -> bool) {
    let cases = floats(packer);
    for case in &cases {
        let name = &case.name;
        assert!(!meant(case) || kernels.contains(&case.kernel()), "{name}: kernel {}", case.kernel());
        let [want, found] = [case.expected(), case.found(library)].map(|bytes| {
            bytes.as_chunks().0.iter().map(|&real| f32::from_le_bytes(real)).collect::<Vec<_>>()
        });
        assert_eq!(want.len(), found.len(), "{name}");
        for (i, (want, found)) in want.iter().zip(&found).enumerate() {
            // No case has more than 640 products to a sum.
            let near = (want - found).abs() < 640.0 / (1 << 22) as f32 || want == found;
            assert!(near || want.is_nan() && found.is_nan(), "{name}: {i}: {want} {found}");
        }
    }
    for entry in library.entries.iter().filter(|entry| kernels.contains(&entry.id)) {
        assert!(cases.iter().any(|case| case.kernel() == entry.id), "no case for {}", entry.name);
    }
}

/// `kernels` are the identifiers of those that the packer chooses; it must for cases that are `meant` for it.
fn equal(packer: &dyn Packer, library: &Library, kernels: Range<u16>, meant: impl Fn(&Case) -> bool) {
    let cases = cases(packer);
    for case in &cases {
        let name = &case.name;
        assert!(
            !(case.own && meant(case)) || kernels.contains(&case.kernel()),
            "{name}: kernel {}",
            case.kernel()
        );
        let (want, found) = (case.expected(), case.found(library));
        let differ = want.iter().zip(&found).position(|(want, found)| want != found);
        assert!(want == found, "{name}: {} bytes, the first difference is at {differ:?}", want.len());
    }
    // The table takes each kernel's every rounding.
    for entry in library.entries.iter().filter(|entry| kernels.contains(&entry.id)) {
        assert!(cases.iter().any(|case| case.kernel() == entry.id), "no case for {}", entry.name);
    }
}

/// The loops of `spmm_s8_dsp` follow counts and steps without another look.
#[test]
fn entries_that_are_not_there_are_refused() {
    let cases = cases(&Dsp);
    let mut tried = 0;
    for case in cases.iter().filter(|case| (1048..=1050).contains(&case.kernel())) {
        // The first channel's count of entries, in all its bytes.
        for (at, byte) in (4..8).map(|at| (at, 0x81)) {
            assert!(case.damaged(&CORTEX_M, 1, at, byte).is_err(), "{}: count", case.name);
        }
        tried += 1;
    }
    assert!(tried > 50, "{tried}");
}

/// The suite would notice a wrong byte: inputs that differ in one give other outputs.
#[test]
fn cases_depend_on_their_inputs() {
    let constant = cases(&Portable)
        .iter()
        .filter(|case| {
            let bytes = case.found(&PORTABLE);
            bytes.len() > 16 && bytes.iter().all(|byte| *byte == bytes[0])
        })
        .count();
    assert!(constant * 3 < cases(&Portable).len(), "{constant} cases have constant outputs");
}
