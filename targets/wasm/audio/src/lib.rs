//! The audio front end for JavaScript: `mote-audio`, the crate that firmware listens with, as a module of its own, so that
//! pages without sound don't load it.
//!
//! An instance is one front end, or one detector. The order of calls: [`module::mote_audio_open`], then samples to
//! [`module::mote_audio_samples`] and [`module::mote_audio_push`] until it takes them all. Nothing is allocated.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(target_arch = "wasm32")]
mod module;
