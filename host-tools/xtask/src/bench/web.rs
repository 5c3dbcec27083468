//! `cargo xtask bench web`: Mote beside onnxruntime-web in Node, interleaved (`tests/web/bench.mjs`). Makes what that needs:
//! the modules, the peer, the networks with their weights, and the plans.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    models, wasm,
    workspace::{available, capture, command, root, run as run_command, target},
};

/// Networks of `tests/golden/vision`.
const NETWORKS: &[&str] = &[
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv3_small_100",
    "tinynet_a",
    "tinynet_e",
    "efficientformer_l1",
    "efficientformerv2_s0",
];

#[derive(clap::Args)]
pub struct Options {
    /// Networks of tests/golden/vision; all if none is named
    networks: Vec<String>,
    /// Turns of each contestant
    #[arg(long, default_value_t = 15)]
    rounds: u32,
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
    install(&folder)?;
    for name in &names {
        for (suffix, dtype) in [("", "f32"), ("_qdq", "int8")] {
            plan(&folder, name, suffix, dtype)?;
        }
    }
    let mut node = command("node");
    node.arg("tests/web/bench.mjs").arg(&folder).args(names).arg("--peer").arg(&folder);
    node.arg("--rounds").arg(options.rounds.to_string()).args(options.json.then_some("--json"));
    run_command(&mut node)?;
    if !options.json {
        let module = root().join("targets/wasm/npm/wasm/mote-simd.wasm");
        sizes("module with every kernel", &module)?;
        let peer = folder.join("node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm");
        sizes("onnxruntime-web's", &peer)?;
    }
    Ok(())
}

/// The peer, in the version of tests/web/package.json.
fn install(folder: &Path) -> Result<()> {
    fs::copy(root().join("tests/web/package.json"), folder.join("package.json"))?;
    let mut npm = command("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder);
    capture(&mut npm)?;
    Ok(())
}

/// Fills the network's skeleton with its weights, and converts it.
fn plan(folder: &Path, name: &str, suffix: &str, dtype: &str) -> Result<()> {
    let network = folder.join(format!("{name}{suffix}.onnx"));
    if !network.is_file() {
        let skeleton = PathBuf::from(format!("tests/golden/vision/{name}{suffix}.onnx.gz"));
        if !root().join(&skeleton).is_file() {
            bail!("no network {name}: {} is missing", skeleton.display());
        }
        let python = env::var("MOTE_PYTHON").unwrap_or_else(|_| "python3".into());
        let mut python = command(python);
        python.args(["tests/golden/skeleton.py", "fill"]).arg(skeleton).arg(&network);
        capture(&mut python)
            .context("filling a skeleton needs Python with onnx and numpy (MOTE_PYTHON names it)")?;
    }
    // Whole tensors: memory is not scarce here, and long rows are fast.
    let mut mote = models::mote()?;
    mote.arg("convert").arg(&network).args(["--target", "wasm", "--rows", "off", "--output"]);
    capture(mote.arg(folder.join(format!("{name}.{dtype}.mote"))))?;
    Ok(())
}

/// Bytes of a download, as they are and as a server sends them.
fn sizes(what: &str, file: &Path) -> Result<()> {
    const SCRIPT: &str = "const b = require('fs').readFileSync(process.argv[1]), z = require('zlib'); \
        console.log(b.length, z.gzipSync(b, { level: 9 }).length, z.brotliCompressSync(b).length)";
    let told = capture(command("node").args(["-e", SCRIPT]).arg(file))?;
    println!("{what}: bytes, gzip, brotli: {}", told.trim());
    Ok(())
}
