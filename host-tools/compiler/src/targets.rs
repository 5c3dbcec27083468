//! Target profiles: what a plan can be packed for, who chooses its kernels, and the library that runs it, here on the
//! host as well as there.

use mote_aarch64::kernels::{AARCH64, pack::Neon};
use mote_cortex_m::kernels::{
    CORTEX_M,
    mve::pack::{Helium, HeliumGeneral},
    pack::{Dsp, DspGeneral, Plain},
};
use mote_runtime::Plan;
use mote_runtime::kernels::pack::{Packer, Portable};
use mote_runtime::kernels::{Library, PORTABLE};
use mote_runtime::plan::target;
use mote_wasm::kernels::{WASM, pack::Simd128};

/// A kind of device.
#[derive(Clone, Copy)]
pub struct Profile {
    /// As users name it.
    pub name: &'static str,
    /// One of [`target`].
    pub code: u16,
    /// Chooses kernels.
    pub packer: &'static dyn Packer,
    /// Have other kernels for some layers; the cheapest is taken, by the measured costs of the target.
    pub others: &'static [&'static dyn Packer],
    /// All kernels that may be chosen.
    pub library: &'static Library,
}

const fn portable(name: &'static str, code: u16, packer: &'static dyn Packer) -> Profile {
    Profile { name, code, packer, others: &[], library: &PORTABLE }
}

/// A core with the DSP extension.
const fn dsp(name: &'static str, code: u16) -> Profile {
    Profile { name, code, packer: &Dsp, others: &[&DspGeneral, &Portable], library: &CORTEX_M }
}

/// An engine for WebAssembly.
const fn wasm(name: &'static str, code: u16) -> Profile {
    Profile { name, code, packer: &Simd128, others: &[], library: &WASM }
}

pub const PROFILES: &[Profile] = &[
    portable("portable", target::PORTABLE, &Portable),
    portable("cortex-m0", target::CORTEX_M0, &Plain),
    dsp("cortex-m4", target::CORTEX_M4),
    dsp("cortex-m7", target::CORTEX_M7),
    dsp("cortex-m33", target::CORTEX_M33),
    Profile {
        name: "cortex-m55",
        code: target::CORTEX_M55,
        packer: &Helium,
        others: &[&HeliumGeneral, &Dsp, &Portable],
        library: &CORTEX_M,
    },
    Profile { name: "aarch64", code: target::AARCH64, packer: &Neon, others: &[], library: &AARCH64 },
    wasm("wasm", target::WASM),
    wasm("wasm-relaxed", target::WASM_RELAXED),
];

/// The profile with this code; the portable one for a code of a newer compiler.
pub fn profile(code: u16) -> &'static Profile {
    PROFILES.iter().find(|profile| profile.code == code).unwrap_or(&PROFILES[0])
}

/// The profile with this name.
pub fn by_name(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name)
}

/// The library that runs a plan.
pub fn library(plan: &Plan<'_>) -> &'static Library {
    profile(plan.header().target).library
}
