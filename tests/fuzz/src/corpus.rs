//! The sound files that are mutated: those of `tests/fuzz/corpus` (small networks with all kinds of operators, as
//! the importers' own tests write them), their plans, the committed plans, and the MLPerf Tiny networks where the
//! data folder is there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use mote_compiler::convert::{Options, Precision, convert, import};
use mote_compiler::quantize::Calibration;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plan,
    Tflite,
    Onnx,
    /// What one end of a device's line says.
    Line,
}

/// A sound file.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
    pub bytes: Vec<u8>,
}

/// All files whose name contains `filter`.
pub fn load(filter: &str) -> Result<Vec<Entry>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut entries = Vec::new();
    let mut plans = files(&root.join("tests/golden/plans/v1"))?;
    // What the first version did not have yet.
    plans.push(root.join("tests/golden/plans/v2/sparse.mote"));
    for file in plans {
        if file.with_extension("output").is_file() && file.extension().is_some_and(|e| e == "mote") {
            entries.push(Entry { name: name(&file), kind: Kind::Plan, bytes: fs::read(&file)? });
        }
    }
    for file in files(&root.join("tests/fuzz/corpus"))? {
        let kind = match file.extension().and_then(|extension| extension.to_str()) {
            Some("onnx") => Kind::Onnx,
            Some("tflite") => Kind::Tflite,
            _ => continue,
        };
        let bytes = fs::read(&file)?;
        for (suffix, options) in plans_of(kind, &bytes) {
            // Some files have operators without a kernel: they are for the importers only.
            if let Ok(converted) = convert(&bytes, &options) {
                let name = format!("{}{suffix}.mote", name(&file));
                entries.push(Entry { name, kind: Kind::Plan, bytes: converted.plan });
            }
        }
        entries.push(Entry { name: name(&file), kind, bytes });
    }
    let data = std::env::var_os("MOTE_DATA").map_or(root.join("../shared/data"), PathBuf::from);
    for network in ["ad_int8", "kws_int8", "kws_f32", "sww_int8", "ic_resnet8_int8"] {
        let name = format!("{network}.tflite");
        if let Ok(bytes) = fs::read(data.join("mlperf-tiny").join(&name)) {
            entries.push(Entry { name, kind: Kind::Tflite, bytes });
        }
    }
    entries.push(Entry { name: "device.line".into(), kind: Kind::Line, bytes: crate::line::recording() });
    entries.retain(|entry| entry.name.contains(filter));
    if entries.is_empty() {
        bail!("no file of the corpus is called {filter}");
    }
    Ok(entries)
}

/// The plans that are made of a model file.
fn plans_of(kind: Kind, bytes: &[u8]) -> Vec<(&'static str, Options)> {
    let as_is = Options::default();
    let imported = import(bytes, &as_is).ok().filter(|_| kind == Kind::Onnx);
    let Some(imported) = imported else { return vec![("", as_is)] };
    let half = Options { precision: Precision::F16, ..Options::default() };
    let calibration = Some(Calibration::random(&imported.graph, 4, 1));
    let int8 = Options { precision: Precision::Int8, calibration, ..Options::default() };
    vec![("", as_is), ("-f16", half), ("-int8", int8)]
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
