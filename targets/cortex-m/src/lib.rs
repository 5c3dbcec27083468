//! What Mote knows about ARM Cortex-M: [`mark`] (markers that the emulator's instruction counter
//! sees), and, as they are written, the kernels that use the DSP extension (M4, M7, M33) and
//! Helium (M55). Every kernel here equals its portable counterpart in `mote-runtime` bit for bit.
//!
//! May be called by firmware. The crate compiles for every architecture, so that an app can be
//! checked on the host; what needs Arm instructions does nothing elsewhere.
#![no_std]

pub mod mark;
