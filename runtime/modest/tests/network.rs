//! Many nodes on a simulated network: seeded, with delays, loss and crashes. The messages are written and read as on a
//! real one.

use mote_modest::{Action, Entry, Event, Kind, Membership, Message, Node, NodeId, Params, View};
use mote_runtime::random::Random;
use std::collections::BTreeMap;

const NODES: usize = 24;

type Member = Node<heapless::Vec<Entry, NODES>>;

fn params(aggregators: usize) -> Params {
    Params {
        beacon: [7; 32],
        sample: 5,
        aggregators,
        enough_permille: 1000,
        least: 3,
        forget: 1_000_000,
        slack: NODES,
        ping_timeout: 400,
        send_timeout: 1000,
        watch: 3000,
        gather: 2000,
        resends: 2,
    }
}

fn id(n: usize) -> NodeId {
    NodeId([n as u8 + 1; 32])
}

enum Due {
    Bytes { from: usize, to: usize, bytes: Vec<u8> },
    Trained { node: usize, round: u32 },
    Averaged { node: usize, round: u32 },
}

struct Network {
    nodes: Vec<Member>,
    alive: Vec<bool>,
    due: BTreeMap<(u64, u64), Due>,
    now: u64,
    made: u64,
    random: Random,
    loss_percent: u64,
    trained: BTreeMap<u32, Vec<usize>>,
}

impl Network {
    fn new(aggregators: usize, loss_percent: u64, seed: u64) -> Network {
        let node = |n| {
            let mut view = View::new(heapless::Vec::new());
            for m in 0..NODES {
                let membership = Membership::Joined;
                let entry =
                    Entry { id: id(m), last_round: 0, counter: 1, membership, stamp: 0, pending: false };
                view.merge(&entry, 0, false).unwrap();
            }
            Node::new(id(n), params(aggregators), view)
        };
        let nodes = (0..NODES).map(node).collect();
        let (due, trained) = (BTreeMap::new(), BTreeMap::new());
        let alive = vec![true; NODES];
        let mut network =
            Network { nodes, alive, due, now: 0, made: 0, random: Random::new(seed), loss_percent, trained };
        (0..NODES).for_each(|n| network.handle(n, Event::Start));
        network
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random.bits() % below
    }

    fn plan(&mut self, delay: u64, due: Due) {
        self.made += 1;
        self.due.insert((self.now + delay, self.made), due);
    }

    fn send(&mut self, from: usize, to: NodeId, message: Message) {
        let mut bytes = vec![0; 2048];
        let used = message.write(&mut bytes).unwrap();
        bytes.truncate(used);
        let to = usize::from(to.0[0]) - 1;
        let lost = from != to && self.draw(100) < self.loss_percent;
        let delay = if from == to { 0 } else { 10 + self.draw(80) };
        if !lost {
            self.plan(delay, Due::Bytes { from, to, bytes });
        }
    }

    fn handle(&mut self, n: usize, event: Event) {
        enum Own {
            Send(NodeId, Vec<u8>),
            Model(NodeId, u32, Kind, u32),
            Train(u32),
            Average(u32),
        }
        let mut actions = Vec::new();
        let result = self.nodes[n].handle(event, self.now, &mut |action| match action {
            Action::Send { to, message } => {
                let mut bytes = vec![0; 64];
                let used = message.write(&mut bytes).unwrap();
                actions.push(Own::Send(to, bytes[..used].to_vec()));
            }
            Action::SendModel { to, round, kind, since } => actions.push(Own::Model(to, round, kind, since)),
            Action::Train { round } => actions.push(Own::Train(round)),
            Action::Aggregate { round, .. } => actions.push(Own::Average(round)),
            Action::Keep { .. } => {}
        });
        result.unwrap();
        for action in actions {
            match action {
                Own::Send(to, bytes) => self.send(n, to, Message::parse(&bytes).unwrap()),
                Own::Model(to, round, kind, since) => {
                    let mut changes = [0; 1024];
                    let (used, through) = self.nodes[n].changes(since, &mut changes);
                    let model = Message::Model { round, kind, through, changes: &changes[..used] };
                    self.send(n, to, model);
                }
                Own::Train(round) => {
                    self.trained.entry(round).or_default().push(n);
                    self.plan(300, Due::Trained { node: n, round });
                }
                Own::Average(round) => self.plan(20, Due::Averaged { node: n, round }),
            }
        }
    }

