//! Frames: a packet and its CRC-32 (that of Ethernet, little-endian) in COBS (Cheshire and Baker 1999), and a zero. A
//! receiver that begins in the middle, or lost a byte, is right again at the next zero.
//!
//! Both ways are done byte by byte, so that nobody needs memory for a frame beside that for its packet; the kept crate
//! works on whole buffers, with ways to a panic.

use mote_runtime::plan::crc32;

const LONGEST_RUN: usize = 254;

/// The bytes of a frame, one by one.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    packet: &'a [u8],
    crc: [u8; 4],
    /// Bytes of packet and CRC that are done.
    done: usize,
    /// Bytes of the run that are still to come.
    run: usize,
    /// Has the run taken a zero's place?
    zero: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Code,
    Run,
    End,
    Over,
}

impl<'a> Frame<'a> {
    pub fn new(packet: &'a [u8]) -> Frame<'a> {
        let crc = crc32(packet).to_le_bytes();
        Frame { packet, crc, done: 0, run: 0, zero: false, stage: Stage::Code }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        let behind = at.checked_sub(self.packet.len());
        behind.map_or_else(|| self.packet.get(at), |at| self.crc.get(at)).copied()
    }
}

impl Iterator for Frame<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        match self.stage {
            Stage::Code => {
                let bytes = (self.done..).map_while(|at| self.byte(at));
                self.run = bytes.take(LONGEST_RUN).take_while(|byte| *byte != 0).count();
                self.zero = self.run < LONGEST_RUN && self.byte(self.done + self.run).is_some();
                let code = self.run as u8 + 1;
                self.run_done();
                Some(code)
            }
            Stage::Run => {
                let byte = self.byte(self.done);
                (self.done, self.run) = (self.done + 1, self.run.saturating_sub(1));
                self.run_done();
                byte
            }
            Stage::End => {
                self.stage = Stage::Over;
                Some(0)
            }
            Stage::Over => None,
        }
    }
}

impl Frame<'_> {
    fn run_done(&mut self) {
        self.stage = Stage::Run;
        if self.run > 0 {
            return;
        }
        // A zero that ends a run stands behind it, also the last: then an empty run follows.
        self.done += usize::from(self.zero);
        let more = self.zero || self.byte(self.done).is_some();
        self.stage = if more { Stage::Code } else { Stage::End };
    }
}

/// Reads frames of packets of at most `N` bytes.
#[derive(Clone, Debug)]
pub struct Decoder<const N: usize> {
    packet: [u8; N],
    /// Bytes that have come, with the CRC, which is not kept with the packet.
    len: usize,
    /// The last four bytes, which may be the CRC.
    last: [u8; 4],
    /// Bytes of the run that are still to come.
    run: u8,
    /// A zero stands behind the run, if anything does.
    zero: bool,
    begun: bool,
    bad: bool,
}

impl<const N: usize> Default for Decoder<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Decoder<N> {
    pub const fn new() -> Decoder<N> {
        Decoder { packet: [0; N], len: 0, last: [0; 4], run: 0, zero: false, begun: false, bad: false }
    }

    /// Takes a byte; gives the packet of a frame that is whole with it. Frames that are damaged, or longer than `N`, are
    /// left out.
    pub fn push(&mut self, byte: u8) -> Option<&[u8]> {
        if byte == 0 {
            let sound = self.begun && !self.bad && self.run == 0;
            let len = self.len.checked_sub(4).filter(|_| sound);
            let crc = u32::from_le_bytes(self.last);
            self.restart();
            let packet = self.packet.get(..len?)?;
            return (crc32(packet) == crc).then_some(packet);
        }
        if self.run > 0 {
            self.run -= 1;
            self.put(byte);
        } else {
            if self.begun && self.zero {
                self.put(0);
            }
            (self.begun, self.run, self.zero) = (true, byte - 1, byte <= LONGEST_RUN as u8);
        }
        None
    }

    fn restart(&mut self) {
        (self.len, self.run, self.zero, self.begun, self.bad) = (0, 0, false, false, false);
    }

    fn put(&mut self, byte: u8) {
        // Four bytes behind, since the last four are none of the packet.
        let [oldest, b, c, d] = self.last;
        if let Some(at) = self.len.checked_sub(4) {
            match self.packet.get_mut(at) {
                Some(to) => *to = oldest,
                None => self.bad = true,
            }
        }
        (self.last, self.len) = ([b, c, d, byte], self.len.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mote_runtime::random::Random;

    fn decoded<const N: usize>(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::<N>::new();
        bytes.iter().filter_map(|byte| decoder.push(*byte).map(<[u8]>::to_vec)).collect()
    }

    /// COBS itself, on the examples of its paper and of runs as long as they get; the CRC is taken off.
    #[test]
    fn frames_are_cobs() {
        for (packet, code) in [
            (vec![], vec![]),
            (vec![0], vec![1]),
            (vec![0x11, 0x22, 0, 0x33], vec![3, 0x11, 0x22]),
            ((1..=254).collect::<Vec<u8>>(), [vec![255], (1..=254).collect()].concat()),
        ] {
            let frame: Vec<u8> = Frame::new(&packet).collect();
            assert!(frame.starts_with(&code), "{frame:x?}");
            let (last, front) = frame.split_last().unwrap();
            assert!(*last == 0 && !front.contains(&0), "{frame:x?}");
            assert_eq!(decoded::<300>(&frame), [packet]);
        }
    }

    #[test]
    fn every_packet_comes_back_and_costs_little() {
        let mut random = Random::new(4);
        for length in (0..600).chain([1020, 1021]) {
            // Few zeros, many, or none.
            let zeros = random.below(4);
            let packet: Vec<u8> =
                (0..length).map(|_| if random.below(4) < zeros { 0 } else { random.bits() as u8 }).collect();
            let frame: Vec<u8> = Frame::new(&packet).collect();
            assert!(frame.len() <= length + 4 + (length + 4) / 254 + 2, "{length}: {}", frame.len());
            assert_eq!(decoded::<1021>(&frame), [packet]);
        }
    }

    #[test]
    fn a_damaged_frame_is_lost_and_the_next_is_read() {
        let (first, next): (Vec<u8>, _) = ((0..200).collect(), vec![7u8, 0, 9]);
        let sound: Vec<u8> = Frame::new(&first).collect();
        let behind: Vec<u8> = Frame::new(&next).collect();
        for at in 0..sound.len() - 1 {
            for damage in [1u8, 0x80, 0xff] {
                let mut frame = sound.clone();
                frame[at] ^= damage;
                frame.extend_from_slice(&behind);
                assert_eq!(decoded::<200>(&frame).last(), Some(&next), "byte {at}");
                assert!(!decoded::<200>(&frame).contains(&first));
            }
            assert_eq!(
                decoded::<200>(&[&sound[at + 1..], &behind].concat()).last(),
                Some(&next),
                "from {at}"
            );
        }
        assert_eq!(decoded::<199>(&[sound, behind].concat()), [next], "too long for this receiver");
    }
}
