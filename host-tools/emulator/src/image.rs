//! Builds firmware images and measures them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, elf};

use crate::{
    Error, Result,
    board::Board,
    workspace::{capture, cargo, command, run, target},
};

/// What the app `mote-infer` is built for.
pub struct App<'a> {
    pub board: &'a Board,
    pub plan: &'a Path,
    pub samples: Samples,
    /// With logs. Without them the image holds only what inference needs.
    pub log: bool,
    pub speed: Speed,
}

#[derive(Clone, Copy)]
pub struct Samples {
    pub seed: u64,
    pub count: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Speed {
    /// opt-level 2
    Fast,
    /// opt-level s
    Small,
}

impl Speed {
    fn profile(self) -> &'static str {
        match self {
            Self::Fast => "firmware",
            Self::Small => "firmware-small",
        }
    }
}

impl App<'_> {
    /// Builds the image.
    pub fn build(&self) -> Result<PathBuf> {
        let mut features = vec![self.board.name];
        features.extend(self.log.then_some("log"));
        let environment = [
            ("MOTE_PLAN", fs::canonicalize(self.plan).map_err(Error::file(self.plan))?.display().to_string()),
            ("MOTE_SEED", self.samples.seed.to_string()),
            ("MOTE_SAMPLE_COUNT", self.samples.count.to_string()),
        ];
        build("mote-infer", self.board, self.speed, &features.join(","), &environment)
    }
}

/// Builds all programs of a device crate; the path of the one that is named like the crate, or
/// would be.
pub fn build(
    package: &str,
    board: &Board,
    speed: Speed,
    features: &str,
    environment: &[(&str, String)],
) -> Result<PathBuf> {
    check_target(board)?;
    // A folder of its own: other compiler flags must not throw away what host builds have made.
    let folder = target()?.join("device").join(board.cpu);
    let (variable, flags) = board.rustflags();
    run(cargo()
        .args(["build", "--quiet", "--package", package, "--features", features])
        .args(["--profile", speed.profile(), "--target", board.triple])
        .arg("--target-dir")
        .arg(&folder)
        .env(variable, flags)
        .envs(environment.iter().map(|(name, value)| (name, value))))?;
    Ok(folder.join(board.triple).join(speed.profile()).join(package))
}

/// Fails if the compiler that cargo would start has no library for the board's core.
fn check_target(board: &Board) -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let folder = capture(command(rustc).args(["--print", "target-libdir", "--target", board.triple]))?;
    match Path::new(folder.trim()).is_dir() {
        true => Ok(()),
        false => Err(Error::NoTarget { triple: board.triple }),
    }
}

/// Fails if the image computes in f64, which most of these cores have no instructions for.
pub fn check_single_precision(image: &Path) -> Result<()> {
    let data = fs::read(image).map_err(Error::file(image))?;
    let file = object::File::parse(&*data).map_err(|error| unexpected(image, error.to_string()))?;
    let names = file.symbols().filter_map(|symbol| symbol.name().ok());
    let helpers: Vec<_> =
        names.filter(|name| name.starts_with("__aeabi_d") || name.ends_with("df3")).collect();
    if !helpers.is_empty() {
        return Err(unexpected(image, format!("it computes in f64: {}", helpers.join(", "))));
    }
    Ok(())
}

/// What an image occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Code, constants and initial values: everything that is flashed.
    pub flash: u64,
    /// Initialized and zeroed variables; the stack is not among them.
    pub ram: u64,
}

pub fn sizes(image: &Path) -> Result<Sizes> {
    let data = fs::read(image).map_err(Error::file(image))?;
    let file = object::File::parse(&*data).map_err(|error| unexpected(image, error.to_string()))?;
    let mut sizes = Sizes { flash: 0, ram: 0 };
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        if sh_flags & u64::from(elf::SHF_ALLOC) == 0 {
            continue;
        }
        let zeroed = section.kind() == SectionKind::UninitializedData;
        if !zeroed {
            sizes.flash += section.size();
        }
        if sh_flags & u64::from(elf::SHF_WRITE) != 0 {
            sizes.ram += section.size();
        }
    }
    Ok(sizes)
}

/// Start and end of memory that the board's map sets apart (symbols `name` and `name_end`).
pub fn reserved(image: &Path, name: &str) -> Result<std::ops::Range<u64>> {
    let data = fs::read(image).map_err(Error::file(image))?;
    let file = object::File::parse(&*data).map_err(|error| unexpected(image, error.to_string()))?;
    let address = |name: &str| {
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
        symbol
            .map(|symbol| symbol.address())
            .ok_or_else(|| unexpected(image, format!("it has no symbol {name}")))
    };
    Ok(address(name)?..address(&format!("{name}_end"))?)
}

fn unexpected(image: &Path, reason: String) -> Error {
    Error::Unexpected { path: image.into(), reason }
}
