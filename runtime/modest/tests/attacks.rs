//! Members that lie, strangers, and damaged bytes. Whole networks in trouble are tested by the simulator.

use mote_modest::seal::{OVERHEAD, Sealer, Signed, Ticket};
use mote_modest::{
    Action, Entry, Error, Event, Identity, Kind, Mark, Member, Membership, Message, Node, NodeId, Params,
    Statement, Trust, View, changes, order,
};
use mote_runtime::random::Random;

const NODES: usize = 24;
const TASK: u64 = 7;

fn params() -> Params {
    Params { beacon: [7; 32], sample: 5, slack: 0, ..Params::DEFAULT }
}

fn id(n: usize) -> NodeId {
    NodeId([n as u8 + 1; 32])
}

/// A node of a network whose members are believed.
fn node(n: usize) -> Node<heapless::Vec<Entry<()>, NODES>, ()> {
    let mut view = View::new(id(n), &params(), heapless::Vec::new());
    (0..NODES).for_each(|m| _ = view.merge(&Entry::founder(id(m), ())).unwrap());
    Node::new(params(), view, (), Mark::end(0))
}

fn aggregator(round: u32) -> NodeId {
    let seed = order::seed(&params().beacon, round);
    (0..NODES).map(|n| order::key(&seed, &id(n))).min().unwrap().1
}

fn aggregated(round: u32) -> Message<'static> {
    let (kind, since) = (Kind::Aggregated, Mark::ALL);
    Message::Model { round, kind, since, through: since, digest: 0, changes: &[] }
}

/// Does the node begin to train when it gets this?
fn trains<T: Trust<Proof = ()>>(
    node: &mut Node<heapless::Vec<Entry<()>, NODES>, T>,
    from: NodeId,
    message: Message<'_>,
    now: u64,
) -> Result<bool, Error> {
    let mut trains = false;
    node.handle(Event::Message { from, message }, now, &mut |a| trains |= matches!(a, Action::Train { .. }))?;
    Ok(trains)
}

#[test]
fn a_member_cannot_claim_a_round_far_off() {
    // It waits for a round in which it is the aggregator, which nobody can hinder.
    let liar = id(3);
    let far = (1_000_000..).find(|round| aggregator(*round) == liar).unwrap();
    let mut node = node(0);
    let refused = trains(&mut node, liar, aggregated(far), 5000);
    assert_eq!(refused, Err(Error::Ahead { round: far, limit: 8 }));
    let ping = Event::Message { from: liar, message: Message::Ping { round: far } };
    assert!(node.handle(ping, 5000, &mut |_| panic!("answered")).is_err());
    assert_eq!(
        trains(&mut node, aggregator(9), aggregated(9), 6000),
        Ok(true),
        "time has passed for one more"
    );
    // Small steps don't lead there faster than time.
    let claims =
        (10..2000).filter(|round| trains(&mut node, aggregator(*round), aggregated(*round), 7000).is_ok());
    assert_eq!(claims.count(), 1);
    assert_eq!(node.round(), 10);
}

#[test]
fn models_from_strangers_and_from_outside_the_sample_are_refused() {
    let right = aggregator(5);
    let wrong = (0..NODES).map(id).filter(|n| *n != right).chain([NodeId([200; 32])]);
    let mut node = node(0);
    for from in wrong {
        assert_eq!(trains(&mut node, from, aggregated(5), 0), Ok(false), "{from:?}");
    }
    assert_eq!(trains(&mut node, right, aggregated(5), 0), Ok(true));
    assert_eq!(trains(&mut node, right, aggregated(5), 0), Ok(false), "the second copy starts nothing");
}

