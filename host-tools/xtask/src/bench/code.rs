//! `cargo xtask bench code`: how much code each kernel of a target is.
//!
//! The image for plans that come at run time holds every kernel of the target. In that image stands the library's table: name and address of each kernel. From there calls are followed, so that each kernel has the list of
//! the functions that it reaches. `mote inspect` adds up the functions that a plan's kernels reach, each once;
//! [`check`] compares that with an image that holds this plan's kernels only.

use std::{collections::BTreeMap, collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use mote_emulator::profile;
use object::ObjectSection;
use serde::Serialize;

use crate::{
    board::Board,
    calls::{Function, constants, functions, reached},
    image::{App, Samples, Speed},
    models::{self, Facts, Found},
    workspace::root,
};

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, value_delimiter = ',', default_value = "m4,m7,m33,m55")]
    core: Vec<String>,
}

/// The file that `mote inspect` reads.
#[derive(Serialize)]
struct Table {
    measured: String,
    /// Code of the bundled network's image that no kernel reaches: engine, start-up, app.
    rest_bytes: u64,
    functions: Vec<u64>,
    kernels: BTreeMap<String, Vec<usize>>,
}

pub fn run(options: &Options) -> Result<()> {
    for core in &options.core {
        let board = Board::by_core(core)?;
        let table = measure(board)?;
        let file = root().join("host-tools/cli/code").join(board.plan_target).with_extension("json");
        println!(
            "{}: {} kernels, {} functions of {} bytes, {} of engine, start-up and app -> {}",
            board.plan_target,
            table.kernels.len(),
            table.functions.len(),
            table.functions.iter().sum::<u64>(),
            table.rest_bytes,
            file.display()
        );
        fs::write(&file, serde_json::to_string(&table)? + "\n")?;
    }
    Ok(())
}

fn measure(board: &Board) -> Result<Table> {
    let Found::Here(model) = models::find("cifar10")? else { bail!("the bundled network is missing") };
    let plan = model.convert(board, &["--strip".to_owned()])?;
    let samples = Samples { seed: 1, count: 1 };
    let app = App { board, plan: &plan, samples, log: false, speed: Speed::Fast };
    let rest_bytes = Image::read(&app.build()?)?.outside_kernels()?;
    let image = Image::read(&profile::image(board)?)?;
    let file = image.file()?;
    let all = functions(&file);
    let mut index: BTreeMap<u64, usize> = BTreeMap::new();
    let mut sizes = Vec::new();
    let mut kernels = BTreeMap::new();
    for (name, address) in library(&file, &all)? {
        let mut own = Vec::new();
        for function in reached(&file, &all, address) {
            own.push(*index.entry(function).or_insert_with(|| {
                sizes.push(all.get(&function).map_or(0, |function| function.size));
                sizes.len() - 1
            }));
        }
        own.sort_unstable();
        kernels.insert(name, own);
    }
    let measured = format!("{} on the {}, opt-level 3", board.cpu, board.name);
    Ok(Table { measured, rest_bytes, functions: sizes, kernels })
}

/// Most that the code of a plan may differ from what its image holds: with all kernels in one image the compiler shares
/// or inlines other functions than with a few.
const TOLERANCE: f64 = 0.1;

/// Fails if what `mote inspect` tells of a plan's code is not what the image with this plan holds. Targets that were
/// not measured pass.
pub fn check(image: &Path, facts: &Facts) -> Result<()> {
    let Some(told) = facts.code_bytes else { return Ok(()) };
    let held = Image::read(image)?.in_kernels()?;
    let off = (told as f64 - held as f64) / held as f64;
    eprintln!("code of kernels: {told} bytes told, {held} in the image ({:+.1} %)", 100.0 * off);
    if off.abs() > TOLERANCE {
        bail!(
            "mote inspect tells {told} bytes of code, the image holds {held}: run `cargo xtask bench code`"
        );
    }
    Ok(())
}

struct Image {
    data: Vec<u8>,
}

impl Image {
    fn read(path: &Path) -> Result<Self> {
        let data = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { data })
    }

    fn file(&self) -> Result<object::File<'_>> {
        Ok(object::File::parse(&*self.data)?)
    }

    /// Bytes of all functions that kernels reach, in an image that holds the kernels of one plan.
    fn in_kernels(&self) -> Result<u64> {
        let file = self.file()?;
        let all = functions(&file);
        let size = |function: &u64| all.get(function).map_or(0, |function| function.size);
        Ok(self.reached_by_kernels(&file, &all)?.iter().map(size).sum())
    }

    /// Bytes of all other functions.
    fn outside_kernels(&self) -> Result<u64> {
        let file = self.file()?;
        let all = functions(&file);
        let kernels = self.reached_by_kernels(&file, &all)?;
        Ok(all.iter().filter(|(at, _)| !kernels.contains(at)).map(|(_, function)| function.size).sum())
    }

    /// Functions that kernels reach: those whose address is a constant are the plan's.
    fn reached_by_kernels(
        &self,
        file: &object::File,
        all: &BTreeMap<u64, Function>,
    ) -> Result<BTreeSet<u64>> {
        let mut found = BTreeSet::new();
        for section in constants(file) {
            for word in section.data()?.as_chunks().0 {
                let Some(at) = odd(u32::from_le_bytes(*word)) else { continue };
                let kernel =
                    all.get(&at).is_some_and(|f| f.names.iter().any(|name| name.contains("::kernels::")));
                if kernel {
                    found.extend(reached(file, all, at));
                }
            }
        }
        ensure!(!found.is_empty(), "the image holds no kernel that could be measured");
        Ok(found)
    }
}

/// The address of a function, if the word can be a pointer to one.
fn odd(word: u32) -> Option<u64> {
    (word & 1 == 1).then_some(u64::from(word & !1))
}

/// Fewest kernels of a library.
const FEWEST: usize = 40;

/// The library's table: the longest run of records of a name (address and length), a function, and an identifier.
fn library(file: &object::File, all: &BTreeMap<u64, Function>) -> Result<Vec<(String, u64)>> {
    let sections: Vec<_> = constants(file).collect();
    let text = |at: u32, length: u32| -> Option<String> {
        let data = sections.iter().find_map(|s| s.data_range(at.into(), length.into()).ok().flatten())?;
        let name = std::str::from_utf8(data).ok()?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        (name.len() > 2 && name.chars().all(plain)).then(|| name.to_owned())
    };
    let mut longest = Vec::new();
    for section in &sections {
        let data = section.data()?;
        for start in (0..16).step_by(4) {
            let words: Vec<u32> = data
                .get(start..)
                .unwrap_or(&[])
                .as_chunks()
                .0
                .iter()
                .map(|&word| u32::from_le_bytes(word))
                .collect();
            let mut run = Vec::new();
            for record in words.as_chunks::<4>().0 {
                let entry = text(record[0], record[1].min(64))
                    .zip(odd(record[2]))
                    .filter(|(_, at)| all.contains_key(at));
                match entry {
                    Some(entry) => run.push(entry),
                    None => run.clear(),
                }
                if run.len() > longest.len() {
                    longest = run.clone();
                }
            }
        }
    }
    ensure!(longest.len() >= FEWEST, "the table of kernels was not found: {} entries", longest.len());
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_to_functions_are_odd() {
        assert_eq!(odd(0x4001), Some(0x4000));
        assert_eq!(odd(0x4000), None);
    }
}
