//! The audio front end of streaming networks: samples in, log-mel frames out. No heap, no panic.
//!
//! * [`Recipe`]: what the features are; a plain struct of numbers.
//! * [`Built`] and [`Tables`]: window function and mel filters of a recipe, made while compiling or at start-up.
//! * [`FrontEnd`]: takes samples in slices of any length and gives a frame whenever one is complete.
//! * [`quantize`]: a frame as a network's int8 input.
//! * [`wakeword`], [`digits`]: the front ends of two networks, with their tables in flash.
//! * [`Detector`]: the network's results as detections.
//!
//! Applications, the command line and firmware call it; it knows nothing of plans. The recipe of each feature is
//!
//! ```text
//! pre-emphasis y[i] = x[i] - c x[i-1] -> window, zeros up to the FFT's size -> |FFT|^2 / window length, floor
//! -> mel filters, floor -> logarithm -> (log + offset) * scale, clipped
//! ```
//!
//! `models/continual/frontend.py` is the same in numpy and float64; `tests/golden.rs` compares the two.
//!
//! ```
//! let mut front = mote_audio::digits::NEW;
//! let (mut samples, mut frame, mut frames) = (&[0i16; 500][..], [0.0; 32], 0);
//! while let Some(rest) = front.push(samples, &mut frame) {
//!     samples = rest;
//!     frames += 1; // a frame for the network
//! }
//! assert_eq!(frames, 3); // at samples 240, 368 and 496
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod detect;
mod error;
mod fft;
mod front_end;
mod math;
mod named;
mod quantize;
mod recipe;
mod tables;

pub use detect::{Change, Detection, Detector, best};
pub use error::Error;
pub use fft::RealFft;
pub use front_end::{FrontEnd, Sample};
pub use named::{digits, wakeword};
pub use quantize::{Rounding, quantize};
pub use recipe::{Logarithm, Recipe, Window};
pub use tables::{Built, Filter, Tables};
