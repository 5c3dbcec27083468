//! `mote bundle`: one page that holds a network and everything that runs it.
//!
//! The sources of the npm package `mote-runtime` become one script: they import only from each other, by lines of their own,
//! so that joining them in the order of their dependencies is leaving these lines out.

use crate::failure::{Failure, Outcome};
use crate::files::{check_apart, check_writable, read, write};
use crate::report::{grouped, print, print_json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use mote_compiler::executor::AlignedBytes;
use mote_runtime::Plan;
use mote_runtime::plan::RegionKind;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Make one self-contained HTML page of a plan
///
/// The page holds the network, the WebAssembly module and a form to try it: pictures from a file or the camera, the best
/// classes, the time of each step. It needs no server and no network. Plans made with `mote convert --target wasm` are the
/// fast ones.
#[derive(Args)]
pub struct Arguments {
    /// Plan made by `mote convert`
    plan: PathBuf,
    /// Where to write the page
    #[arg(short, long, value_name = "PAGE.html")]
    output: PathBuf,
    /// What the page is headed with; the file's name without it
    #[arg(long)]
    title: Option<String>,
    /// Folder of the npm package mote-runtime
    #[arg(long, value_name = "FOLDER")]
    package: Option<PathBuf>,
    /// Module to take instead of the package's, such as one cut to this network
    #[arg(long, value_name = "FILE.wasm")]
    module: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Where the package is looked for, from where the command runs.
const PACKAGES: &[&str] = &["node_modules/mote-runtime", "targets/wasm/npm"];

/// The package's sources, each behind those that it imports from.
const SOURCES: &[&str] = &["src/errors.js", "src/module.js", "src/tensor.js", "src/index.js", "page/page.js"];

/// The module that every current engine runs.
const MODULE: &str = "wasm/mote-simd.wasm";

const HELP: &str = "give --package, the folder of the npm package mote-runtime (npm install mote-runtime; in the source \
                    tree targets/wasm/npm, after cargo xtask wasm build)";

pub fn run(arguments: &Arguments) -> Outcome {
    check_writable(&arguments.output)?;
    check_apart(&arguments.output, [&arguments.plan])?;
    let bytes = read(&arguments.plan)?;
    let aligned = AlignedBytes::from_slice(&bytes);
    let plan = Plan::parse(aligned.as_ref()).map_err(Failure::plan(&arguments.plan))?;
    if plan.region(0).is_some_and(|region| region.kind == RegionKind::Endless as u8) {
        return Err(Failure::usage(
            "the plan is a stream, which a page with a form cannot feed",
            "convert without --stream, or drive the stream with the npm package: model.step(frame)",
        ));
    }
    let package = package(arguments.package.as_deref())?;
    let module_file = arguments.module.clone().unwrap_or_else(|| package.join(MODULE));
    let module = read_of_package(&module_file)?;
    if !module.starts_with(b"\0asm") {
        return Err(Failure::input(&module_file, "no WebAssembly module", HELP));
    }
    let name = arguments.plan.file_stem().unwrap_or_default().to_string_lossy();
    let title = arguments.title.clone().unwrap_or_else(|| name.into_owned());
    let page = page(&title, &script(&package)?, &module, &bytes);
    write(&arguments.output, page.as_bytes())?;
    if arguments.json {
        let (page, module, plan) = (page.len(), module.len(), bytes.len());
        print_json(&json!({"page_bytes": page, "module_bytes": module, "plan_bytes": plan}));
        return Ok(());
    }
    print(&format!(
        "{}: {} bytes, of a plan of {} and a module of {}\n",
        arguments.output.display(),
        grouped(page.len() as u64),
        grouped(bytes.len() as u64),
        grouped(module.len() as u64)
    ));
    Ok(())
}

fn package(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        return Ok(given.into());
    }
    let found = PACKAGES.iter().map(PathBuf::from).find(|folder| folder.join(MODULE).is_file());
    found.ok_or_else(|| Failure::usage("the npm package mote-runtime is not here", HELP))
}

fn read_of_package(file: &Path) -> Result<Vec<u8>, Failure> {
    match read(file) {
        Err(Failure::File { path, error }) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::input(&path, "there is no such file", HELP))
        }
        other => other,
    }
}

/// The sources as one script.
fn script(package: &Path) -> Result<String, Failure> {
    let mut script = String::new();
    for source in SOURCES {
        let file = package.join(source);
        let text = String::from_utf8(read_of_package(&file)?)
            .map_err(|_| Failure::input(&file, "not a text file in UTF-8", HELP))?;
        script += &joined(&text);
    }
    Ok(script)
}

/// A source without its imports and exports.
fn joined(source: &str) -> String {
    let kept = |line: &&str| !line.starts_with("import ") && !line.starts_with("export {");
    let lines = source.lines().filter(kept).map(|line| line.strip_prefix("export ").unwrap_or(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn page(title: &str, script: &str, module: &[u8], plan: &[u8]) -> String {
    // What stands in a script element must not end it.
    let options = json!({"name": title}).to_string().replace('<', "\\u003c");
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let (module, plan) = (STANDARD.encode(module), STANDARD.encode(plan));
    format!(
        r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<body></body>
<script type="text/plain" id="mote-module">{module}</script>
<script type="text/plain" id="mote-plan">{plan}</script>
<script type="module">
{script}
const bytesOf = (id) => Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
Model.load(bytesOf("mote-plan"), {{ wasm: bytesOf("mote-module") }}).then(
  (model) => show(document.body, model, {options}),
  (error) => (document.body.textContent = error.message),
);
</script>
</html>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_become_one_script() {
        let source =
            "import { a } from \"./a.js\";\n\nexport { a };\nexport function b() {\n  return a;\n}\n";
        assert_eq!(joined(source), "\nfunction b() {\n  return a;\n}\n");
    }

    #[test]
    fn titles_do_not_end_the_script() {
        let page = page("</script><b>", "", b"", b"");
        assert_eq!(page.matches("</script>").count(), 3);
        assert!(page.contains("<title>&lt;/script>&lt;b></title>"), "{page}");
    }
}
