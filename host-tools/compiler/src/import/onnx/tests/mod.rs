//! Tests on small models built with the protocol buffer's own types, on damaged files, and on real networks if
//! the folder named by `MOTE_CACHE` holds any.

mod damage;
mod files;
mod fold;
mod model;
mod operators;
mod quantized;
mod recurrent;
mod refusals;
