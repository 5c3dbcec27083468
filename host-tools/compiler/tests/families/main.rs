//! The trained networks of the families (`models/<family>/cifar10`), calibrated with the pictures that come with the
//! repository: float and int8 on the test pictures of CIFAR-10. The cards have the figures of all 10,000; a test takes
//! every twentieth, or all with `MOTE_ALL_PICTURES=1`. The pictures lie beside the repository; without them the tests
//! say so and end.

use image::imageops::{FilterType, resize};
use mote_compiler::convert::{Converted, Options, Precision, convert};
use mote_compiler::executor::Executor;
use mote_compiler::quantize::Calibration;
use serde::Deserialize;

#[allow(dead_code)]
#[path = "../golden/mod.rs"]
mod golden;
#[path = "../pictures/mod.rs"]
mod pictures;

const SIDE: u32 = 32;

/// What a test without `MOTE_ALL_PICTURES` looks at.
const EVERY: usize = 20;

/// What a network must reach, in percent.
struct Limits {
    float: f64,
    /// What int8 may lose.
    loss: f64,
}

/// On the way from 10,000 to 500 pictures both figures become uncertain: three standard errors.
impl Limits {
    fn of(self, pictures: usize) -> Self {
        if pictures == 10_000 { self } else { Self { float: self.float - 5.0, loss: self.loss + 1.0 } }
    }
}

/// `preprocess.json`.
#[derive(Deserialize)]
struct Preprocess {
    mean: [f32; 3],
    std: [f32; 3],
}

/// Class and values.
type Picture = (usize, Vec<f32>);

fn check(file: &str, limits: Limits) {
    let folder = golden::workspace().join("models").join(file).parent().unwrap().to_path_buf();
    let labels = std::fs::read_to_string(folder.join("labels.txt")).unwrap();
    let labels: Vec<&str> = labels.split_whitespace().collect();
    let preprocess = std::fs::read(folder.join("preprocess.json")).unwrap();
    let preprocess: Preprocess = serde_json::from_slice(&preprocess).unwrap();
    let model = std::fs::read(golden::workspace().join("models").join(file)).unwrap();
    let calibration = Calibration::new(shipped(&preprocess));
    let int8 = Options { precision: Precision::Int8, calibration: Some(calibration), ..Options::default() };
    let int8 = convert(&model, &int8).unwrap();
    let quantization = int8.quantization.as_ref().unwrap();
    assert_eq!(quantization.float_nodes, [], "{file}: nodes that stay float");
    let float = convert(&model, &Options { precision: Precision::F32, ..Options::default() }).unwrap();

    let Some(pictures) = test_pictures(&labels, &preprocess) else { return };
    let limits = limits.of(pictures.len());
    let (float, int8) = (accuracy(&float, &pictures), accuracy(&int8, &pictures));
    println!("{file}: {float:.2} % float, {int8:.2} % int8 of {} pictures", pictures.len());
    assert!(float >= limits.float, "{file}: {float:.2} % float, at least {} are asked for", limits.float);
    assert!(int8 >= float - limits.loss, "{file}: {float:.2} % float, {int8:.2} % int8\n{quantization}");
}

/// Share of right answers, in percent.
fn accuracy(network: &Converted, pictures: &[Picture]) -> f64 {
    let mut network = Executor::new(&network.plan).unwrap();
    let right = pictures.iter().filter(|(class, values)| {
        let logits = network.run_reals(&[values]).unwrap().remove(0);
        (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])) == Some(*class)
    });
    100.0 * right.count() as f64 / pictures.len() as f64
}

/// The calibration pictures of the repository, made as small as the network's input.
fn shipped(preprocess: &Preprocess) -> Vec<Vec<Vec<f32>>> {
    let folder = golden::workspace().join("models/cifar10/samples/calibration");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let load = |file| {
        let picture = image::open(file).unwrap().to_rgb8();
        vec![values(&resize(&picture, SIDE, SIDE, FilterType::Triangle), preprocess)]
    };
    files.iter().map(load).collect()
}

fn test_pictures(labels: &[&str], preprocess: &Preprocess) -> Option<Vec<Picture>> {
    let archive = golden::data_file("cifar10/cifar10-test-jpeg.tar.xz")?;
    let every = if std::env::var_os("MOTE_ALL_PICTURES").is_some() { 1 } else { EVERY };
    let picture = |(class, name, file): &(String, String, Vec<u8>)| {
        let pixels = pictures::jpeg::decode(file).unwrap_or_else(|| panic!("{class}/{name}: not read"));
        let class = labels.iter().position(|label| label == class).unwrap();
        (class, values(&pixels, preprocess))
    };
    Some(pictures::sorted(&archive).iter().step_by(every).map(picture).collect())
}

/// `(pixel / 255 - mean) / std`, channels last.
fn values(pixels: &[u8], preprocess: &Preprocess) -> Vec<f32> {
    let scaled = |(i, &pixel): (usize, &u8)| {
        (f32::from(pixel) / 255.0 - preprocess.mean[i % 3]) / preprocess.std[i % 3]
    };
    pixels.iter().enumerate().map(scaled).collect()
}

macro_rules! networks {
    ($($name:ident: $file:literal, $float:literal, $loss:literal;)*) => {$(
        #[test]
        fn $name() {
            check($file, Limits { float: $float, loss: $loss });
        }
    )*};
}

// 80 % zeros may cost a point against the dense network's 84.58 %, 90 % may cost two and a half.
networks! {
    efficientformer: "efficientformer/cifar10/efficientformer_cifar10.onnx", 82.0, 1.0;
    tinynet: "tinynet/cifar10/tinynet_cifar10.onnx", 78.0, 1.0;
    mobilenet: "mobilenet/cifar10/mobilenet_cifar10.onnx", 82.0, 1.0;
    mobilenet_sparse80: "mobilenet/cifar10/mobilenet_sparse80_cifar10.onnx", 83.58, 1.0;
    mobilenet_sparse90: "mobilenet/cifar10/mobilenet_sparse90_cifar10.onnx", 82.08, 1.0;
    mobilenet_sparse80_block4: "mobilenet/cifar10/mobilenet_sparse80_block4_cifar10.onnx", 83.58, 1.0;
    mobilenet_sparse90_block4: "mobilenet/cifar10/mobilenet_sparse90_block4_cifar10.onnx", 82.08, 1.0;
}
