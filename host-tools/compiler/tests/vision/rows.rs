//! Int8 networks by rows: every byte of the result as with whole tensors, in a fraction of the memory.

use super::network::Golden;
use mote_compiler::convert::{Converted, Options, convert};
use mote_compiler::executor::{Executor, encode};
use mote_compiler::stream::Rows;

/// Network, and how much of the arena of whole tensors it may need.
const LIMITS: [(&str, f64); 6] = [
    ("mobilenetv2_100_qdq", 0.25),
    ("efficientnet_lite0_qdq", 0.25),
    ("efficientformer_l1_qdq", 0.3),
    ("mobilenetv3_small_100_qdq", 0.25),
    ("mobilenetv1_100_qdq", 0.25),
    ("efficientformerv2_s0_qdq", 0.4),
];

#[test]
fn rows_equal_whole_tensors() {
    for (model, limit) in LIMITS {
        let golden = Golden::load(model);
        let network = golden.network(model);
        let plan = |rows| -> Converted {
            let options = Options { rows, ..Options::default() };
            convert(&network, &options).unwrap_or_else(|e| panic!("{model}: {e}"))
        };
        let (whole, rows) = (plan(Rows::Off), plan(Rows::Auto));
        let (of, ours) = (whole.schedule.arena, rows.schedule.arena);
        let share = ours as f64 / of as f64;
        println!("{model}: arena {of} -> {ours} bytes ({share:.2})");
        assert!(share <= limit, "{model}: {share} of the arena");
        let (input, _) = golden.samples().remove(0);
        let run = |plan: &[u8]| {
            let mut executor = Executor::new(plan).unwrap();
            let bytes = executor.with(|engine| encode(&engine.input_format(0)?, &input)).unwrap();
            executor.run(&[&bytes]).unwrap()
        };
        assert_eq!(run(&whole.plan), run(&rows.plan), "{model}");
    }
}
