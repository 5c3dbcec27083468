//! Lines that lose, damage, double and reorder frames, and ends that are reset.

use mote_modest::link::{CHUNK_OVERHEAD, Config, Event, Link, LinkError, Polled};
use mote_runtime::random::Random;

/// What a line does to frames; of 1000 each.
#[derive(Clone, Copy, Default)]
struct Faults {
    lost: u32,
    damaged: u32,
    doubled: u32,
    late: u32,
}

/// A frame underway: when it comes, to which end.
type Underway = (u64, usize, Vec<u8>);

struct End<const N: usize> {
    link: Link<N>,
    room: Vec<u8>,
    message: Vec<u8>,
    events: Vec<Event>,
}

impl<const N: usize> End<N> {
    fn new(session: u32, config: Config) -> Self {
        End { link: Link::new(session, config), room: vec![0; 8192], message: Vec::new(), events: Vec::new() }
    }

    fn send(&mut self, message: &[u8], now: u64) {
        self.message = message.to_vec();
        self.link.send(message, now).unwrap();
    }

    fn received(&mut self) -> Option<Vec<u8>> {
        let at = self.events.iter().position(|event| matches!(event, Event::Received { .. }))?;
        let Event::Received { length } = self.events.remove(at) else { return None };
        let message = self.room[..length].to_vec();
        self.link.release();
        Some(message)
    }
}

struct Line<const N: usize, const M: usize> {
    a: End<N>,
    b: End<M>,
    faults: Faults,
    random: Random,
    now: u64,
    underway: Vec<Underway>,
    /// Bytes that came, at either end.
    bytes: [usize; 2],
    lost: bool,
}

impl<const N: usize, const M: usize> Line<N, M> {
    fn new(faults: Faults, config: Config) -> Self {
        let (a, b) = (End::new(1, config), End::new(1, config));
        let (random, underway) = (Random::new(7), Vec::new());
        Line { a, b, faults, random, now: 0, underway, bytes: [0; 2], lost: false }
    }

    fn put(&mut self, to: usize, mut frame: Vec<u8>) {
        let mut happens = |permille| self.random.below(1000) < permille;
        let Faults { lost, damaged, doubled, late } = self.faults;
        if happens(lost) {
            return;
        }
        let (hit, double, delay) = (happens(damaged), happens(doubled), if happens(late) { 7 } else { 1 });
        if hit {
            let at = self.random.below(frame.len() as u32) as usize;
            frame[at] ^= 1 << self.random.below(8);
        }
        if double {
            self.underway.push((self.now + 3, to, frame.clone()));
        }
        self.underway.push((self.now + delay, to, frame));
    }

    /// A millisecond.
    fn step(&mut self) {
        let now = self.now;
        let frames = |frames: &mut Vec<Vec<u8>>, polled: Polled<'_>| match polled {
            Polled::Frame(frame) => {
                frames.push(frame.collect());
                Some(true)
            }
            Polled::Lost => None,
            Polled::Nothing => Some(false),
        };
        let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
        while frames(&mut to_b, self.a.link.poll(now, &self.a.message)).unwrap_or_else(|| {
            self.lost = true;
            false
        }) {}
        while frames(&mut to_a, self.b.link.poll(now, &self.b.message)).unwrap() {}
        to_a.into_iter().for_each(|frame| self.put(0, frame));
        to_b.into_iter().for_each(|frame| self.put(1, frame));
        self.now += 1;
        let now = self.now;
        let (come, rest) = std::mem::take(&mut self.underway).into_iter().partition(|(at, ..)| *at <= now);
        self.underway = rest;
        let mut come: Vec<Underway> = come;
        come.sort_by_key(|(at, ..)| *at);
        for (_, to, frame) in come {
            self.bytes[to] += frame.len();
            for byte in frame {
                let event = match to {
                    0 => self.a.link.receive(byte, &mut self.a.room, now).map(|e| self.a.events.push(e)),
                    _ => self.b.link.receive(byte, &mut self.b.room, now).map(|e| self.b.events.push(e)),
                };
                let _ = event;
            }
        }
    }

    /// Until the other end has a message, which it then releases.
    fn until_received(&mut self) -> Vec<u8> {
        for _ in 0..100_000 {
            self.step();
            if let Some(message) = self.b.received() {
                return message;
            }
        }
        panic!("nothing came until {} ms", self.now);
    }
}

