//! Published sizes: parameters and multiply-accumulates as in the papers, and all of them become int8 plans that run.

mod support;

use mote_compiler::convert::{Options, Precision, compile};
use mote_compiler::executor::Executor;
use mote_compiler::quantize::Calibration;
use mote_models::{Spec, Weights, build, macs, names};
use support::picture;

/// Name, millions of parameters and of multiply-accumulates as published, both rounded.
///
/// EfficientFormer: 2206.01191 table 1, 2212.08059 table 1; TinyNet: 2010.14819 table 6, whose MACs are those of the
/// definitions, 337 for A and 201 for B; MobileNetV1: 1704.04861 tables 6 and 8. MobileNetV2 as timm has it.
const TABLE: [(&str, &str, u64); 16] = [
    ("efficientformer_l1", "12.3", 1291),
    ("efficientformer_l3", "31.4", 3907),
    ("efficientformer_l7", "82.2", 10119),
    ("efficientformerv2_s0", "3.6", 396),
    ("efficientformerv2_s1", "6.2", 652),
    ("efficientformerv2_s2", "12.7", 1247),
    ("efficientformerv2_l", "26.3", 2553),
    ("tinynet_a", "6.19", 337),
    ("tinynet_b", "3.73", 201),
    ("tinynet_c", "2.46", 100),
    ("tinynet_d", "2.34", 52),
    ("tinynet_e", "2.04", 24),
    ("mobilenetv1_100", "4.2", 569),
    ("mobilenetv1_050", "1.3", 149),
    ("mobilenetv2_100", "3.5", 301),
    ("mobilenetv2_140", "6.1", 582),
];

#[test]
fn parameters_and_macs_equal_the_tables() {
    for (name, parameters, expected) in TABLE {
        let model = build(&Spec::published(name.parse().unwrap()), Weights::Shapes).unwrap();
        let (count, macs) = (model.parameter_count(), macs(&model.graph));
        println!("{name}: {count} parameters, {macs} multiply-accumulates");
        let digits = parameters.split('.').next_back().unwrap().len();
        assert_eq!(format!("{:.digits$}", count as f64 / 1e6), parameters, "{name}");
        assert_eq!((macs as f64 / 1e6).round() as u64, expected, "{name}");
    }
}

/// Side of the pictures with which a network of so many multiply-accumulates becomes int8 here: a network is the same at
/// any size but for its tables of attention, and all of these networks together have a few minutes. `MOTE_FULL_SIZE=1`
/// takes the published sides.
fn side(macs: u64, published: usize) -> usize {
    match macs {
        _ if std::env::var_os("MOTE_FULL_SIZE").is_some() => published,
        0..60_000_000 => published,
        60_000_000..600_000_000 => 96,
        _ => 64,
    }
}

/// Signal to noise at the logits, in decibels. Random weights, two samples and neither rounding by error nor correction of
/// biases: TinyNet-B has 7.9, the others 11 and more.
const LEAST_DECIBELS: f64 = 6.0;

fn runs_in_int8(name: &str) {
    let mut spec = Spec::published(name.parse().unwrap());
    let shapes = build(&spec, Weights::Shapes).unwrap();
    spec.size = [side(macs(&shapes.graph), spec.size[0]); 2];
    let graph = build(&spec, Weights::Seeded(1)).unwrap().graph;
    let samples = [1, 2].map(|seed| vec![picture(seed, spec.size)]).to_vec();
    let calibration =
        Calibration { round_by_error: false, correct_bias: false, ..Calibration::new(samples.clone()) };
    let options =
        Options { precision: Precision::Int8, calibration: Some(calibration), ..Options::default() };
    let converted = compile(graph, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
    let report = converted.quantization.unwrap();
    let (_, decibels) = report.outputs[0];
    let mut executor = Executor::new(&converted.plan).unwrap();
    let logits = samples.iter().map(|sample| executor.run_reals(&[&sample[0]]).unwrap().remove(0));
    let logits: Vec<Vec<f32>> = logits.collect();
    println!(
        "{name} at {}: plan {} bytes, arena {}, {decibels:.1} dB, {} float nodes",
        spec.size[0],
        converted.plan.len(),
        converted.schedule.arena,
        report.float_nodes.len()
    );
    assert_eq!(logits[0].len(), 1000, "{name}");
    assert_ne!(logits[0], logits[1], "{name}: all pictures are one to it");
    assert!(decibels >= LEAST_DECIBELS, "{name}: {decibels:.1} dB");
}

macro_rules! networks {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                runs_in_int8(stringify!($name));
            }
        )*

        #[test]
        fn no_published_network_is_left_out() {
            assert_eq!(names(), [$(stringify!($name)),*]);
        }
    };
}

networks! {
    efficientformer_l1
    efficientformer_l3
    efficientformer_l7
    efficientformerv2_s0
    efficientformerv2_s1
    efficientformerv2_s2
    efficientformerv2_l
    tinynet_a
    tinynet_b
    tinynet_c
    tinynet_d
    tinynet_e
    mobilenetv1_025
    mobilenetv1_050
    mobilenetv1_075
    mobilenetv1_100
    mobilenetv1_100h
    mobilenetv1_125
    mobilenetv2_035
    mobilenetv2_050
    mobilenetv2_075
    mobilenetv2_100
    mobilenetv2_110d
    mobilenetv2_120d
    mobilenetv2_140
}
