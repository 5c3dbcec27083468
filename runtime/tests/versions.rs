//! Plans of every format version that was ever released must load and give what they gave, or be refused with the
//! words that were promised. `tests/golden/plans/README.md` tells what the files are.
#![cfg(feature = "pack")]

#[path = "support/stack.rs"]
mod stacks;

use std::fs;
use std::path::{Path, PathBuf};

use mote_runtime::engine::Progress;
use mote_runtime::kernels::sparse::Block;
use mote_runtime::plan::*;
use stacks::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/plans")
}

/// What the plan gives for all of `input`, one result behind the other.
fn answers(file: &[u8], input: &[u8]) -> Result<Vec<u8>, String> {
    let run = |engine: &mut mote_runtime::Engine<'_>| {
        let mut outputs = Vec::new();
        let region = engine.plan().region(0).ok_or(mote_runtime::Error::Drive)?;
        let frame = engine.plan().port(0).and_then(|port| engine.plan().operand(port.operand.into()));
        let frame = frame.map_or(1, |view| view.rows * view.row_bytes) as usize;
        match RegionKind::from_code(region.kind) {
            Some(RegionKind::Plain) => {
                let whole = engine.input(0)?.len();
                for sample in input.chunks_exact(whole) {
                    engine.input(0)?.copy_from(sample)?;
                    engine.run()?;
                    outputs.extend_from_slice(engine.output(0)?.bytes());
                }
            }
            kind => {
                for frame in input.chunks_exact(frame) {
                    let endless = kind == Some(RegionKind::Endless);
                    let progress = if endless { engine.step(frame)? } else { engine.push(frame)? };
                    if progress == Progress::Ready {
                        outputs.extend_from_slice(engine.output(0)?.bytes());
                    }
                }
            }
        }
        Ok(outputs)
    };
    with_engine(file, run).and_then(|result| result).map_err(|error| error.to_string())
}

#[test]
fn every_version_loads_or_is_refused_as_promised() {
    let mut versions: Vec<u16> = Vec::new();
    for entry in fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        let Some(version) = name.strip_prefix('v') else { continue };
        versions.push(version.parse().unwrap());
        let mut plans = 0;
        for file in fs::read_dir(&entry).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "mote") {
                check(&file);
                plans += 1;
            }
        }
        assert!(plans >= 7, "{name}: {plans} plans");
    }
    versions.sort_unstable();
    let all: Vec<u16> = (1..=VERSION).collect();
    assert_eq!(versions, all, "each version keeps its plans: see tests/golden/plans/README.md");
}

fn check(path: &Path) {
    let file = fs::read(path).unwrap();
    let beside = |extension| fs::read(path.with_extension(extension));
    match beside("error") {
        Ok(promised) => {
            // Which versions are read is the one thing in these words that may change.
            let promised = String::from_utf8(promised).unwrap();
            let promised = promised.replace("{oldest}", &OLDEST_VERSION.to_string());
            let promised = promised.replace("{newest}", &VERSION.to_string());
            assert_eq!(answers(&file, &[]).unwrap_err(), promised.trim_end(), "{}", path.display());
        }
        Err(_) => {
            let (input, output) = (beside("input").unwrap(), beside("output").unwrap());
            let found = answers(&file, &input).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(!output.is_empty() && found == output, "{}: other results", path.display());
        }
    }
}

