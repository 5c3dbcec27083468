//! `cargo xtask wasm demo`: the demo pages, with the networks that come with the project.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{build, packages};
use crate::{
    keyword::Network,
    models::{self, Found},
    workspace::{capture, command, root, run as run_command, target},
};

/// A plan of the pages: what it is called there, the network's short name, and how it is converted.
type Offer = (&'static str, &'static str, &'static [&'static str]);

/// The first two stand side by side at the start.
const PICTURES: &[Offer] = &[
    ("MobileNetV2, int8", "mobilenet", &[]),
    ("MobileNetV2, 90 % zeros, int8", "sparse90", &["--sparse=fast"]),
    ("MobileNetV2, f32", "mobilenet", &["--dtype=f32"]),
    ("MobileNetV2, 90 % zeros, f32", "sparse90", &["--dtype=f32", "--sparse=fast"]),
    ("EfficientFormerV2, int8", "efficientformer", &[]),
    ("EfficientFormerV2, f32", "efficientformer", &["--dtype=f32"]),
    ("TinyNet, int8", "tinynet", &[]),
    ("TinyNet, f32", "tinynet", &["--dtype=f32"]),
];

const SAMPLES: &str = "models/cifar10/samples";

pub fn run(serve: bool) -> Result<()> {
    build()?;
    let packages = packages()?;
    let site = pages(&packages)?;
    println!("{}: pages that any web server can serve", site.display());
    if !serve {
        return Ok(());
    }
    let vite = vite(&packages);
    run_command(command("node").arg(vite).args(["preview", "--outDir"]).arg(&site).current_dir(source()))?;
    Ok(())
}

/// Checks the types of the pages, builds them, and puts the networks beside them; `packages` is the folder that `typescript`
/// and `vite` are installed in. Gives the folder of the site.
pub fn pages(packages: &Path) -> Result<PathBuf> {
    let site = target()?.join("web-demo");
    let tsc = packages.join("node_modules/typescript/bin/tsc");
    capture(command("node").arg(tsc).arg("--project").arg(source())).context("types of the demo")?;
    capture(
        command("node")
            .arg(vite(packages))
            .args(["build", "--base", "./", "--emptyOutDir", "--outDir"])
            .arg(&site)
            .current_dir(source()),
    )?;
    let folder = site.join("provided");
    fs::create_dir_all(&folder)?;
    let list = json!({
        "pictures": PICTURES.iter().map(|offer| picture(offer, &folder)).collect::<Result<Vec<_>>>()?,
        "streams": [digits(&folder)?],
        "samples": samples(&folder)?,
    });
    fs::write(folder.join("index.json"), serde_json::to_vec_pretty(&list)?)?;
    Ok(site)
}

fn source() -> PathBuf {
    root().join("targets/wasm/demo")
}

fn vite(packages: &Path) -> PathBuf {
    packages.join("node_modules/vite/bin/vite.js")
}

fn picture(&(name, network, arguments): &Offer, folder: &Path) -> Result<Value> {
    let Found::Here(model) = models::find(network)? else { bail!("{network} is missing") };
    let arguments: Vec<_> = arguments.iter().map(|&argument| argument.into()).collect();
    offer(name, &model.convert_for("wasm", "web-demo", &arguments)?, folder)
}

/// The convolutional network for spoken digits.
fn digits(folder: &Path) -> Result<Value> {
    let plan =
        Network::Digits.plan_for("wasm", "web-demo", &[])?.context("the network for digits is missing")?;
    offer("digits, f32", &plan, folder)
}

/// Copies a plan beside the pages.
fn offer(name: &str, plan: &Path, folder: &Path) -> Result<Value> {
    let file: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>() + ".mote";
    fs::copy(plan, folder.join(&file))?;
    Ok(json!({"name": name, "file": format!("provided/{file}")}))
}

fn samples(folder: &Path) -> Result<Vec<Value>> {
    let mut samples = Vec::new();
    for entry in fs::read_dir(root().join(SAMPLES))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "jpg") {
            continue;
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        fs::copy(&path, folder.join(&file))?;
        let name = file.trim_end_matches(".jpg").replace('-', ", ");
        samples.push(json!({"name": name, "file": format!("provided/{file}")}));
    }
    samples.sort_by_key(|sample| sample["name"].to_string());
    Ok(samples)
}