fn message(length: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..length).map(|_| random.bits() as u8).collect()
}

const BAD: Faults = Faults { lost: 150, damaged: 50, doubled: 100, late: 150 };

#[test]
fn messages_of_every_length_come_with_little_around_them() {
    let mut line = Line::<300, 300>::new(Faults::default(), Config::DEFAULT);
    for length in (0..40).chain([281, 282, 283, 564, 2600, 8192]) {
        line.bytes = [0; 2];
        let sent = message(length, length as u64);
        line.a.send(&sent, line.now);
        assert_eq!(line.until_received(), sent);
        let chunks = length.div_ceil(300 - CHUNK_OVERHEAD);
        let around = 40 + chunks * (CHUNK_OVERHEAD + 8);
        assert!(line.bytes[1] <= length + around, "{length}: {}", line.bytes[1]);
        while line.a.events.is_empty() {
            line.step();
        }
        assert_eq!(line.a.events, [Event::Sent]);
        line.a.events.clear();
    }
}

#[test]
fn on_a_bad_line_every_message_comes_once_and_in_order() {
    // Ends of unlike size, messages both ways at once.
    let mut line = Line::<300, 80>::new(BAD, Config::DEFAULT);
    let mut random = Random::new(1);
    let (mut sent, mut came, mut counts) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], [0, 0]);
    while came.iter().any(|messages: &Vec<Vec<u8>>| messages.len() < 150) {
        assert!(line.now < 3_000_000, "{} and {}", came[0].len(), came[1].len());
        let length = random.below(1500) as usize;
        if !line.a.link.sending() && counts[0] < 150 {
            let message = message(length, random.bits());
            line.a.send(&message, line.now);
            sent[0].push(message);
            counts[0] += 1;
        }
        if !line.b.link.sending() && counts[1] < 150 {
            let message = message(length / 2, random.bits());
            line.b.send(&message, line.now);
            sent[1].push(message);
            counts[1] += 1;
        }
        line.step();
        came[0].extend(line.b.received());
        came[1].extend(line.a.received());
    }
    assert!(came == sent);
}

#[test]
fn a_receiver_that_was_reset_gets_the_message_from_the_start() {
    let mut line = Line::<100, 100>::new(BAD, Config::DEFAULT);
    let mut random = Random::new(2);
    for round in 0..40 {
        let sent = message(3000, round);
        line.a.send(&sent, line.now);
        (0..random.below(60)).for_each(|_| line.step());
        // What was in memory is gone.
        line.b = End::new(random.bits() as u32, Config::DEFAULT);
        assert_eq!(line.until_received(), sent);
        while line.a.link.sending() {
            line.step();
            // The reset may have come behind the whole message: then it comes again, to an end that never saw it.
            let again = line.b.received();
            assert!(again.is_none_or(|again| again == sent));
        }
    }
}

#[test]
fn a_sender_that_was_reset_goes_on_where_it_was() {
    let mut line = Line::<100, 100>::new(Faults::default(), Config::DEFAULT);
    let sent = message(4000, 1);
    line.a.send(&sent, 0);
    (0..10).for_each(|_| line.step());
    let before = line.bytes[1];
    assert!((1000..3500).contains(&before), "{before}");
    line.a = End::new(77, Config::DEFAULT);
    line.underway.clear();
    line.a.send(&sent, line.now);
    assert_eq!(line.until_received(), sent);
    let all = line.bytes[1];
    assert!(all < 4000 + 4000_usize.div_ceil(82) * 26 + 600, "{before} and then {all} bytes");
    // Another message in its place starts anew.
    while line.a.link.sending() {
        line.step();
    }
    let (first, second) = (message(3000, 2), message(3000, 3));
    line.a.send(&first, line.now);
    (0..20).for_each(|_| line.step());
    line.a = End::new(78, Config::DEFAULT);
    line.a.send(&second, line.now);
    assert_eq!(line.until_received(), second);
}