/// Writes the plans of the present version. They are written once, when the version is new, and never again.
#[test]
#[ignore = "writes files: only for a new format version"]
fn write_the_plans_of_this_version() {
    let folder = folder().join(format!("v{VERSION}"));
    assert!(!folder.exists(), "{} is there: committed plans never change", folder.display());
    fs::create_dir_all(&folder).unwrap();

    let mut random = Random(0x6d6f_7465);
    let input = [10, 6, 3];
    let mut layers = network(&mut random, input, false);
    let image = random.codes(2 * input.iter().product::<usize>());
    let image: Vec<u8> = image.iter().map(|&code| code as u8).collect();
    let plain = dressed(plan(input, &layers, Drive::Whole)).finish();
    let sound = |name: &str, file: &[u8], input: &[u8]| {
        let path = folder.join(name);
        fs::write(path.with_extension("mote"), file).unwrap();
        fs::write(path.with_extension("input"), input).unwrap();
        fs::write(path.with_extension("output"), answers(file, input).unwrap()).unwrap();
    };
    sound("plain", &plain, &image);
    sound("rows", &dressed(plan(input, &layers, Drive::Rows(true))).finish(), &image);
    layers = network(&mut random, input, true);
    sound("endless", &dressed(plan(input, &layers, Drive::Endless)).finish(), &image);
    sound("apart", &dressed(plan(input, &layers, Drive::Apart)).finish(), &image);
    let optional = SectionRecord { kind: 1000, flags: 0, offset: 0, bytes: 0, stride: 0 };
    sound("unknown-section", &with_section(&plain, optional), &image);

    let refused = |name: &str, file: &[u8]| {
        let error = answers(file, &[]).unwrap_err();
        let read = format!("reads {OLDEST_VERSION} to {VERSION}");
        let path = folder.join(name);
        fs::write(path.with_extension("mote"), file).unwrap();
        let error = error.replace(&read, "reads {oldest} to {newest}");
        fs::write(path.with_extension("error"), error + "\n").unwrap();
    };
    let required = SectionRecord { flags: section_flags::REQUIRED, ..optional };
    refused("required-section", &with_section(&plain, required));
    let mut changed = plain.clone();
    changed[8..10].copy_from_slice(&u16::MAX.to_le_bytes());
    refused("newer-version", &changed);
    let mut changed = plain.clone();
    changed[10..12].reverse();
    refused("other-byte-order", &changed);
    let mut changed = plain.clone();
    changed[plain.len() - 1] ^= 1;
    refused("damaged", &changed);
    refused("cut-short", &plain[..plain.len() - 1]);
}

/// Writes the plan with sparse layers, which came after the others of version 2.
#[test]
#[ignore = "writes files: once"]
fn write_the_sparse_plan() {
    let folder = folder().join("v2");
    let path = folder.join("sparse");
    assert!(!path.with_extension("mote").exists(), "committed plans never change");
    let mut random = Random(0x7370_6d6d);
    let input = [9, 11, 6];
    let layers = sparse_network(&mut random, input);
    let image: Vec<u8> =
        random.codes(2 * input.iter().product::<usize>()).iter().map(|&code| code as u8).collect();
    let file = dressed(plan(input, &layers, Drive::Rows(true))).finish();
    let output = answers(&file, &image).unwrap();
    let whole = dressed(plan(input, &layers, Drive::Whole)).finish();
    assert_eq!(answers(&whole, &image).unwrap(), output);
    for (extension, bytes) in [("mote", &file), ("input", &image), ("output", &output)] {
        fs::write(path.with_extension(extension), bytes).unwrap();
    }
}

/// Sparse layers of every block between windows, pushed row by row as well as at once.
#[test]
fn sparse_layers_give_the_same_over_rows() {
    let mut random = Random(77);
    let input = [9, 11, 6];
    let layers = sparse_network(&mut random, input);
    let image: Vec<u8> =
        random.codes(3 * input.iter().product::<usize>()).iter().map(|&code| code as u8).collect();
    let drives = [Drive::Whole, Drive::Rows(true)].map(|drive| {
        let file = dressed(plan(input, &layers, drive)).finish();
        answers(&file, &image).unwrap()
    });
    assert!(!drives[0].is_empty() && drives[0] == drives[1]);
}