#[test]
fn damaged_messages_end_in_errors_and_the_node_goes_on() {
    let mut other = node(1);
    other.handle(Event::Join { round: 3 }, 0, &mut |_| ()).unwrap();
    let mut changes = [0; 2048];
    let model = other.model(2, Kind::Trained, Mark::START, &mut changes);
    let mut good = vec![0; 4096];
    let length = model.write(&mut good).unwrap();
    assert!(length > 900);
    let (mut parsed, mut refused, mut random) = (0, 0, Random::new(5));
    let mut victim = node(0);
    for _ in 0..20_000 {
        let cut = if random.below(2) == 0 { random.below(length as u32) as usize } else { 0 };
        let mut bytes = good[..length - cut].to_vec();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len() as u32) as usize;
            bytes[at] = random.bits() as u8;
        }
        let Ok((message, _)) = Message::parse(&bytes) else {
            refused += 1;
            continue;
        };
        parsed += 1;
        let from = id(random.below(NODES as u32) as usize);
        let _ = victim.handle(Event::Message { from, message }, 1000, &mut |_| {});
    }
    assert!(parsed > 1000 && refused > 1000, "{parsed} {refused}");
    let round = victim.round() + 1;
    assert_eq!(trains(&mut victim, aggregator(round), aggregated(round), 100_000), Ok(true));
}

const ISSUER: [u8; 32] = [99; 32];

fn secret(n: u8) -> [u8; 32] {
    [n + 1; 32]
}

fn identity(n: u8, until: u32) -> Identity {
    let key = |secret: &[u8; 32]| Sealer::new(secret, TASK, 0).id();
    let ticket = Ticket::issue(&ISSUER, TASK, key(&secret(n)), until);
    Identity::new(&secret(n), key(&ISSUER), ticket)
}

type Door = Member<heapless::Vec<Entry<Signed>, 8>, 8>;

fn founder(n: u8) -> Entry<Signed> {
    let id = Sealer::new(&secret(n), TASK, 0).id();
    let proof = identity(n, 100).prove(&Statement { id, counter: 1, membership: Membership::Joined });
    Entry::founder(id, proof)
}

/// A member with a door, of a network of the first three.
fn member(n: u8) -> Door {
    let sealer = Sealer::new(&secret(n), TASK, 0);
    let mut view = View::new(sealer.id(), &params(), heapless::Vec::new());
    (0..3).for_each(|m| _ = view.merge(&founder(m)).unwrap());
    Member::new(Node::new(params(), view, identity(n, 100), Mark::end(0)), sealer, 4096).unwrap()
}

/// What `of` advertises, sealed.
fn advertised(of: &mut Door, event: Event<'_>) -> Vec<u8> {
    let mut messages = Vec::new();
    let mut out = vec![0; 1024];
    of.handle(event, 0, &mut |action| {
        if let Action::Send { message, .. } = action {
            let used = message.write(&mut out).unwrap();
            messages.push(out[..used].to_vec());
        }
    })
    .unwrap();
    let mut envelope = vec![0; 1024];
    let (message, _) = Message::parse(&messages[0]).unwrap();
    let used = of.seal(&message, &[], &mut envelope).unwrap();
    envelope.truncate(used);
    envelope
}

#[test]
fn only_who_has_a_ticket_comes_in_and_nothing_is_heard_twice() {
    let (mut door, mut joiner) = (member(0), member(5));
    let mut ping = vec![0; 256];
    let used = joiner.seal(&Message::Ping { round: 1 }, &[], &mut ping).unwrap();
    ping.truncate(used);
    assert_eq!(door.receive(&ping, 0, &mut |_, _| ()), Err(Error::Foreign), "not a member yet");
    let join = advertised(&mut joiner, Event::Join { round: 0 });
    let mut noted = 0;
    let mut note = |action: Action<'_>, _: &[u8]| {
        noted += i32::from(matches!(action, Action::Send { message: Message::Noted { .. }, .. }));
    };
    assert_eq!(door.receive(&join, 0, &mut note), Ok(()));
    assert!(matches!(door.receive(&join, 0, &mut note), Err(Error::Replay { .. })));
    assert_eq!(noted, 1);
    assert_eq!(door.node().view().entries().len(), 4);
    // Older than its advertisement; the next one is heard.
    assert!(matches!(door.receive(&ping, 0, &mut |_, _| ()), Err(Error::Replay { .. })));
    let mut ping = vec![0; 256];
    let used = joiner.seal(&Message::Ping { round: 1 }, &[], &mut ping).unwrap();
    let mut ponged = false;
    door.receive(&ping[..used], 0, &mut |_, _| ponged = true).unwrap();
    assert!(ponged);
    // A ticket of its own making, one that has run out, and another's statement.
    for bad in [[1u8; 32], [2; 32]] {
        let ticket = Ticket::issue(&bad, TASK, Sealer::new(&secret(6), TASK, 0).id(), 100);
        let own = Identity::new(&secret(6), Sealer::new(&bad, TASK, 0).id(), ticket);
        let sealer = Sealer::new(&secret(6), TASK, 0);
        let mut view = View::new(sealer.id(), &params(), heapless::Vec::new());
        view.merge(&founder(0)).unwrap();
        let mut stranger: Door =
            Member::new(Node::new(params(), view, own, Mark::START), sealer, 4096).unwrap();
        let join = advertised(&mut stranger, Event::Join { round: 0 });
        assert_eq!(door.receive(&join, 0, &mut |_, _| ()), Err(Error::Foreign));
    }
    let large = vec![0; 5000];
    assert_eq!(door.receive(&large, 0, &mut |_, _| ()), Err(Error::Room { needed: 5000, have: 4096 }));
    assert_eq!(door.receive(&large[..OVERHEAD - 1], 0, &mut |_, _| ()), Err(Error::Malformed));
}

