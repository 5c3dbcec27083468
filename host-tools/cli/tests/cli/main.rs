//! The `mote` command as scripts use it: arguments in, files, one JSON object and an exit code out.
//!
//! * [`support`]: starts the command, keeps folders for its files, reads and writes `.npy`, makes small ONNX files.
//! * [`bundle`], [`convert`], [`run`], [`inspect`], [`stream`], [`eval`], [`family`], [`peer`], [`profile`],
//!   [`simulate`], [`sparse`]: what each command promises.
//! * [`failures`]: what is wrong with what people hand over, and what they are told.

mod bundle;
mod convert;
mod eval;
mod failures;
mod family;
mod inspect;
mod peer;
mod profile;
mod run;
mod simulate;
mod sparse;
mod stream;
mod support;
