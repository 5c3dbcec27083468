//! `include_plan!`: a sound plan compiles to its sizes and to its kernels; a wrong one does not compile, and the
//! compiler's message says why.
#![cfg(feature = "pack")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mote_runtime::plan::*;
use mote_runtime::{Aligned, Engine, include_plan};

include_plan!(mod plain = "../../tests/golden/plans/v1/plain.mote");
include_plan!(mod rows = "../../tests/golden/plans/v1/rows.mote");

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/plans/v1").join(name)).unwrap()
}

#[test]
fn a_sound_plan_gives_its_sizes_and_runs() {
    // The sizes are constants: they can be the length of an array.
    let mut arena = Aligned([0u8; plain::ARENA_BYTES]);
    let mut state = Aligned([0u8; plain::STATE_BYTES]);
    let file = golden("plain.mote");
    let plan = Plan::parse(&file).unwrap();
    assert_eq!((plain::ARENA_BYTES, plain::STATE_BYTES), (plan.arena_bytes(), plan.state_bytes()));
    assert_eq!(plain::KERNELS.as_slice().len(), plan.kernels());
    let view = plan.port_view(0, 0).unwrap();
    assert_eq!((plain::INPUT_SLICE_BYTES, plain::INPUT_IS_RING), (view.slice_bytes(), false));

    let input = golden("plain.input");
    let expected = golden("plain.output");
    let mut engine =
        Engine::new(&plain::PLAN, plain::KERNELS.as_slice(), &mut arena.0, &mut state.0).unwrap();
    let mut outputs = Vec::new();
    for sample in input.chunks_exact(engine.input(0).unwrap().len()) {
        engine.input(0).unwrap().copy_from(sample).unwrap();
        engine.run().unwrap();
        outputs.extend_from_slice(engine.output(0).unwrap().bytes());
    }
    assert_eq!(outputs, expected);
}

#[test]
fn a_plan_by_rows_tells_the_bytes_of_a_row() {
    let file = golden("rows.mote");
    let view = Plan::parse(&file).unwrap().port_view(0, 0).unwrap();
    assert_eq!((rows::INPUT_IS_RING, rows::INPUT_SLICE_BYTES), (view.is_ring(), view.slice_bytes()));
    const { assert!(rows::INPUT_IS_RING) };
}

#[test]
fn a_wrong_plan_does_not_compile() {
    let sound = golden("plain.mote");
    let header = Header::read(&sound, 0).unwrap();
    let section = |kind: u16| {
        let records = (0..usize::from(header.sections)).map(|i| Header::SIZE + i * SectionRecord::SIZE);
        let mut records = records.map(|at| SectionRecord::read(&sound, at).unwrap());
        records.find(|record| record.kind == kind).unwrap().offset as usize
    };
    let damaged = |at: usize, bytes: &[u8], sealed: bool| {
        let mut file = sound.clone();
        assert_ne!(&file[at..at + bytes.len()], bytes);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        if sealed {
            let crc = crc32(&file[CRC_FROM..]).to_le_bytes();
            file[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc);
        }
        file
    };
    let weights = section(section::WEIGHTS);
    let flipped = [sound[weights] ^ 1];
    let cases = [
        ("sound", sound.clone(), None),
        (
            "crc",
            damaged(weights, &flipped, false),
            Some("this plan file is damaged or of another version: convert the model again"),
        ),
        (
            "version",
            damaged(8, &99u16.to_le_bytes(), true),
            Some("this plan file is damaged or of another version: convert the model again"),
        ),
        (
            "kernel",
            damaged(section(section::KERNELS), &999u16.to_le_bytes(), true),
            Some("this plan calls a kernel that the library does not hold"),
        ),
        (
            "arguments",
            damaged(section(section::ARGS), &u32::MAX.to_le_bytes(), true),
            Some("a kernel of this plan refuses its arguments: convert the model again"),
        ),
    ];
    let firmware = Firmware::new();
    for (name, plan, refusal) in cases {
        let errors = firmware.errors(&plan);
        match refusal {
            None => assert!(errors.is_none(), "{name}: {errors:?}"),
            Some(words) => {
                let errors = errors.unwrap_or_else(|| panic!("{name}: compiles"));
                assert!(errors.contains(words), "{name}: {errors}");
            }
        }
    }
}

/// A crate that embeds `plan.mote`, in the build folder.
struct Firmware {
    folder: PathBuf,
}

impl Firmware {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("include-plan");
        fs::create_dir_all(folder.join("src")).unwrap();
        let runtime = env!("CARGO_MANIFEST_DIR");
        let manifest = format!(
            "[package]\nname = \"include-plan\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [workspace]\n\n[dependencies]\nmote-runtime = {{ path = {runtime:?} }}\n"
        );
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        // The versions that this workspace uses are on this machine already.
        fs::copy(Path::new(runtime).join("../Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        let code = "#![no_std]\nmote_runtime::include_plan!(pub mod network = \"plan.mote\");\n";
        fs::write(folder.join("src/lib.rs"), code).unwrap();
        Self { folder }
    }

    /// What the compiler says against the plan.
    fn errors(&self, plan: &[u8]) -> Option<String> {
        fs::write(self.folder.join("src/plan.mote"), plan).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--offline", "--color", "never", "--target-dir"])
            .arg(self.folder.join("target"));
        let output = cargo.current_dir(&self.folder).env_remove("CARGO_TARGET_DIR").output().unwrap();
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
