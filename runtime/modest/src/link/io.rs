//! A link on a serial port of a device: whatever `embedded-io` describes, polled.

use super::{Event, Link, Polled};
use embedded_io::{Read, ReadReady, Write};

/// Why a port could not be used any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PumpError<E> {
    Port(E),
    /// The message that was sent made no progress for too long.
    Lost,
}

impl<E> From<E> for PumpError<E> {
    fn from(error: E) -> Self {
        PumpError::Port(error)
    }
}

/// Reads what has come, without waiting for more, and writes what is due; gives the first thing that happened, and is to
/// be called again for what comes behind it. `room`: for a message that comes; `message`: the one being sent.
///
/// # Errors
/// [`PumpError`].
pub fn pump<const N: usize, P: Read + ReadReady + Write>(
    link: &mut Link<N>,
    port: &mut P,
    room: &mut [u8],
    message: &[u8],
    now: u64,
) -> Result<Option<Event>, PumpError<P::Error>> {
    loop {
        let mut event = None;
        while event.is_none() && port.read_ready()? {
            let mut byte = 0;
            if port.read(core::slice::from_mut(&mut byte))? == 0 {
                break;
            }
            event = link.receive(byte, room, now);
        }
        let mut written = false;
        // One frame, and then a look whether anything has come: small buffers of a port overflow.
        match link.poll(now, message) {
            Polled::Frame(frame) => {
                for byte in frame {
                    while port.write(&[byte])? == 0 {}
                }
                written = true;
            }
            Polled::Lost => return Err(PumpError::Lost),
            Polled::Nothing => {}
        }
        if event.is_some() || !written {
            return Ok(event);
        }
    }
}
