//! The builders against timm: names and shapes of all tensors, counts, and logits of a `.safetensors` file that holds
//! timm's state, filled by name (`tests/golden/families.py`).

mod support;

use mote_compiler::convert::{Options, compile};
use mote_compiler::executor::Executor;
use mote_models::{Arch, Checkpoint, Model, Role, Spec, Weights, build};
use serde::Deserialize;
use support::{difference, filled, picture, range, safetensors};

/// Largest difference, of the range of the logits.
const LIMIT: f32 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    size: [usize; 2],
    classes: usize,
    gain: f32,
    parameters: u64,
    tensors: usize,
    names_crc32: u32,
    values_crc32: u32,
    pictures: Vec<u64>,
    logits: Vec<String>,
}

impl Case {
    fn spec(&self) -> Spec {
        Spec { arch: self.name.parse().unwrap(), size: self.size, classes: self.classes }
    }
}

fn cases() -> Vec<Case> {
    let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/families.json")).unwrap();
    golden.cases
}

#[test]
fn tensors_have_the_names_and_shapes_of_timm() {
    for case in cases() {
        let model = build(&case.spec(), Weights::Shapes).unwrap();
        let line = |p: &mote_models::Parameter| format!("{} {:?}\n", p.name, p.shape);
        let mut lines: Vec<String> = model.parameters.iter().map(line).collect();
        lines.sort();
        let crc = crc32fast::hash(lines.concat().as_bytes());
        assert_eq!(lines.len(), case.tensors, "{}", case.name);
        assert_eq!(crc, case.names_crc32, "{}: other names or shapes", case.name);
        assert_eq!(model.parameter_count(), case.parameters, "{}", case.name);
    }
}

fn logits_agree(family: &str) {
    let mut seen = 0;
    for case in cases().iter().filter(|case| case.name.starts_with(family)) {
        seen += 1;
        let shapes = build(&case.spec(), Weights::Shapes).unwrap();
        let file = state(&shapes, case);
        let checkpoint = Checkpoint::parse(&file).unwrap();
        let model = build(&case.spec(), Weights::Checkpoint(&checkpoint)).unwrap();
        model.graph.validate().unwrap();
        let plan = compile(model.graph, &Options::default()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let mut executor = Executor::new(&plan.plan).unwrap();
        let mut worst = 0.0f32;
        for (&seed, logits) in case.pictures.iter().zip(&case.logits) {
            let own = executor.run_reals(&[&picture(seed, case.size)]).unwrap().remove(0);
            let theirs = support::decode(logits);
            worst = worst.max(difference(&own, &theirs) / range(&theirs));
        }
        let [rows, columns] = case.size;
        println!("{} {rows} x {columns}: {worst:.1e} of the range, limit {LIMIT:.0e}", case.name);
        assert!(worst <= LIMIT, "{}: {worst:e} of the range", case.name);
    }
    assert!(seen > 0);
}

/// timm's state as a file; its numbers are the ones that timm had.
fn state(model: &Model, case: &Case) -> Vec<u8> {
    let read = model.parameters.iter().filter(|p| p.role != Role::Beside);
    let mut tensors: Vec<_> =
        read.map(|p| (p.name.clone(), p.shape.clone(), filled(&p.name, &p.shape, case.gain))).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut crc = crc32fast::Hasher::new();
    for (_, _, values) in &tensors {
        values.iter().for_each(|x| crc.update(&x.to_le_bytes()));
    }
    assert_eq!(crc.finalize(), case.values_crc32, "{}: other numbers", case.name);
    safetensors(&tensors)
}

#[test]
fn tinynet_has_the_logits_of_timm() {
    logits_agree("tinynet");
}

#[test]
fn mobilenet_has_the_logits_of_timm() {
    logits_agree("mobilenet");
}

#[test]
fn efficientformer_has_the_logits_of_timm() {
    logits_agree("efficientformer_");
}

#[test]
fn efficientformer_v2_has_the_logits_of_timm() {
    logits_agree("efficientformerv2_");
}

#[test]
fn arch_of_a_case_is_its_name() {
    for case in cases() {
        assert_eq!(case.name.parse::<Arch>().unwrap().to_string(), case.name);
    }
}
