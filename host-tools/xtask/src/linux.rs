//! Programs for 64-bit Arm under Linux: built with another linker, run by `qemu-aarch64`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    counts::{Log, Section},
    qemu,
    workspace::{cargo, command, run, shown, target},
};

pub const TRIPLE: &str = "aarch64-unknown-linux-gnu";
pub const LINKER: &str = "aarch64-linux-gnu-gcc";

/// A core that the emulator knows, for each set of instructions that the kernels know.
pub struct Core {
    /// Short name.
    pub level: &'static str,
    /// The emulator's name.
    pub cpu: &'static str,
    /// What `Level` of `targets/aarch64` calls it.
    pub name: &'static str,
}

pub const CORES: &[Core] = &[
    Core { level: "neon", cpu: "cortex-a53", name: "Neon" },
    Core { level: "dotprod", cpu: "neoverse-n1", name: "DotProduct" },
    Core { level: "i8mm", cpu: "max", name: "MatrixMultiply" },
];

/// Cargo for these programs, which are linked with all that they need.
pub fn cross(subcommand: &str) -> Result<Command> {
    let mut cargo = cargo();
    cargo
        .args([subcommand, "--target", TRIPLE, "--target-dir"])
        .arg(target()?.join("linux"))
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    Ok(cargo)
}

/// The tests of the kernels and the conformance suite, on a core.
pub fn tests(core: &Core) -> Result<Command> {
    let mut tests = cross("test")?;
    tests
        .args(["--release", "--no-fail-fast", "--package", "mote-aarch64", "--package", "mote-conformance"])
        .args(["--features", "mote-aarch64/pack,mote-aarch64/std"])
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", format!("qemu-aarch64 -cpu {}", core.cpu))
        .env("MOTE_LEVEL", core.name);
    Ok(tests)
}

/// The program that runs plans (`tests/on-linux`): for 64-bit Arm, with further features of the core that the compiler may
/// use; or for this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    Arm { features: &'static str },
    Host,
}

/// Builds the program.
pub fn program(machine: Machine) -> Result<PathBuf> {
    const NAME: &str = "mote-on-linux";
    let folder = target()?.join("linux");
    let (mut build, built) = match machine {
        Machine::Arm { features } => {
            let mut build = cross("build")?;
            if !features.is_empty() {
                build.env(
                    "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
                    format!("-Ctarget-feature=+crt-static,{features}"),
                );
            }
            (build, folder.join(TRIPLE).join("linux").join(NAME))
        }
        Machine::Host => {
            let mut build = cargo();
            build.args(["build", "--target-dir"]).arg(&folder);
            let name = Path::new(NAME).with_extension(std::env::consts::EXE_EXTENSION);
            (build, folder.join("linux").join(name))
        }
    };
    run(build.args(["--quiet", "--profile", "linux", "--package", NAME]))?;
    let Machine::Arm { features } = machine else { return Ok(built) };
    // The next build with other features takes the same place.
    let kept = built.with_file_name(format!("{NAME}{}", features.replace([',', '+'], "_")));
    if kept != built {
        fs::copy(&built, &kept)?;
    }
    Ok(kept)
}

/// A run of the program.
pub struct Run<'a> {
    pub program: &'a Path,
    pub plan: &'a Path,
    pub samples: &'a Path,
    pub count: usize,
}

/// What a run came to.
pub struct Outcome {
    /// Bytes of the outputs of all samples.
    pub outputs: Vec<u8>,
    /// The last inference.
    pub inference: Section,
    /// The step of each of its laps.
    pub laps: Vec<u16>,
}

impl Run<'_> {
    /// Outputs of the program for this machine.
    pub fn here(&self) -> Result<Vec<u8>> {
        outputs(self.with(command(self.program)))
    }

    /// Runs the program on an emulated core and counts its instructions, with `laps` those of each step.
    pub fn on(&self, cpu: &str, laps: bool) -> Result<Outcome> {
        let folder = target()?.join("qemu");
        fs::create_dir_all(&folder)?;
        let file = |kind: &str| folder.join(format!("{}.{kind}", std::process::id()));
        let (counts, steps) = (file("counts"), file("laps"));
        let mut emulator = command("qemu-aarch64");
        emulator.args(["-cpu", cpu, "-plugin"]);
        emulator.arg(format!("{},out={}", qemu::plugin(&folder)?.display(), counts.display()));
        emulator.arg(self.program);
        let mut emulator = self.with(emulator);
        if laps {
            emulator.arg(&steps);
        }
        let outputs = outputs(emulator)?;
        let inference = Log::read(&counts)?.take("inference", self.count.saturating_sub(1))?;
        let laps = if laps { fs::read(&steps)? } else { Vec::new() };
        let laps = laps.as_chunks().0.iter().map(|&step| u16::from_le_bytes(step)).collect();
        for file in [counts, steps] {
            let _ = fs::remove_file(file); // may not exist
        }
        Ok(Outcome { outputs, inference, laps })
    }

    fn with(&self, mut command: Command) -> Command {
        command.arg(self.plan).arg(self.samples).arg(self.count.to_string());
        command
    }
}

fn outputs(mut command: Command) -> Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output();
    let output =
        output.with_context(|| format!("starting {} (cargo xtask setup installs it)", shown(&command)))?;
    if !output.status.success() {
        bail!("{}: {}", output.status, shown(&command));
    }
    Ok(output.stdout)
}
