//! Lines to devices: a serial port, or a TCP connection to one (an emulator, a terminal server). A line that breaks is
//! opened again; a device that comes later is waited for.

use crate::talk::{Heard, Talk};
use mote_modest::device::ToDevice;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_serial::SerialPortBuilderExt;

/// Where a device is: `tcp:HOST:PORT`, or a serial port as `/dev/ttyACM0`, `/dev/ttyUSB0@115200`.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Tcp(String),
    Serial { path: String, baud: u32 },
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        if let Some(address) = text.strip_prefix("tcp:") {
            return Ok(Place::Tcp(address.into()));
        }
        match text.rsplit_once('@') {
            Some((path, baud)) => {
                let baud = baud.parse().map_err(|_| format!("{baud} is no rate, such as 921600"))?;
                Ok(Place::Serial { path: path.into(), baud })
            }
            None => Ok(Place::Serial { path: text.into(), baud: 921_600 }),
        }
    }
}

/// What a line tells; `port` is its number.
#[derive(Debug)]
pub enum Said {
    Plugged {
        port: usize,
    },
    Message {
        port: usize,
        bytes: Vec<u8>,
    },
    /// An update has come with so many bytes on the line, both ways, since the one before.
    Counted {
        port: usize,
        up: u64,
        down: u64,
    },
}

const AGAIN: Duration = Duration::from_millis(300);

trait Line: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for T {}

async fn open(place: &Place) -> std::io::Result<Box<dyn Line>> {
    match place {
        Place::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Place::Serial { path, baud } => Ok(Box::new(tokio_serial::new(path, *baud).open_native_async()?)),
    }
}

/// Serves a line for ever.
pub async fn serve(
    port: usize,
    place: Place,
    largest: usize,
    mut orders: mpsc::Receiver<(ToDevice, Vec<u8>)>,
    said: mpsc::Sender<Said>,
) {
    // So that messages of this life are told from those of the one before.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut talk = Talk::new(since.as_micros() as u32, largest);
    let began = Instant::now();
    loop {
        let Ok(mut line) = open(&place).await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        if said.send(Said::Plugged { port }).await.is_err() {
            return;
        }
        while turn(&mut talk, began, &mut line, &mut orders, port, &said).await {}
        if said.is_closed() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Waits for something, and does what follows from it; `false` where the line has ended.
async fn turn(
    talk: &mut Talk,
    began: Instant,
    line: &mut Box<dyn Line>,
    orders: &mut mpsc::Receiver<(ToDevice, Vec<u8>)>,
    port: usize,
    said: &mpsc::Sender<Said>,
) -> bool {
    let now = || began.elapsed().as_millis() as u64;
    let bytes = talk.due(now());
    if !bytes.is_empty() && line.write_all(&bytes).await.is_err() {
        return false;
    }
    let wait = talk.deadline().map_or(1000, |at| at.saturating_sub(now())).clamp(1, 1000);
    let mut read = [0; 512];
    tokio::select! {
        order = orders.recv() => match order {
            Some((message, behind)) => talk.order(message, &behind),
            None => return false,
        },
        count = line.read(&mut read) => {
            let Ok(count @ 1..) = count else { return false };
            for Heard { bytes, counted } in talk.hear(&read[..count], now()) {
                if let Some((up, down)) = counted
                    && said.send(Said::Counted { port, up, down }).await.is_err()
                {
                    return false;
                }
                if said.send(Said::Message { port, bytes }).await.is_err() {
                    return false;
                }
            }
        }
        () = tokio::time::sleep(Duration::from_millis(wait)) => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        assert_eq!("tcp:[::1]:4000".parse(), Ok(Place::Tcp("[::1]:4000".into())));
        let serial = |path: &str, baud| Ok(Place::Serial { path: path.into(), baud });
        assert_eq!("/dev/ttyACM0".parse(), serial("/dev/ttyACM0", 921_600));
        assert_eq!("/dev/ttyUSB0@115200".parse(), serial("/dev/ttyUSB0", 115_200));
        assert!("/dev/ttyUSB0@fast".parse::<Place>().is_err());
    }
}
