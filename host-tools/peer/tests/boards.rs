//! Emulated boards with the firmware `mote-train` behind a gateway, and four Linux peers, on loopback: whatever is killed,
//! training goes on. `cargo xtask firmware train` builds the images, makes the members' data, and runs this.
//!
//! Peers are threads here, or with `--iroh` processes of `mote-peer`.

#[path = "support/emulated.rs"]
mod emulated;
#[cfg(feature = "net")]
#[path = "support/processes.rs"]
mod peers;
#[cfg(not(feature = "net"))]
#[path = "support/threads.rs"]
mod peers;
#[path = "support/world.rs"]
mod world;

use emulated::Boards;
use std::path::PathBuf;
use world::World;

#[test]
#[ignore = "needs images of the firmware: cargo xtask firmware train"]
fn training_goes_on_when_a_device_an_aggregator_and_the_gateway_are_killed() {
    let folder = PathBuf::from(std::env::var_os("MOTE_TRAIN_FOLDER").expect("MOTE_TRAIN_FOLDER"));
    #[cfg(feature = "net")]
    let peers = peers::Processes::new(&folder);
    #[cfg(not(feature = "net"))]
    let peers = peers::Threads::new();
    let mut world = World::new(&folder, world::PEERS, peers, Boards::new(&folder));
    world.trouble();
    world.outage();
    world.end(&folder);
}