fn sparse_network(random: &mut Random, input: [usize; 3]) -> Vec<Layer> {
    let one = |stride| Window { size: 1, stride, dilation: 1, pad: (0, 0) };
    let mut shape = input;
    let mut layers = Vec::new();
    for (block, out_channels) in Block::ALL.into_iter().zip([9, 8, 13, 7, 10]) {
        let stride = if layers.len() == 3 { 2 } else { 1 };
        let own =
            layer(random, Kind::Sparse { out_channels, block }, shape, one(stride), one(stride)).unwrap();
        shape = own.shape;
        layers.push(own);
        if layers.len() == 1 {
            let three = Window { size: 3, stride: 1, dilation: 1, pad: (1, 1) };
            layers.push(layer(random, Kind::Depthwise, shape, three, three).unwrap());
        }
    }
    layers
}

/// Layers of all kinds, with strides, dilations and padding; without end padding where the stream has no end.
fn network(random: &mut Random, input: [usize; 3], endless: bool) -> Vec<Layer> {
    let after = |after| if endless { 0 } else { after };
    let window = |size, stride, dilation, pad| Window { size, stride, dilation, pad };
    let mut layers = Vec::new();
    let mut shape = input;
    let mut add = |kind, rows, columns| {
        let layer = layer(random, kind, shape, rows, columns).unwrap();
        shape = layer.shape;
        layers.push(layer);
    };
    add(Kind::Conv { out_channels: 5 }, window(3, 1, 1, (1, after(1))), window(3, 2, 1, (1, 1)));
    // Causal, so that the sum below finds equal shapes in all drives.
    let causal = if endless { (2, 0) } else { (1, 1) };
    add(Kind::Depthwise, window(3, 1, 1, causal), window(3, 1, 1, (1, 1)));
    let one = window(1, 1, 1, (0, 0));
    add(Kind::Residual, one, one);
    add(Kind::MaxPool, window(2, 2, 1, (0, 0)), window(2, 1, 1, (0, 1)));
    add(Kind::Conv { out_channels: 4 }, window(2, 1, 2, (1, after(1))), window(1, 1, 1, (0, 0)));
    add(Kind::AveragePool, window(2, 1, 1, (1, 0)), window(2, 1, 1, (0, 0)));
    layers
}

/// Adds what is optional: labels, preprocessing, a quantization, and a state that starts at the zero point.
fn dressed(mut writer: PlanWriter) -> PlanWriter {
    writer.labels = vec!["first".into(), "second".into()];
    writer.preprocess.push(PreprocessRecord {
        port: 0,
        fit: 1,
        filter: 1,
        order: 0,
        layout: 0,
        resize: 12,
        height: 10,
        width: 6,
        mean0: 0.5,
        mean1: 0.5,
        mean2: 0.5,
        deviation0: 0.25,
        deviation1: 0.25,
        deviation2: 0.25,
    });
    writer.quant(0.05, ZERO_POINT);
    if writer.state_bytes > 0 {
        let count = writer.state_bytes;
        writer.fill(FillRecord { offset: 0, count, bytes: 1, value: ZERO_POINT as u8 as u32 });
    }
    writer
}

/// The plan with one more section of four bytes at its end.
fn with_section(file: &[u8], record: SectionRecord) -> Vec<u8> {
    let header = Header::read(file, 0).unwrap();
    let (table, room) = (Header::SIZE + usize::from(header.sections) * SectionRecord::SIZE, 16);
    assert_eq!(SectionRecord::SIZE, room, "everything behind the table moves by a whole alignment");
    let old = (0..header.sections).map(|i| {
        let record = SectionRecord::read(file, Header::SIZE + usize::from(i) * room).unwrap();
        SectionRecord { offset: record.offset + room as u32, ..record }
    });
    let end = (file.len() + room) as u32;
    let new = SectionRecord { offset: end, bytes: 4, ..record };
    let header = Header { sections: header.sections + 1, length: end + 4, ..header };
    let mut out = header.to_bytes();
    old.chain([new]).for_each(|record| record.write(&mut out));
    out.extend_from_slice(&file[table..]);
    out.extend_from_slice(b"more");
    let crc = crc32(&out[CRC_FROM..]).to_le_bytes();
    out[12..16].copy_from_slice(&crc);
    out
}
