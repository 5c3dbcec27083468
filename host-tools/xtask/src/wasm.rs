//! `cargo xtask wasm`: the WebAssembly modules of the npm package, and its tests in Node and in Chromium.

mod demo;
mod networks;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    keyword,
    models::{self, Found},
    steps::{Steps, Tally},
    workspace::{available, capture, cargo, command, root, run as run_command, target},
};

#[derive(clap::Subcommand)]
pub enum Wasm {
    /// Build the modules into targets/wasm/npm/wasm
    Build,
    /// Build a module with the kernels of one plan alone
    Cut {
        /// Plan made by `mote convert --target wasm`
        plan: PathBuf,
        /// Where to write the module
        #[arg(short, long, value_name = "FILE.wasm")]
        output: PathBuf,
    },
    /// Build the demo pages with the bundled networks into target/web-demo, and serve them
    Demo {
        /// Only build
        #[arg(long)]
        no_serve: bool,
    },
    /// Build them, and run the package's tests in Node and, where there is one, in Chromium
    Test,
}

pub fn run(task: &Wasm) -> Result<()> {
    match task {
        Wasm::Build => build(),
        Wasm::Cut { plan, output } => cut(plan, output),
        Wasm::Demo { no_serve } => demo::run(!no_serve),
        Wasm::Test => {
            let mut steps = Steps::default();
            add_steps(&mut steps);
            steps.finish()
        }
    }
}

pub fn add_steps(steps: &mut Steps) {
    steps.run("WebAssembly modules", build);
    if !available("node") {
        return steps.skip("npm package in Node", "no node");
    }
    steps.tests("npm package in Node", in_node);
    match browser() {
        Some(browser) if available("npm") => steps.tests("npm package in Chromium", || in_browser(&browser)),
        Some(_) => steps.skip("npm package in Chromium", "no npm"),
        None => steps.skip("npm package in Chromium", "no Chromium (MOTE_CHROMIUM names one)"),
    }
}

/// A module of the package.
struct Module {
    name: &'static str,
    package: &'static str,
    /// What the engine must have beside the base.
    engine: &'static str,
    /// Features of the crate.
    features: &'static str,
}

const MODULES: &[Module] = &[
    Module {
        name: "mote-dot",
        package: RUNTIME,
        engine: "-Ctarget-feature=+simd128,+relaxed-simd",
        features: "module,dot",
    },
    Module {
        name: "mote-relaxed",
        package: RUNTIME,
        engine: "-Ctarget-feature=+simd128,+relaxed-simd",
        features: "module",
    },
    SIMD,
    Module { name: "mote-plain", package: RUNTIME, engine: "", features: "module" },
    Module { name: "mote-audio", package: "mote-wasm-audio", engine: "", features: "" },
];

const RUNTIME: &str = "mote-wasm";

/// The module for every current engine.
const SIMD: Module =
    Module { name: "mote-simd", package: RUNTIME, engine: "-Ctarget-feature=+simd128", features: "module" };

/// Kernels take a few hundred bytes of stack, the deepest calls a few thousand.
const STACK: &str = "-Clink-arg=-zstack-size=65536";

/// Builds the modules.
pub fn build() -> Result<()> {
    let folder = package().join("wasm");
    fs::create_dir_all(&folder)?;
    for each in MODULES {
        let to = folder.join(format!("{}.wasm", each.name));
        module(each, None, &to)?;
        println!("{}.wasm: {} bytes", each.name, fs::metadata(&to)?.len());
    }
    Ok(())
}

/// Builds the module of one plan.
fn cut(plan: &Path, output: &Path) -> Result<()> {
    let steps = models::facts(plan)?.steps;
    let kernels: BTreeSet<&str> = steps.iter().map(|step| step.kernel.as_str()).collect();
    let kernels: Vec<&str> = kernels.into_iter().collect();
    module(&SIMD, Some(&kernels.join(",")), output)?;
    sizes(&format!("module of {} kernels", kernels.len()), output)
}

/// Builds a module; `kernels`: names of those that it holds, if not all.
fn module(module: &Module, kernels: Option<&str>, to: &Path) -> Result<()> {
    let mut cargo = wasm_cargo("rustc", module);
    cargo.args(["--lib", "--crate-type", "cdylib", "--profile", "wasm"]);
    if let Some(kernels) = kernels {
        cargo.env("MOTE_KERNELS", kernels);
    }
    run_command(&mut cargo)?;
    let built = format!("wasm32-unknown-unknown/wasm/{}.wasm", module.package.replace('-', "_"));
    let built = target()?.join(built);
    fs::copy(&built, to).with_context(|| format!("copying {} to {}", built.display(), to.display()))?;
    Ok(())
}

/// Clippy on the modules' code with vectors. (That without them is the host's, too.)
pub fn clippy() -> Result<()> {
    for module in MODULES.iter().filter(|module| module.package != RUNTIME || !module.engine.is_empty()) {
        run_command(wasm_cargo("clippy", module).args(["--release", "--", "-Dwarnings"]))?;
    }
    Ok(())
}

