//! Starts `mote`, and makes and reads the files around it.

use npyz::{NpyFile, WriterBuilder};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder that goes away with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("mote-cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A path in the folder, as an argument.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().into()
    }

    /// The same, with this content.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Names of all files in it.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().into()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the command said.
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    arguments: String,
}

/// Starts `mote` with these arguments.
pub fn mote<S: AsRef<str>>(arguments: &[S]) -> Answer {
    answer(Command::new(env!("CARGO_BIN_EXE_mote")), arguments)
}

/// The same where this folder is the whole search path.
pub fn mote_in<S: AsRef<str>>(folder: &Folder, arguments: &[S]) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mote"));
    command.env("PATH", &folder.0);
    answer(command, arguments)
}

fn answer<S: AsRef<str>>(mut command: Command, arguments: &[S]) -> Answer {
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    let output = command.args(&arguments).output().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        arguments: arguments.join(" "),
    }
}

impl Answer {
    /// The text of a success.
    pub fn text(self) -> String {
        assert_eq!(self.code, 0, "mote {}: {}{}", self.arguments, self.stdout, self.stderr);
        self.stdout
    }

    /// The report of a success with `--json`: nothing else is printed.
    pub fn report(self) -> Value {
        assert_eq!(self.stderr, "", "mote {}", self.arguments);
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The error of a failure with `--json`.
    pub fn error(&self, code: i32, kind: &str) -> Value {
        assert_eq!(self.code, code, "mote {}: {}{}", self.arguments, self.stdout, self.stderr);
        assert_eq!(self.stderr, "", "mote {}: all is told on standard output", self.arguments);
        let value: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout));
        let error = value["error"].clone();
        assert_eq!(error["kind"], kind, "mote {}: {error:#}", self.arguments);
        error
    }
}

/// A file of the repository.
pub fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).to_str().unwrap().into()
}

/// The bundled network.
pub fn model() -> String {
    repository("models/cifar10/cifar10_small.onnx")
}

/// A picture that the bundled network knows.
pub fn picture() -> String {
    repository("models/cifar10/samples/cat-kitten.jpg")
}

/// Arguments that make the bundled network int8.
pub fn int8() -> Vec<String> {
    let file = |name: &str| repository(&format!("models/cifar10/{name}"));
    let preprocess = file("preprocess.json");
    let (calibration, labels) = (file("samples/calibration"), file("labels.txt"));
    ["--dtype", "int8", "--calibrate", &calibration, "--preprocess", &preprocess, "--labels", &labels]
        .map(str::to_owned)
        .to_vec()
}

/// The bundled network as an int8 plan, made once.
pub fn plan() -> String {
    static PLAN: OnceLock<(Folder, String)> = OnceLock::new();
    let (_, plan) = PLAN.get_or_init(|| {
        let folder = Folder::new();
        let plan = folder.path("int8.mote");
        mote(&[vec!["convert".into(), model(), "-o".into(), plan.clone()], int8()].concat()).text();
        (folder, plan)
    });
    plan.clone()
}

/// A file of the data that the repository does not hold, if it is there.
pub fn data(path: &str) -> Option<String> {
    let folder = std::env::var_os("MOTE_DATA");
    let folder = folder.map_or_else(|| PathBuf::from(repository("../shared/data")), PathBuf::from);
    let path = folder.join(path);
    path.is_file().then(|| path.to_str().unwrap().into())
}

/// Numbers as a `.npy` file.
pub fn npy<T: npyz::Serialize + npyz::AutoSerialize + Copy>(shape: &[u64], numbers: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes).begin_nd().unwrap();
    writer.extend(numbers.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

/// Shape and numbers of a `.npy` file.
pub fn numbers<T: npyz::Deserialize>(path: &str) -> (Vec<u64>, Vec<T>) {
    let bytes = std::fs::read(path).unwrap();
    let file = NpyFile::new(&bytes[..]).unwrap();
    (file.shape().to_vec(), file.into_vec().unwrap())
}

/// int8 numbers that look random.
pub fn noise(seed: u64, count: usize) -> Vec<i8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as i8
    };
    (0..count).map(|_| next()).collect()
}

/// An ONNX file in which an input `x` goes through these operators, one after the other. `None` in the shape is an axis
/// that the file leaves open.
pub fn onnx(operators: &[&str], shape: &[Option<u64>]) -> Vec<u8> {
    let mut graph = Vec::new();
    for (index, operator) in operators.iter().enumerate() {
        let tensor = |at: usize| if at == 0 { "x".to_owned() } else { format!("t{at}") };
        let node = [
            field(1, tensor(index).as_bytes()),
            field(2, tensor(index + 1).as_bytes()),
            field(3, format!("node{index}").as_bytes()),
            field(4, operator.as_bytes()),
        ];
        graph.extend(field(1, &node.concat()));
    }
    let axis = |(index, size): (usize, &Option<u64>)| match size {
        Some(size) => field(1, &number(1, *size)),
        None => field(1, &field(2, format!("axis{index}").as_bytes())),
    };
    let dims: Vec<u8> = shape.iter().enumerate().flat_map(axis).collect();
    let tensor = field(1, &[number(1, 1), field(2, &dims)].concat());
    let port = |name: &str| [field(1, name.as_bytes()), field(2, &tensor)].concat();
    graph.extend(field(2, b"graph"));
    graph.extend(field(11, &port("x")));
    graph.extend(field(12, &port(&format!("t{}", operators.len()))));
    [number(1, 8), field(8, &number(2, 17)), field(7, &graph)].concat()
}

/// A length-delimited field of a protocol buffer.
fn field(id: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![id << 3 | 2], varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A number of a protocol buffer.
fn number(id: u8, value: u64) -> Vec<u8> {
    [vec![id << 3], varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
