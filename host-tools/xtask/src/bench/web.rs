//! `cargo xtask bench web`: Mote beside onnxruntime-web, LiteRT.js and rten, in Node or in Chromium, interleaved
//! (`tests/web/bench.mjs`). Makes what that needs: the modules, the peers, the networks with their weights, and the plans.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    models, wasm,
    workspace::{available, capture, cargo, command, root, run as run_command, target},
};

/// Networks of `tests/golden/vision`; behind [`SPARSE`] stands how many weights of a hundred in 1x1 convolutions are zeros, with
/// `x4` in blocks of four input channels.
const NETWORKS: &[&str] = &[
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv3_small_100",
    "tinynet_a",
    "tinynet_e",
    "efficientformer_l1",
    "efficientformerv2_s0",
    "mobilenetv1_100_sparse90",
    "mobilenetv2_100_sparse90",
    "mobilenetv1_100_sparse90x4",
    "mobilenetv2_100_sparse90x4",
];

/// Divides a network's name from its share of zeros.
const SPARSE: &str = "_sparse";

#[derive(clap::Args)]
pub struct Options {
    /// Networks of tests/golden/vision, as they are or with NAME_sparse90's share of zeros, NAME_sparse90x4's in blocks; all if none is named
    networks: Vec<String>,
    /// Turns of each contestant, in three visits to each network
    #[arg(long, default_value_t = 15)]
    rounds: u32,
    /// Time from the model's bytes to the first result, instead of that of runs
    #[arg(long, conflicts_with = "node")]
    first: bool,
    /// In Node instead of in Chromium: without LiteRT.js
    #[arg(long)]
    node: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let names: Vec<&str> = match &options.networks[..] {
        [] => NETWORKS.to_vec(),
        named => named.iter().map(String::as_str).collect(),
    };
    for program in ["node", "npm"] {
        if !available(program) {
            bail!("no {program}: install Node 20 or later");
        }
    }
    wasm::build()?;
    let folder = target()?.join("web");
    fs::create_dir_all(&folder)?;
    wasm::install(&folder, "tests/web/package.json")?;
    rten(&folder, options.node)?;
    for name in &names {
        for (suffix, dtype, bits) in [("", "f32", None), ("_qdq", "int8", None), ("_qdq", "int7", Some("7"))]
        {
            plan(&folder, name, suffix, dtype, bits)?;
        }
    }
    let browser = if options.node { None } else { Some(wasm::browser().context(NO_BROWSER)?) };
    if browser.is_some() {
        litert(&folder, &names);
    }
    let mut node = command("node");
    node.arg("tests/web/bench.mjs").arg(&folder).args(names);
    if let Some(browser) = browser {
        node.arg("--browser").arg(browser);
    }
    node.arg("--rounds").arg(options.rounds.to_string()).args(options.json.then_some("--json"));
    run_command(node.args(options.first.then_some("--first")))?;
    if !(options.json || options.first) {
        for module in ["mote-dot", "mote-relaxed", "mote-simd", "mote-plain"] {
            let file = root().join("targets/wasm/npm/wasm").join(module).with_extension("wasm");
            wasm::sizes(&format!("{module}, every kernel"), &file)?;
        }
        for (peer, file) in PEERS {
            wasm::sizes(peer, &folder.join(file))?;
        }
    }
    Ok(())
}

const NO_BROWSER: &str =
    "no Chromium: install one (Debian: chromium), name it by MOTE_CHROMIUM, or ask for --node";

/// What the peers' pages load.
const PEERS: &[(&str, &str)] = &[
    ("onnxruntime-web", "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm"),
    ("LiteRT.js", "node_modules/@litertjs/core/wasm/litert_wasm_internal.wasm"),
    ("rten", RTEN),
];

/// rten's module in the folder.
const RTEN: &str = "rten.wasm";

/// Builds rten, for the browser with relaxed SIMD, which Node has behind a flag at best.
fn rten(folder: &Path, node: bool) -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let features = if node { "+simd128" } else { "+simd128,+relaxed-simd" };
    let target = folder.join("rten");
    let mut cargo = cargo();
    cargo.args([
        "build",
        "--quiet",
        "--release",
        "--manifest-path=tests/web/rten/Cargo.toml",
        "--target",
        TARGET,
    ]);
    run_command(
        cargo.arg("--target-dir").arg(&target).env("RUSTFLAGS", format!("-Ctarget-feature={features}")),
    )?;
    fs::copy(target.join(TARGET).join("release/mote_web_rten.wasm"), folder.join(RTEN))?;
    Ok(())
}

/// LiteRT.js takes TFLite files, which `tests/web/tflite.py` makes; without what that needs, the peer is absent.
fn litert(folder: &Path, names: &[&str]) {
    let python = env::var("MOTE_LITERT_PYTHON").or_else(|_| env::var("MOTE_PYTHON"));
    let mut python = command(python.unwrap_or_else(|_| "python3".into()));
    let missing: Vec<_> =
        names.iter().filter(|name| !folder.join(format!("{name}.tflite")).is_file()).collect();
    if missing.is_empty() {
        return;
    }
    if let Err(error) = capture(python.arg("tests/web/tflite.py").arg(folder).args(missing)) {
        eprintln!(
            "LiteRT.js is absent: tests/web/tflite.py, with MOTE_LITERT_PYTHON as its Python: {error:#}"
        );
    }
}

/// Makes the network, and converts it.
fn plan(folder: &Path, name: &str, suffix: &str, dtype: &str, weight_bits: Option<&str>) -> Result<()> {
    let network = network(folder, name, suffix)?;
    // Whole tensors and all sparse layers that are faster: memory is not scarce here, and long rows are fast.
    let mut mote = models::mote()?;
    mote.arg("convert").arg(&network).args(["--target", "wasm", "--rows", "off", "--sparse", "fast"]);
    if let Some(bits) = weight_bits {
        mote.args(["--weight-bits", bits]);
    }
    mote.arg("--output");
    capture(mote.arg(folder.join(format!("{name}.{dtype}.mote"))))?;
    Ok(())
}

/// Fills the network's skeleton with its weights, or takes weights away.
fn network(folder: &Path, name: &str, suffix: &str) -> Result<PathBuf> {
    let made = folder.join(format!("{name}{suffix}.onnx"));
    if made.is_file() {
        return Ok(made);
    }
    let mut python = command(env::var("MOTE_PYTHON").unwrap_or_else(|_| "python3".into()));
    if let Some((family, percent)) = name.split_once(SPARSE) {
        let dense = network(folder, family, suffix)?;
        python.args(["tests/web/prune.py", percent]).arg(dense).arg(&made);
    } else {
        let skeleton = PathBuf::from(format!("tests/golden/vision/{name}{suffix}.onnx.gz"));
        if !root().join(&skeleton).is_file() {
            bail!("no network {name}: {} is missing", skeleton.display());
        }
        python.args(["tests/golden/skeleton.py", "fill"]).arg(skeleton).arg(&made);
    }
    capture(&mut python).context("networks need Python with onnx and numpy (MOTE_PYTHON names it)")?;
    Ok(made)
}
