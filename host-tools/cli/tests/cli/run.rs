//! `mote run`.

use crate::support::*;

#[test]
fn a_picture_gives_the_best_classes() {
    let report = mote(&["run", &plan(), "--input", &picture(), "--top", "3", "--json"]).report();
    assert_eq!(report["samples"], 1);
    let top = report["top"].as_array().unwrap();
    assert_eq!(top.len(), 3);
    assert_eq!((&top[0]["class"], &top[0]["label"]), (&3.into(), &"cat".into()));
    assert!(top[0]["value"].as_f64() >= top[1]["value"].as_f64());
    let text = mote(&["run", &plan(), "--input", &picture()]).text();
    assert!(text.lines().next().unwrap().ends_with("cat") && text.lines().count() == 6, "{text}");
}

#[test]
fn int8_stays_int8_and_a_leading_axis_runs_all_samples() {
    let folder = Folder::new();
    let codes = noise(5, 4 * 32 * 32 * 3);
    let (one, many) = (folder.path("one.npy"), folder.path("many.npy"));
    let batch = folder.file("batch.npy", npy(&[4, 32, 32, 3], &codes));
    let report = mote(&["run", &plan(), "--input", &batch, "--output", &many, "--json"]).report();
    assert_eq!(report["samples"], 4);
    let (shape, all) = numbers::<i8>(&many);
    assert_eq!(shape, [4, 10]);
    for (index, sample) in codes.chunks(32 * 32 * 3).enumerate() {
        let input = folder.file("sample.npy", npy(&[1, 32, 32, 3], sample));
        assert_eq!(mote(&["run", &plan(), "--input", &input, "--output", &one]).text(), "");
        assert_eq!(numbers::<i8>(&one), (vec![1, 10], all[10 * index..10 * index + 10].to_vec()));
    }
}

#[test]
fn real_numbers_are_quantized_as_the_plan_says() {
    let folder = Folder::new();
    let report = mote(&["inspect", &plan(), "--json"]).report();
    // `image int8[1, 32, 32, 3] (0.016 * (q - -5))`
    let input = report["inputs"][0].as_str().unwrap().to_owned();
    let quant = input.split_once('(').unwrap().1.trim_end_matches(')');
    let (scale, zero) = quant.split_once(" * (q - ").unwrap();
    let (scale, zero): (f32, f32) = (scale.parse().unwrap(), zero.parse().unwrap());
    let codes = noise(9, 32 * 32 * 3);
    let reals: Vec<f32> = codes.iter().map(|&code| scale * (f32::from(code) - zero)).collect();
    let inputs = [npy(&[1, 32, 32, 3], &codes), npy(&[1, 32, 32, 3], &reals)];
    let outputs = inputs.map(|bytes| {
        let (input, output) = (folder.file("x.npy", bytes), folder.path("y.npy"));
        mote(&["run", &plan(), "--input", &input, "--output", &output]).text();
        numbers::<i8>(&output)
    });
    assert_eq!(outputs[0], outputs[1]);
}

#[test]
fn rows_are_pushed_without_a_frame() {
    let report = mote(&["run", &plan(), "--input", &picture(), "--push-rows", "--json"]).report();
    let pushed = &report["push_rows"];
    assert_eq!((&pushed["rows"], &pushed["row_bytes"]), (&32.into(), &96.into()), "{report:#}");
    assert_eq!((&pushed["frame_bytes"], &pushed["equal_to_run"]), (&3072.into(), &true.into()));
    assert!(pushed["kept_rows"].as_u64().unwrap() < 32);
    let text = mote(&["run", &plan(), "--input", &picture(), "--push-rows"]).text();
    assert!(text.contains("32 rows pushed, 96 bytes at a time") && text.contains("byte for byte"), "{text}");
}

#[test]
fn rows_cannot_be_pushed_into_whole_tensors() {
    let folder = Folder::new();
    let whole = folder.path("whole.mote");
    mote(
        &[vec!["convert".into(), model(), "-o".into(), whole.clone(), "--rows".into(), "off".into()], int8()]
            .concat(),
    )
    .text();
    let error = mote(&["run", &whole, "--input", &picture(), "--push-rows", "--json"]).error(2, "usage");
    assert!(error["help"].as_str().unwrap().contains("--rows auto"), "{error:#}");
}