#[test]
fn what_has_come_stays_until_it_is_released() {
    let mut line = Line::<100, 100>::new(Faults::default(), Config::DEFAULT);
    let (first, second) = (message(500, 1), message(500, 2));
    line.a.send(&first, 0);
    while line.a.link.sending() {
        line.step();
    }
    assert!(!line.b.link.waiting());
    line.a.send(&second, line.now);
    (0..3000).for_each(|_| line.step());
    assert!(line.b.link.waiting() && line.a.link.sending());
    assert_eq!(line.b.room[..500], first);
    assert_eq!(line.b.received(), Some(first));
    assert_eq!(line.until_received(), second);
    assert!(!line.b.link.waiting());
}

#[test]
fn too_long_a_message_is_refused_and_a_dead_line_told() {
    let patient = Config { patience: 10_000, ..Config::DEFAULT };
    let mut line = Line::<100, 100>::new(BAD, patient);
    line.b.room.truncate(1000);
    line.a.send(&message(1001, 1), 0);
    assert_eq!(line.a.link.send(b"two", 0), Err(LinkError::Busy));
    while line.a.link.sending() {
        line.step();
    }
    assert_eq!(line.a.events, [Event::Refused { room: 1000 }]);
    line.a.send(&message(1000, 1), line.now);
    assert_eq!(line.until_received().len(), 1000);
    while line.a.link.sending() {
        line.step();
    }
    line.faults.lost = 1000;
    let begin = line.now;
    line.a.send(&message(10, 1), begin);
    while !line.lost {
        line.step();
    }
    assert_eq!((line.now - begin, line.a.link.sending()), (10_001, false));
    assert_eq!(line.a.link.deadline(), None);
}

/// Whatever bytes come, the end lives, and the next message is read.
#[test]
fn damaged_and_made_up_bytes_do_no_harm() {
    let mut random = Random::new(3);
    // What a sound sender says.
    let mut sender = End::<100>::new(5, Config::DEFAULT);
    let mut talk = Vec::new();
    sender.send(&message(90, 9), 0);
    let mut receiver = End::<100>::new(6, Config::DEFAULT);
    for now in 0..20 {
        while let Polled::Frame(frame) = sender.link.poll(now, &sender.message) {
            talk.extend(frame);
        }
        for byte in std::mem::take(&mut talk) {
            receiver.link.receive(byte, &mut receiver.room, now);
        }
        while let Polled::Frame(frame) = receiver.link.poll(now, &[]) {
            for byte in frame.collect::<Vec<u8>>() {
                sender.link.receive(byte, &mut sender.room, now);
                talk.push(byte);
            }
        }
    }
    for case in 0..2000u64 {
        let mut end = End::<100>::new(case as u32, Config::DEFAULT);
        end.send(&message(300, case), 0);
        for step in 0..200 {
            let byte = match random.below(3) {
                0 => 0,
                1 => random.bits() as u8,
                _ => talk.get(random.below(talk.len().max(1) as u32) as usize).copied().unwrap_or(1),
            };
            end.link.receive(byte, &mut end.room[..120], step);
            let _ = end.link.poll(step, &end.message);
        }
        end.link.release();
        let mut line = Line::<100, 100>::new(Faults::default(), Config::DEFAULT);
        line.b.link = end.link;
        line.b.message = end.message;
        line.now = 300;
        line.a.send(b"still there", 300);
        assert_eq!(line.until_received(), b"still there");
    }
}