    /// The next thing that happens; none when nobody waits for anything.
    fn step(&mut self) -> bool {
        let deadline = (0..NODES)
            .filter(|&n| self.alive[n])
            .filter_map(|n| self.nodes[n].deadline().filter(|d| *d < u64::MAX).map(|d| (d, n)));
        let (deadline, next) = (deadline.min(), self.due.keys().next().copied());
        match (deadline, next) {
            (Some((at, n)), next) if next.is_none_or(|(t, _)| at < t) => {
                self.now = self.now.max(at);
                self.handle(n, Event::Tick);
            }
            (_, Some(key)) => {
                let due = self.due.remove(&key).unwrap();
                self.now = self.now.max(key.0);
                match due {
                    Due::Bytes { from, to, bytes } if self.alive[to] => {
                        let message = Message::parse(&bytes).unwrap();
                        self.handle(to, Event::Message { from: id(from), message });
                    }
                    Due::Trained { node, round } if self.alive[node] => {
                        self.handle(node, Event::Trained { round });
                    }
                    Due::Averaged { node, round } if self.alive[node] => {
                        self.handle(node, Event::Averaged { round });
                    }
                    _ => {}
                }
            }
            _ => return false,
        }
        true
    }

    fn round(&self) -> u32 {
        self.trained.keys().next_back().copied().unwrap_or(0)
    }

    fn run_to(&mut self, round: u32) {
        let end = self.now + u64::from(round) * 60_000;
        while self.round() < round {
            assert!(self.step(), "nobody waits for anything in round {}", self.round());
            assert!(self.now < end, "stalled in round {} at {} ms", self.round(), self.now);
        }
    }
}

#[test]
fn without_trouble_every_round_has_exactly_its_sample() {
    for aggregators in [1, 2] {
        let mut network = Network::new(aggregators, 0, 1);
        network.run_to(201);
        let exact = (1..=200).filter(|round| network.trained[round].len() == 5).count();
        assert_eq!(exact, 200);
    }
}

#[test]
fn a_fifth_of_all_messages_lost_stalls_nobody() {
    for seed in 0..20 {
        Network::new(1 + seed as usize % 2, 20, seed).run_to(100);
    }
}

#[test]
fn four_fifths_crash_one_after_another_and_rounds_go_on() {
    for seed in 0..6 {
        let mut network = Network::new(1 + seed as usize % 2, 5, seed);
        for dead in 0..NODES * 4 / 5 {
            let round = network.round() + 3;
            network.run_to(round);
            network.alive[dead] = false;
        }
        let round = network.round() + 30;
        network.run_to(round);
    }
}

#[test]
fn models_from_strangers_and_from_outside_the_sample_are_refused() {
    let strict = Params { slack: 0, ..params(1) };
    let view = Network::new(1, 0, 3).nodes[0].view().clone();
    let aggregator_of = |round| {
        let mut first = [([0; 32], id(0))];
        mote_modest::order::next(&view, &strict, &id(0), round, None, &mut first);
        first[0].1
    };
    let right = aggregator_of(9);
    let wrong = (0..NODES).map(id).filter(|n| *n != right).chain([NodeId([200; 32])]);
    let model = Message::Model { round: 9, kind: Kind::Aggregated, through: 0, changes: &[] };
    let mut node = Node::new(id(0), strict, view.clone());
    let mut train = |from| {
        let mut trains = false;
        let event = Event::Message { from, message: model };
        node.handle(event, 0, &mut |a| trains |= matches!(a, Action::Train { .. })).unwrap();
        trains
    };
    wrong.for_each(|from| assert!(!train(from), "{from:?}"));
    assert!(train(right));
    assert!(!train(right), "the second copy starts nothing");
}

#[test]
fn damaged_messages_end_in_errors_and_the_node_goes_on() {
    let mut network = Network::new(2, 0, 5);
    network.run_to(20);
    let mut changes = [0; 1024];
    let (used, through) = network.nodes[1].changes(0, &mut changes);
    assert!(used > 0);
    let model = Message::Model { round: 21, kind: Kind::Trained, through, changes: &changes[..used] };
    let mut good = vec![0; 2048];
    let length = model.write(&mut good).unwrap();
    let (mut parsed, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let cut = if network.draw(2) == 0 { network.draw(length as u64) as usize } else { 0 };
        let mut bytes = good[..length - cut].to_vec();
        for _ in 0..1 + network.draw(3) {
            let at = network.draw(bytes.len() as u64) as usize;
            bytes[at] = network.draw(256) as u8;
        }
        let Ok(message) = Message::parse(&bytes) else {
            refused += 1;
            continue;
        };
        parsed += 1;
        let from = id(network.draw(NODES as u64) as usize);
        let mut node = network.nodes[0].clone();
        let _ = node.handle(Event::Message { from, message }, network.now, &mut |_| {});
    }
    assert!(parsed > 1000 && refused > 1000, "{parsed} {refused}");
    network.run_to(60);
}
