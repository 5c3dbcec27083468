//! What one end of a device's line says, whole and damaged: the other end lives, takes no message that was not sent, and
//! reads the next one.

use mote_modest::link::{Config, Event, Link, Polled};

use crate::judge::Verdict;

type End = Link<96>;

/// The message of the recording, so long that it takes some chunks.
fn message() -> Vec<u8> {
    (0..700u32).map(|i| ((i * 37) >> 3) as u8).collect()
}

/// All that the sender of a message puts on the line.
pub fn recording() -> Vec<u8> {
    let (mut sender, mut receiver) = (End::new(1, Config::DEFAULT), End::new(2, Config::DEFAULT));
    talk(&mut sender, &mut receiver, &message(), &mut [0; 1024]).0
}

/// Reads a recording.
pub fn judge(bytes: &[u8]) -> Verdict {
    let mut receiver = End::new(2, Config::DEFAULT);
    let mut room = [0; 1024];
    let mut came = 0;
    for byte in bytes {
        if let Some(Event::Received { length }) = receiver.receive(*byte, &mut room, 0) {
            assert!(room[..length] == message(), "a message that nobody sent");
            came += 1;
            receiver.release();
        }
        // Answers are bounded by what was asked.
        let polled = receiver.poll(0, &[]);
        let _ = matches!(polled, Polled::Frame(_));
    }
    assert!(came <= 1, "a message came {came} times");
    // One that sends takes the same bytes for answers.
    let mut sender = End::new(1, Config::DEFAULT);
    assert!(sender.send(&message(), 0).is_ok());
    for byte in bytes {
        let _ = sender.receive(*byte, &mut room, 0);
        let _ = sender.poll(0, &message());
    }
    let mut other = End::new(3, Config::DEFAULT);
    let next = b"a message behind the damage";
    let (_, read) = talk(&mut other, &mut receiver, next, &mut room);
    assert!(read.as_deref() == Some(next), "the end is deaf");
    match came {
        0 => Verdict::Refused("no frame, or not all of them, was whole".into()),
        _ => Verdict::Accepted { ran: true },
    }
}

/// Sends a message over a sound line; what the sender said, and what was received.
fn talk(sender: &mut End, receiver: &mut End, message: &[u8], room: &mut [u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let (mut said, mut read) = (Vec::new(), None);
    // The first byte ends whatever was cut off before.
    let mut first = vec![0];
    assert!(sender.send(message, 0).is_ok());
    for now in 0..20_000 {
        let mut bytes = std::mem::take(&mut first);
        if let Polled::Frame(frame) = sender.poll(now, message) {
            bytes.extend(frame);
        }
        for byte in &bytes {
            if let Some(Event::Received { length }) = receiver.receive(*byte, room, now) {
                // The first may be that of the recording, whose end was cut off.
                read = Some(room[..length].to_vec());
                receiver.release();
            }
        }
        said.extend(bytes);
        while let Polled::Frame(frame) = receiver.poll(now, &[]) {
            for byte in frame.collect::<Vec<_>>() {
                sender.receive(byte, &mut [], now);
            }
        }
        if !sender.sending() {
            break;
        }
    }
    (said, read)
}
