//! `mote bundle`.

use crate::support::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A module as far as the command looks into it.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[test]
fn a_page_holds_plan_module_and_script() {
    let folder = Folder::new();
    let (page, module) = (folder.path("page.html"), folder.file("cut.wasm", MODULE));
    let (plan, package) = (plan(), repository("targets/wasm/npm"));
    let arguments =
        ["bundle", &plan, "-o", &page, "--package", &package, "--module", &module, "--title", "a < b"];
    let report = mote(&[&arguments[..], &["--json"]].concat()).report();
    let text = std::fs::read_to_string(&page).unwrap();
    assert_eq!(report["page_bytes"], text.len());
    assert_eq!(report["module_bytes"], MODULE.len());
    assert_eq!(report["plan_bytes"], std::fs::metadata(&plan).unwrap().len());
    assert!(text.contains("<title>a &lt; b</title>"), "{}", &text[..400]);
    // "AGFzbQEAAAA=" are the module's bytes.
    assert!(text.contains(r#"id="mote-module">AGFzbQEAAAA=</script>"#));
    assert!(text.contains("class Model") && text.contains("class Port") && text.contains("function show("));
    // The plan, which holds the recipe for pictures, and nothing that would be fetched.
    let encoded = STANDARD.encode(std::fs::read(&plan).unwrap());
    assert!(text.contains(&encoded) && !text.lines().any(|line| line.starts_with("import ")));
    assert!(mote(&arguments).text().contains("page.html"));
}

#[test]
fn what_cannot_be_bundled_is_told() {
    let folder = Folder::new();
    let (page, plan, package) = (folder.path("page.html"), plan(), repository("targets/wasm/npm"));
    let bundle = |arguments: &[&str]| mote(&[&["bundle", "-o", &page, "--json"], arguments].concat());
    let empty = folder.path("");
    let error = bundle(&[&plan, "--package", &empty]).error(1, "input");
    assert!(error["help"].as_str().unwrap().contains("--package"), "{error:#}");
    let text = folder.file("text.wasm", "text");
    bundle(&[&plan, "--package", &package, "--module", &text]).error(1, "input");
    bundle(&[&text, "--package", &package]).error(1, "plan");
    let stream = folder.path("stream.mote");
    let model = repository("models/continual/digits_conv/digits_conv.onnx");
    mote(&["convert", &model, "-o", &stream, "--stream"]).text();
    let error = bundle(&[&stream, "--package", &package]).error(2, "usage");
    assert!(error["help"].as_str().unwrap().contains("without --stream"), "{error:#}");
    assert!(!folder.names().contains(&"page.html".to_owned()));
}
