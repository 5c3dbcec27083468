//! Files of weights: other number formats, and everything that can be wrong, told at once.

mod support;

use half::{bf16, f16};
use mote_models::common::weights::seeded_file;
use mote_models::{Arch, BuildError, Checkpoint, Fault, Model, Role, Spec, Weights, WeightsError, build};
use safetensors::tensor::Dtype;
use support::{Named, file, filled, safetensors};

fn spec() -> Spec {
    Spec { arch: "tinynet_e".parse().unwrap(), size: [32, 32], classes: 10 }
}

fn tensors() -> Vec<Named> {
    let model = build(&spec(), Weights::Shapes).unwrap();
    let read = model.parameters.into_iter().filter(|p| p.role != Role::Beside);
    read.map(|p| (p.name.clone(), p.shape.clone(), filled(&p.name, &p.shape, 3.0))).collect()
}

fn load(bytes: &[u8]) -> Result<Model, BuildError> {
    build(&spec(), Weights::Checkpoint(&Checkpoint::parse(bytes)?))
}

#[test]
fn half_precision_is_read() {
    let constants = |model: Model| -> Vec<Vec<f32>> {
        model.graph.tensors.into_iter().filter_map(|t| Some(t.data?.to_f32())).collect()
    };
    let exact = constants(load(&safetensors(&tensors())).unwrap());
    let f16_bytes: fn(&f32) -> [u8; 2] = |x| f16::from_f32(*x).to_le_bytes();
    let bf16_bytes: fn(&f32) -> [u8; 2] = |x| bf16::from_f32(*x).to_le_bytes();
    for (dtype, bytes, limit) in [(Dtype::F16, f16_bytes, 1e-3), (Dtype::BF16, bf16_bytes, 8e-3)] {
        let rounded: Vec<_> = tensors()
            .into_iter()
            .map(|(name, shape, values)| (name, shape, values.iter().flat_map(bytes).collect()))
            .collect();
        let read = constants(load(&file(dtype, &rounded)).unwrap());
        for (a, b) in exact.iter().flatten().zip(read.iter().flatten()) {
            // Numbers next to zero lose more in f16.
            assert!((a - b).abs() <= limit * a.abs() + 1e-6, "{dtype:?}: {a} became {b}");
        }
        assert_ne!(exact, read, "{dtype:?} did round");
    }
}

#[test]
fn seeded_files_are_what_seeds_give() {
    let seeded = build(&spec(), Weights::Seeded(3)).unwrap();
    let bytes = seeded_file(&seeded.parameters, 3);
    assert_eq!(Checkpoint::parse(&bytes).unwrap().classes(), Some(10));
    let loaded = load(&bytes).unwrap();
    for (a, b) in seeded.graph.tensors.iter().zip(&loaded.graph.tensors) {
        assert_eq!(a.data, b.data, "{}", a.name);
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let mut tensors = tensors();
    tensors.retain(|(name, ..)| name != "conv_stem.weight");
    for (name, shape, values) in &mut tensors {
        match &name[..] {
            "classifier.bias" => (*shape, *values) = (vec![5], vec![0.0; 5]),
            "conv_head.weight" => values[3] = f32::NAN,
            _ => {}
        }
    }
    tensors.push(("teacher.weight".into(), vec![2], vec![0.0; 2]));
    let Err(BuildError::Weights(WeightsError::Faults(faults))) = load(&safetensors(&tensors)) else {
        panic!("such weights do not fit");
    };
    let [missing, not_finite, shape, extra] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(*missing, Fault::Missing { name: "conv_stem.weight".into(), shape: vec![32, 3, 3, 3] });
    assert!(
        matches!(not_finite, Fault::NotFinite { index: 3, .. }) && not_finite.name() == "conv_head.weight"
    );
    let (expected, found) = (vec![10], vec![5]);
    assert_eq!(*shape, Fault::Shape { name: "classifier.bias".into(), expected, found });
    assert_eq!(*extra, Fault::Extra { name: "teacher.weight".into(), shape: vec![2] });
    let text = WeightsError::Faults(faults).to_string();
    assert!(text.starts_with("4 tensor(s) do not fit:\n  conv_stem.weight: missing"), "{text}");
}

#[test]
fn integers_are_no_weights() {
    let bytes = |(name, shape, values): Named| (name, shape, vec![0u8; 4 * values.len()]);
    let integers: Vec<_> = tensors().into_iter().map(bytes).collect();
    let Err(BuildError::Weights(WeightsError::Faults(faults))) = load(&file(Dtype::I32, &integers)) else {
        panic!("integers do not fit");
    };
    assert_eq!(faults.len(), integers.len());
    assert!(matches!(&faults[0], Fault::Type { found, .. } if found == "I32"), "{}", faults[0]);
}

#[test]
fn damaged_files_are_refused() {
    let whole = safetensors(&tensors());
    for damaged in [&b""[..], b"PK\x03\x04", &[0xff; 64], &whole[..whole.len() - 1], &whole[..100]] {
        assert!(matches!(load(damaged), Err(BuildError::Weights(WeightsError::Malformed(_)))));
    }
}

#[test]
fn pictures_that_do_not_fit_are_refused() {
    let of = |arch: &str, size, classes| {
        build(&Spec { arch: arch.parse::<Arch>().unwrap(), size, classes }, Weights::Seeded(0))
            .map(|m| m.graph)
    };
    for (arch, size) in
        [("efficientformerv2_s0", [48, 64]), ("tinynet_e", [0, 8]), ("mobilenetv1_025", [8, 5000])]
    {
        assert!(matches!(of(arch, size, 2), Err(BuildError::Size { .. })), "{arch} at {size:?}");
    }
    assert!(matches!(of("tinynet_e", [8, 8], 0), Err(BuildError::Classes)));
    for arch in ["efficientformer_l1", "tinynet_e", "mobilenetv1_025", "mobilenetv2_035"] {
        let graph = of(arch, [1, 3], 2).unwrap();
        graph.validate().unwrap();
        assert_eq!(graph.tensor(graph.outputs[0]).shape, [1, 2], "{arch}");
    }
}