#[test]
fn parameters_come_behind_the_message_under_the_same_signature() {
    let (mut door, mut other) = (member(0), member(1));
    let round = (1..).find(|round| {
        let seed = order::seed(&params().beacon, *round);
        (0..3).map(|n| order::key(&seed, &founder(n).id)).min().unwrap().1 == other.node().id()
    });
    let (round, kind, since, to) = (round.unwrap(), Kind::Aggregated, Mark::ALL, door.node().id());
    let (mut changes, mut envelope) = ([0; 512], vec![0; 1024]);
    let action = Action::SendModel { to, round, kind, since };
    let used = other.seal_model(&action, &[1, 2, 3], &mut changes, &mut envelope).unwrap();
    envelope[used - 1] ^= 1;
    assert_eq!(door.receive(&envelope[..used], 0, &mut |_, _| ()), Err(Error::Signature));
    envelope[used - 1] ^= 1;
    let mut trained = Vec::new();
    door.receive(&envelope[..used], 0, &mut |action, parameters| {
        if matches!(action, Action::Train { .. }) {
            trained.extend_from_slice(parameters);
        }
    })
    .unwrap();
    assert_eq!(trained, [1, 2, 3]);
}

/// Without signatures one member could tell all others that everybody has left.
#[test]
fn nobody_states_for_others() {
    let honest = member(0);
    let mut views = [honest.node().view().clone(), honest.node().view().clone()];
    let [lied, view] = &mut views;
    for n in 1..3 {
        let entry = founder(n);
        // The liar has the proof of the joining, and its own key.
        let leaving = Statement { id: entry.id, counter: 2, membership: Membership::Left };
        let proof = if n == 1 { entry.proof } else { identity(5, 100).prove(&leaving) };
        lied.merge(&Entry::heard(leaving, 1, proof)).unwrap();
    }
    let mut bytes = [0; 1024];
    let (used, _) = changes::write::<_, Identity>(lied, Mark::end(0), 1, &mut bytes);
    assert!(used > 200);
    let read = changes::read(view, &identity(0, 100), &bytes[..used], 1, Mark::end(0), false);
    assert_eq!(read.refused, Some(Error::Signature));
    assert!(view.entries().iter().all(|e| e.membership == Membership::Joined));
    // What its node has signed is taken from anybody.
    let (id, leaving) = (founder(1).id, Membership::Left);
    let statement = Statement { id, counter: 2, membership: leaving };
    lied.merge(&Entry::heard(
        Statement { counter: 3, ..statement },
        1,
        identity(1, 100).prove(&Statement { counter: 3, ..statement }),
    ))
    .unwrap();
    let (used, _) = changes::write::<_, Identity>(lied, Mark::end(0), 1, &mut bytes);
    changes::read(view, &identity(0, 100), &bytes[..used], 1, Mark::end(0), false);
    assert_eq!(view.get(&id).unwrap().membership, Membership::Left);
}
