//! Published sizes: parameters and multiply-accumulates as in the papers, and all of them become int8 plans that run.

use mote_models::{Spec, Weights, build, macs};

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
