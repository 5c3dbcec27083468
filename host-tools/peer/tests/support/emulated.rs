//! Emulated boards with the firmware `mote-train`, their serial ports on TCP.

use crate::world::{Devices, device_secret, place};
use mote_modest::device::Keep;
use mote_modest::slots::{Slots, Words};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// An emulated board. What its memory keeps without power is in a file.
struct Board {
    name: String,
    image: PathBuf,
    job: PathBuf,
    /// Where the job belongs.
    at: String,
    kept: PathBuf,
    line: SocketAddr,
    life: Option<Child>,
}

/// Boards, told by `MOTE_TRAIN_BOARDS` as `name=image@address,..`: `address` is where the job belongs.
pub struct Boards(Vec<Board>);

impl Boards {
    pub fn new(folder: &Path) -> Boards {
        let boards = std::env::var("MOTE_TRAIN_BOARDS").expect("MOTE_TRAIN_BOARDS: name=image@address,..");
        let board = |(n, board): (usize, &str)| {
            let (name, rest) = board.split_once('=').unwrap();
            let (image, at) = rest.rsplit_once('@').unwrap();
            let job = folder.join(format!("device-{n}.job"));
            let samples = std::fs::read(folder.join(format!("device-{n}.samples"))).unwrap();
            let (count, rest) = samples.split_first_chunk::<4>().unwrap();
            let (bytes, rest) = rest.split_first_chunk::<4>().unwrap();
            std::fs::write(&job, [&b"MOTR"[..], count, bytes, &device_secret(n), rest].concat()).unwrap();
            let kept = folder.join(format!("device-{n}.memory"));
            std::fs::File::create(&kept).unwrap().set_len(KEPT).unwrap();
            let (name, image, at) = (name.to_owned(), PathBuf::from(image), at.to_owned());
            Board { name, image, job, at, kept, line: place(), life: None }
        };
        Boards(boards.split(',').enumerate().map(board).collect())
    }
}

impl Devices for Boards {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn start(&mut self, n: usize) {
        self.0[n].start();
    }
    fn kill(&mut self, n: usize) {
        self.0[n].kill();
    }
    fn line(&self, n: usize) -> SocketAddr {
        self.0[n].line
    }
    fn counter(&self, n: usize) -> u64 {
        self.0[n].counter()
    }
}

/// Bytes of the memory that is kept, and of its last part, which the firmware uses for that.
const KEPT: u64 = 16 << 20;
const LAST: u64 = 4 << 10;

impl Board {
    fn start(&mut self) {
        let mut qemu = Command::new("qemu-system-arm");
        qemu.arg("-M").arg(format!("{},memory-backend=kept", self.name));
        qemu.arg("-object").arg(format!(
            "memory-backend-file,id=kept,size={KEPT},mem-path={},share=on",
            self.kept.display()
        ));
        qemu.args(["-display", "none", "-monitor", "none", "-serial", "null", "-serial"]);
        qemu.arg(format!("tcp:{},server=on,wait=off,nodelay=on", self.line));
        qemu.args(["-semihosting-config", "enable=on,target=native"]);
        qemu.arg("-device").arg(format!("loader,file={},addr={},force-raw=on", self.job.display(), self.at));
        qemu.arg("-kernel").arg(&self.image).stdin(Stdio::null());
        self.life = Some(qemu.spawn().expect("qemu-system-arm: cargo xtask setup"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.life.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The counter that it has kept.
    fn counter(&self) -> u64 {
        struct File(Vec<u8>);
        impl Words for File {
            fn read(&self, index: usize) -> u32 {
                u32::from_le_bytes(self.0.as_chunks().0[index])
            }
            fn write(&mut self, _: usize, _: u32) {}
        }
        let memory = std::fs::read(&self.kept).unwrap();
        Slots(File(memory[(KEPT - LAST) as usize..].to_vec())).load().unwrap()
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.kill();
    }
}
