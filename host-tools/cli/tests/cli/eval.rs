//! `mote eval`.

use crate::support::*;
use image::{Rgb, RgbImage};

/// A folder of made-up pictures: one folder per class.
fn pictures(folder: &Folder) -> Vec<(String, &'static str)> {
    let mut made = Vec::new();
    for (shade, class) in ["cat", "dog", "ship"].into_iter().enumerate() {
        for index in 0..4u32 {
            let picture = RgbImage::from_fn(40, 36, |x, y| {
                let value = |c: u32| (x * (3 + c) + y * (5 * index + 1) + 80 * shade as u32) as u8;
                Rgb([value(0), value(1), value(2)])
            });
            let path = folder.file(&format!("images/{class}/{index}.png"), []);
            picture.save(&path).unwrap();
            made.push((path, class));
        }
    }
    made
}

#[test]
fn accuracy_is_the_share_of_right_answers() {
    let folder = Folder::new();
    let made = pictures(&folder);
    let report = mote(&["eval", &plan(), "--images", &folder.path("images"), "--json"]).report();
    let right = made.iter().filter(|(path, class)| {
        mote(&["run", &plan(), "--input", path, "--json"]).report()["top"][0]["label"] == *class
    });
    assert_eq!(report["samples"], 12);
    assert_eq!(report["accuracy"].as_f64(), Some(right.count() as f64 / 12.0));
    let limited =
        mote(&["eval", &plan(), "--images", &folder.path("images"), "--limit", "5", "--json"]).report();
    assert_eq!(limited["samples"], 5);
}

#[test]
fn int8_stands_beside_float() {
    let folder = Folder::new();
    pictures(&folder);
    let images = folder.path("images");
    let report = mote(&["eval", &plan(), "--images", &images, "--float", &model(), "--json"]).report();
    assert!(report["float_accuracy"].is_number() && report["agreement"].is_number(), "{report:#}");
    let layers = report["layers"].as_array().unwrap();
    assert!(layers.len() > 5);
    let lost = |name: &str| layers.iter().find(|layer| layer["name"] == name).unwrap()["lost_db"].as_f64();
    let worst = lost(report["worst_layer"].as_str().unwrap());
    assert!(layers.iter().all(|layer| layer["lost_db"].as_f64() <= worst), "{report:#}");
    let text = mote(&["eval", &plan(), "--images", &images, "--float", &model()]).text();
    assert!(text.contains("most is lost in") && text.contains("12 pictures"), "{text}");
}

#[test]
fn the_demo_reports_like_the_commands() {
    let report = mote(&["demo", "--json", "--folder", &repository("models/cifar10")]).report();
    assert_eq!(report["pictures"].as_array().unwrap().len(), 8);
    assert!(report["snr_db"].as_f64().unwrap() > 20.0);
    assert!(report["int8"]["arena_bytes"].as_u64() < report["float"]["arena_bytes"].as_u64());
}
