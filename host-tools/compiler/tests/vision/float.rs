//! Float networks: the difference to ONNX Runtime's unoptimised run.

use crate::golden::{difference, range};
use crate::network::Golden;
use mote_compiler::convert::{Options, Precision, convert};
use mote_compiler::executor::Executor;

/// Largest difference, of the range of the logits.
const LIMIT: f32 = 1e-4;

/// The same with weights that were rounded to 11 bits.
const HALF_LIMIT: f32 = 1e-2;

fn check(model: &str, precision: Precision, limit: f32) {
    let golden = Golden::load(model);
    let options = Options { precision, ..Options::default() };
    let converted = convert(&golden.network(model), &options).unwrap_or_else(|e| panic!("{model}: {e}"));
    let mut executor = Executor::new(&converted.plan).unwrap();
    let mut worst = 0.0f32;
    for (picture, expected) in golden.samples() {
        let own = executor.run_reals(&[&picture]).unwrap().remove(0);
        worst = worst.max(difference(&own, &expected) / range(&expected));
    }
    let arena = converted.schedule.arena;
    println!("{model:24} {precision:?}: {worst:.1e} of the range, limit {limit:.0e}; arena {arena} bytes");
    assert!(worst <= limit, "{model}: {worst:e} of the range");
}

macro_rules! networks {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name), Precision::F32, LIMIT);
        }
    )*};
}

networks! {
    efficientformer_l1
    efficientformerv2_s0
    tinynet_a
    tinynet_e
    mobilenetv1_100
    mobilenetv2_100
    mobilenetv2_100_bn
    mobilenetv3_small_100
    efficientnet_lite0
    tf_efficientnet_lite0
}

#[test]
fn weights_in_16_bits() {
    check("mobilenetv2_100", Precision::F16, HALF_LIMIT);
}
