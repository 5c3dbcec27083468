//! Devices on threads of the host: the device's side of the line as firmware has it, on a TCP port.

use crate::world::{Devices, device_secret, place};
use embedded_io::{ErrorType, Read, ReadReady, Write};
use mote_modest::device::{Device, DeviceError, Keep};
use mote_modest::link::Config;
use mote_peer::data::Data;
use mote_peer::task::Task;
use mote_runtime::train::{Network, Trainer};
use std::convert::Infallible;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes of a packet, as in `firmware/apps/train`.
const PACKET: usize = 256;

pub struct Hosted {
    task: Task,
    devices: Vec<One>,
}

struct One {
    data: Data,
    line: SocketAddr,
    /// What outlives resets.
    counter: Arc<AtomicU64>,
    life: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Hosted {
    pub fn new(task: &Task, data: Vec<Data>) -> Hosted {
        let one = |data| One { data, line: place(), counter: Arc::default(), life: None };
        Hosted { task: task.clone(), devices: data.into_iter().map(one).collect() }
    }
}

impl Devices for Hosted {
    fn count(&self) -> usize {
        self.devices.len()
    }

    fn start(&mut self, n: usize) {
        let device = &mut self.devices[n];
        let (killed, keep) = (Arc::new(AtomicBool::new(false)), Kept(Arc::clone(&device.counter)));
        let (task, data, line, end) =
            (self.task.clone(), device.data.clone(), device.line, Arc::clone(&killed));
        let thread = std::thread::spawn(move || live(n, &task, data, line, keep, &end));
        device.life = Some((killed, thread));
    }

    fn kill(&mut self, n: usize) {
        let Some((killed, thread)) = self.devices[n].life.take() else { return };
        killed.store(true, Ordering::Relaxed);
        thread.join().unwrap();
    }

    fn line(&self, n: usize) -> SocketAddr {
        self.devices[n].line
    }

    fn counter(&self, n: usize) -> u64 {
        self.devices[n].counter.load(Ordering::Relaxed)
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        (0..self.devices.len()).for_each(|n| self.kill(n));
    }
}

fn live(n: usize, task: &Task, data: Data, line: SocketAddr, keep: Kept, end: &AtomicBool) {
    let (secret, layers) = (device_secret(n), task.layers());
    let network = Network::new(&layers).unwrap();
    let mut memory = vec![0.0; network.memory(true).total().div_ceil(4)];
    let trainer = Trainer::new(network, &[], &mut memory, true).unwrap();
    let mut input = vec![0.0; network.input()];
    let mut message = vec![0; Device::<'_, Kept, PACKET>::message_bytes(network.trained()).max(1024)];
    let mut device = Device::<_, PACKET>::new::<Infallible>(
        &secret,
        keep,
        trainer,
        &mut input,
        &mut message,
        Config::DEFAULT,
    )
    .map_err(|error| format!("{error:?}"))
    .unwrap();
    let mut port = Port { listener: TcpListener::bind(line).unwrap(), stream: None, ready: None };
    port.listener.set_nonblocking(true).unwrap();
    let mut samples = &data;
    let began = Instant::now();
    while !end.load(Ordering::Relaxed) {
        match device.turn(&mut port, &mut samples, began.elapsed().as_millis() as u64) {
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(Duration::from_micros(200)),
            Err(DeviceError::Train(error)) => panic!("{error}"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[derive(Debug)]
struct Kept(Arc<AtomicU64>);

impl Keep for Kept {
    type Error = Infallible;
    fn load(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.load(Ordering::Relaxed))
    }
    fn store(&mut self, number: u64) -> Result<(), Infallible> {
        self.0.store(number, Ordering::Relaxed);
        Ok(())
    }
}

/// A serial port: what nobody listens to is lost.
struct Port {
    listener: TcpListener,
    stream: Option<TcpStream>,
    ready: Option<u8>,
}

impl ErrorType for Port {
    type Error = Infallible;
}

impl ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        if let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true).unwrap();
            self.stream = Some(stream);
        }
        let mut byte = [0];
        if self.ready.is_none()
            && let Some(stream) = &mut self.stream
        {
            match stream.read(&mut byte) {
                Ok(1..) => self.ready = Some(byte[0]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => self.stream = None,
            }
        }
        Ok(self.ready.is_some())
    }
}

impl Read for Port {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let byte = self.ready.take();
        bytes.iter_mut().zip(byte).for_each(|(to, byte)| *to = byte);
        Ok(usize::from(byte.is_some()))
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        if let Some(stream) = &mut self.stream
            && stream.write_all(bytes).is_err()
        {
            self.stream = None;
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
