//! Two devices behind a gateway, and four other peers, each a process of `mote-peer`; three of them join by a ticket what
//! is under way. Devices are threads that speak the device's side of the line over TCP.
#![cfg(feature = "net")]

#[path = "support/hosted.rs"]
mod hosted;
#[path = "support/npy.rs"]
mod npy;
#[path = "support/processes.rs"]
mod processes;
#[path = "support/world.rs"]
mod world;

use hosted::Hosted;
use mote_peer::data::Data;
use mote_runtime::random::Random;
use processes::Processes;
use world::{PEERS, World, task};

/// Clouds around class centres; each member's own.
fn samples(member: u64, count: usize) -> (Vec<f32>, Vec<i64>) {
    let mut random = Random::new(member);
    let classes: Vec<i64> = (0..count).map(|_| i64::from(random.below(10))).collect();
    let inputs = classes.iter().flat_map(|class| {
        let noise: Vec<f32> = (0..64).map(|_| random.unit() - 0.5).collect();
        noise.into_iter().enumerate().map(|(i, noise)| noise + f32::from(u8::from(i as i64 % 10 == *class)))
    });
    (inputs.collect(), classes)
}

#[test]
fn training_goes_on_when_processes_and_devices_are_killed() {
    let folder = std::env::temp_dir().join(format!("mote-peer-devices-{}", std::process::id()));
    for (name, member) in (0..PEERS).map(|n| (format!("peer-{n}"), n as u64)).chain([("test".into(), 99)]) {
        let (inputs, classes) = samples(member, 50);
        npy::write(&folder.join(name), &inputs, &classes);
    }
    let device = |n: u64| {
        let (inputs, classes) = samples(50 + n, 20);
        Data::new(&task(), inputs, classes.iter().map(|class| *class as usize).collect()).unwrap()
    };
    let devices = Hosted::new(&task(), vec![device(0), device(1)]);
    let mut world = World::new(&folder, 1, Processes::new(&folder), devices);
    world.trouble();
    world.outage();
    world.end(&folder);
    let _ = std::fs::remove_dir_all(folder);
}
