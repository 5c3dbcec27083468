//! int8 ResNet-8 on the 10,000 test pictures of CIFAR-10: all outputs equal the reference's in every byte.

use crate::golden::{data_file, load, path};
use crate::pictures::{jpeg, sorted};
use mote_compiler::convert::{Options, convert};
use mote_compiler::executor::Executor;
use mote_runtime::plan::crc32;
use serde::Deserialize;

/// `mlperf/ic_resnet8_cifar.json`.
#[derive(Deserialize)]
struct Golden {
    model: String,
    model_crc32: u32,
    archive: String,
    count: usize,
    classes: Vec<String>,
    names_crc32: u32,
    correct: usize,
}

/// A record of `mlperf/ic_resnet8_cifar.bin`.
struct Record {
    predicted: u8,
    outputs_crc32: u32,
    pixels_crc32: u32,
}

impl Record {
    fn parse(bytes: &[u8; 9]) -> Self {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        Self { predicted: bytes[0], outputs_crc32: word(1), pixels_crc32: word(5) }
    }
}

#[test]
fn every_test_picture_has_the_reference_prediction() {
    let golden: Golden = load("mlperf/ic_resnet8_cifar.json");
    let records = std::fs::read(path("mlperf/ic_resnet8_cifar.bin")).unwrap();
    let records: Vec<Record> = records.as_chunks().0.iter().map(Record::parse).collect();
    let Some(network) = data_file(&format!("mlperf-tiny/{}", golden.model)) else { return };
    let Some(archive) = data_file(&format!("cifar10/{}", golden.archive)) else { return };
    assert_eq!(crc32(&network), golden.model_crc32, "another network");
    let pictures = sorted(&archive);
    let names: String = pictures.iter().map(|(class, name, _)| format!("{class}/{name}\n")).collect();
    assert_eq!(crc32(names.as_bytes()), golden.names_crc32, "other pictures");
    assert_eq!((pictures.len(), records.len()), (golden.count, golden.count));

    let mut executor = Executor::new(&convert(&network, &Options::default()).unwrap().plan).unwrap();
    let mut correct = 0;
    for ((class, name, file), record) in pictures.iter().zip(&records) {
        let pixels = jpeg::decode(file).unwrap_or_else(|| panic!("{class}/{name}: not read"));
        assert_eq!(crc32(&pixels), record.pixels_crc32, "{class}/{name}: other pixels");
        let codes: Vec<u8> = pixels.iter().map(|&pixel| pixel.wrapping_sub(128)).collect();
        let outputs = executor.run(&[&codes]).unwrap().remove(0);
        let first_maximum = (0..outputs.len()).rev().max_by_key(|&i| outputs[i] as i8).unwrap();
        assert_eq!(first_maximum, usize::from(record.predicted), "{class}/{name}");
        assert_eq!(crc32(&outputs), record.outputs_crc32, "{class}/{name}: other outputs");
        correct += usize::from(golden.classes[first_maximum] == *class);
    }
    let count = golden.count;
    println!("ResNet-8 on CIFAR-10: {count} outputs equal the reference's, {correct} of {count} are right");
    assert_eq!(correct, golden.correct);
}
