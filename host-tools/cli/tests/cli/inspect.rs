//! `mote inspect`.

use crate::support::*;
use serde_json::Value;

fn number(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("{key}: {:?}", report[key]))
}

#[test]
fn the_report_has_its_keys_and_they_fit_each_other() {
    let report = mote(&["inspect", &plan(), "--json"]).report();
    let steps = report["steps"].as_array().unwrap();
    let sum = |key: &str| steps.iter().map(|step| number(step, key)).sum::<u64>();
    assert_eq!(number(&report, "macs"), sum("macs"));
    assert!(sum("weight_bytes") <= number(&report, "weight_bytes"));
    for step in steps {
        assert!(["name", "op", "kernel", "output"].iter().all(|key| step[*key].is_string()), "{step:#}");
        assert!(step["in_place"].is_boolean() && number(step, "every") > 0, "{step:#}");
    }
    assert_eq!(number(&report, "state_bytes"), 0);
    let parts =
        number(&report, "weight_bytes") + number(&report, "table_bytes") + number(&report, "name_bytes");
    assert_eq!(parts, number(&report, "plan_bytes"));
    assert!(number(&report, "arena_bytes") < number(&report, "arena_whole_bytes"));
    assert!(report["code_bytes"].is_null(), "a portable plan is for no machine in particular");
    assert!(report["stream"].is_null());
}

#[test]
fn regions_hold_all_steps_and_their_rings() {
    let report = mote(&["inspect", &plan(), "--json"]).report();
    let regions = report["regions"].as_array().unwrap();
    let mut next = 0;
    for region in regions {
        assert_eq!(number(region, "first_step"), next);
        next += number(region, "steps");
    }
    assert_eq!(next, report["steps"].as_array().unwrap().len() as u64);
    let rows: Vec<&Value> = regions.iter().filter(|region| region["kind"] == "rows").collect();
    assert_eq!(rows[0]["delivered"], "image");
    for ring in rows.iter().flat_map(|region| region["rings"].as_array().unwrap()) {
        assert!(number(ring, "slots") < number(ring, "slices"), "{ring:#}");
        assert!(number(ring, "slots") * number(ring, "slice_bytes") <= number(ring, "bytes"), "{ring:#}");
        assert_eq!(ring["in_state"], false);
    }
}

#[test]
fn code_is_told_where_it_was_measured() {
    let folder = Folder::new();
    let plan = folder.path("m4.mote");
    let arguments = ["convert", &model(), "-o", &plan, "--target", "cortex-m4", "--json"].map(str::to_owned);
    let report = mote(&[&arguments[..], &int8()].concat()).report();
    // Some kernels: more than a function, less than all flash that a small board has.
    assert!((2_000..64_000).contains(&number(&report, "code_bytes")), "{}", report["code_bytes"]);
    assert!((1_000..32_000).contains(&number(&report, "rest_code_bytes")), "{}", report["rest_code_bytes"]);
    let text = mote(&["inspect", &plan]).text();
    assert!(text.contains("opt-level 3"), "{text}");
}

#[test]
fn memory_is_drawn_in_text_and_as_svg() {
    let folder = Folder::new();
    let svg = folder.path("memory.svg");
    let text = mote(&["inspect", &plan(), "--svg", &svg]).text();
    for part in ["row by row", "without regions over rows", "arena over time", "[rows--", "alive at step"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let picture = std::fs::read_to_string(&svg).unwrap();
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    for part in ["row by row", "arena with and without regions over rows", "ring of rows"] {
        assert!(picture.contains(part), "{part}");
    }
    let (opened, closed) = (picture.matches("<g>").count(), picture.matches("</g>").count());
    assert!(opened > 10 && opened == closed);
}

#[test]
fn a_stream_tells_work_delay_and_state() {
    let folder = Folder::new();
    let plan = folder.path("stream.mote");
    let model = repository("models/continual/digits_conv/digits_conv.onnx");
    mote(&["convert", &model, "-o", &plan, "--stream", "--frame-ms", "16"]).text();
    let report = mote(&["inspect", &plan, "--json"]).report();
    let stream = &report["stream"];
    let delay = number(stream, "delay_frames");
    assert_eq!((delay, delay + 1), (number(stream, "first_ready"), number(stream, "receptive_field")));
    assert!((stream["delay_seconds"].as_f64().unwrap() - 0.016 * delay as f64).abs() < 1e-9);
    let (step, window) = (stream["macs_per_step"].as_f64().unwrap(), number(stream, "macs_per_window"));
    assert!(window as f64 > 10.0 * step, "{stream:#}");
    assert_eq!(report["regions"][0]["kind"], "endless");
    let rings = report["regions"][0]["rings"].as_array().unwrap();
    let state = rings.iter().filter(|ring| ring["in_state"] == true);
    let end = state.map(|ring| number(ring, "offset") + number(ring, "bytes")).max().unwrap();
    assert_eq!(end.next_multiple_of(16), number(&report, "state_bytes"));

    // What the clip-wise network costs is what a window costs.
    let clip = folder.path("clip.mote");
    let clip = mote(&["convert", &model, "-o", &clip, "--json"]).report();
    assert_eq!(number(&clip, "macs"), window);
}

#[test]
fn a_plan_of_an_older_version_can_be_inspected() {
    let report = mote(&["inspect", &repository("tests/golden/plans/v1/rows.mote"), "--json"]).report();
    assert!(report["arena_whole_bytes"].is_null(), "it does not tell");
    mote(&["inspect", &repository("tests/golden/plans/v1/rows.mote")]).text();
}
