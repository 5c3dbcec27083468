//! A clock that a host turns: for tests, in which half a minute is as long as the host says.

use embedded_hal::delay::DelayNs;
use embedded_io::{Read, Write};

/// Each wait, however long, writes a byte and ends when one comes.
pub struct Paced<P>(pub P);

impl<P: Read + Write> DelayNs for Paced<P> {
    fn delay_ns(&mut self, _: u32) {
        // A port that fails ends all waiting, which the host will notice.
        let _ = self.0.write_all(b"?").and_then(|()| self.0.flush());
        let _ = self.0.read(&mut [0]);
    }

    fn delay_ms(&mut self, _: u32) {
        self.delay_ns(0);
    }
}