fn wasm_cargo(task: &str, module: &Module) -> Command {
    let flags: Vec<_> = [module.engine, STACK].into_iter().filter(|flag| !flag.is_empty()).collect();
    let mut cargo = cargo();
    cargo
        .args([task, "--quiet", "--package", module.package, "--target", "wasm32-unknown-unknown"])
        .args(["--features", module.features])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    cargo
}

/// Bytes of a download, as they are and as a server sends them.
pub fn sizes(what: &str, file: &Path) -> Result<()> {
    const SCRIPT: &str = "const b = require('fs').readFileSync(process.argv[1]), z = require('zlib'); \
        console.log(b.length, z.gzipSync(b, { level: 9 }).length, z.brotliCompressSync(b).length)";
    let told = capture(command("node").args(["-e", SCRIPT]).arg(file))?;
    println!("{what}: bytes, gzip, brotli: {}", told.trim());
    Ok(())
}

/// A Chromium: what `MOTE_CHROMIUM` names, or the system's.
pub fn browser() -> Option<PathBuf> {
    if let Some(named) = env::var_os("MOTE_CHROMIUM") {
        return Some(named.into());
    }
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(|name| available(name)).map(|name| {
        let folders = env::var_os("PATH").unwrap_or_default();
        let found = env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file());
        found.unwrap_or_else(|| name.into())
    })
}

/// Writes the cases of the conformance suite, which the package's tests run.
fn cases() -> Result<PathBuf> {
    let cases = target()?.join("wasm-cases.json");
    let mut cargo = cargo();
    cargo.args(["run", "--quiet", "--release", "--package", "mote-conformance", "--example", "cases", "--"]);
    run_command(cargo.arg(&cases))?;
    Ok(cases)
}

/// Node, with relaxed SIMD.
pub fn node() -> Command {
    const RELAXED: &str = "--experimental-wasm-relaxed-simd";
    let mut node = command("node");
    // Older versions have it behind this flag, newer ones don't know it.
    if capture(command("node").args([RELAXED, "-e", "0"])).is_ok() {
        node.arg(RELAXED);
    }
    node
}

/// The package's tests; among them the conformance suite.
fn in_node() -> Result<Tally> {
    let cases = cases()?;
    let mut node = node();
    node.args(["--test", "--test-reporter=tap"]).current_dir(package());
    node.env("MOTE_CASES", &cases).env("MOTE_NETWORKS", networks::write()?);
    tally(&mut node)
}

/// The package in pages, workers and an audio worklet of Chromium, built by Vite, and the page of `mote bundle`.
fn in_browser(browser: &Path) -> Result<Tally> {
    let folder = packages()?;
    let site = demo::pages(&folder)?;
    let page = folder.join("page.html");
    let Found::Here(network) = models::find("mobilenet")? else { bail!("the bundled network is missing") };
    let plan = network.convert_for("wasm", "wasm", &[])?;
    let mut mote = models::mote()?;
    capture(mote.arg("bundle").arg(&plan).arg("--output").arg(&page).args(["--title", "Ten things"]))?;
    let mut node = command("node");
    node.args(["--test", "--test-reporter=tap"]).arg(root().join("tests/web/pages/"));
    node.current_dir(root())
        .env("MOTE_CASES", cases()?)
        .env("MOTE_CHROMIUM", browser)
        .env("MOTE_NETWORKS", networks::write()?)
        .env("MOTE_DEMO", site)
        .env("MOTE_RECORDING", recording()?)
        .env("MOTE_WEB_TESTS", &folder)
        .env("MOTE_PLAN", plan);
    tally(&mut node)
}

/// A recording for the demo to hear: people who say the digits or, where that is not there, what resembles speech.
fn recording() -> Result<PathBuf> {
    let recording = match keyword::people()? {
        Some(people) => Some(people),
        None => keyword::Network::Digits.recording()?,
    };
    Ok(recording.context("no sound")?.wav)
}

/// The folder of Vite, TypeScript and Playwright, which the tests write to, too.
fn packages() -> Result<PathBuf> {
    let folder = target()?.join("web-tests");
    install(&folder, "tests/web/pages/package.json")?;
    Ok(folder)
}

/// Installs what a package.json of tests/web asks for into a folder.
pub fn install(folder: &Path, asked: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::copy(root().join(asked), folder.join("package.json"))?;
    let mut npm = command("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefer-offline"]).current_dir(folder);
    capture(&mut npm)?;
    Ok(())
}

/// Runs tests of Node and counts them.
fn tally(node: &mut Command) -> Result<Tally> {
    let output = node.output().context("starting node")?;
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    let count = |what: &str| {
        let line = told.lines().rev().find_map(|line| line.strip_prefix(what));
        line.and_then(|number| number.trim().parse().ok()).with_context(|| format!("node told no `{what}`"))
    };
    Ok(Tally { passed: count("# pass ")?, failed: count("# fail ")? })
}

fn package() -> PathBuf {
    root().join("targets/wasm/npm")
}
