//! Embeds the plan that `MOTE_PLAN` names: made by `mote convert --stream` from `models/continual/fridge`.

use std::error::Error;

#[path = "../image.rs"]
mod image;

fn main() -> Result<(), Box<dyn Error>> {
    image::prepare("cargo xtask firmware sensor").map(drop)
}
