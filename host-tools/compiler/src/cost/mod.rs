//! What steps cost on a device, from tables of measurements.
//!
//! One place for all who ask: `lower` takes the cheapest of a layer's kernels, `stream::choose` weighs rows against
//! memory, and the command-line tool tells latencies before anything is flashed.
//!
//! * [`work`]: what of a step its cost depends on ([`Work`]), read off a step of the compiler or off a finished plan.
//! * [`choose`]: the cheapest of the kernels that could compute a step.
//! * [`sparse`]: 1x1 convolutions with many zeros, dense and sparse, by a table of its own.
//! * [`table`]: the measured figures of a target ([`Table`]), one file each under `tables/`, and their format.
//!
//! A table gives each kernel a linear form over [`Feature`]s of its work, such as
//! `190 * calls + 22 * pairs + 1.1 * block_macs`. `cargo xtask bench cost` measures layers of many shapes, fits the forms
//! (never a negative factor, so that what is larger never costs less), and writes the files. Figures of one table may be
//! compared with each other, those of different tables may not: their unit is the table's own.

pub mod choose;
pub mod sparse;
pub mod table;
pub mod work;

pub use table::{Cost, Table, table};
pub use work::{ENGINE, Feature, Work};
