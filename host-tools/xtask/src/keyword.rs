//! The keyword app: builds it with a network and a recording, runs it, and compares it with `mote stream`.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{
    board::Board,
    counts::Log,
    image::{self, Speed},
    kernels, models,
    models::Model,
    npy, panics,
    qemu::{self, Settings},
    sound::{Recording, babble, spoken_digits},
    steps::{Steps, Tally},
    workspace::{capture, data, root, target},
};

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value = "mps2-an386")]
    board: String,
    #[arg(long, value_enum, default_value = "digits")]
    network: Network,
    /// Recording (.wav, 16 bits, 8 kHz for digits, 16 kHz for the wakeword); without it the one of the tests: sound
    /// that resembles speech, or ten seconds from the data folder
    #[arg(long)]
    input: Option<PathBuf>,
    /// Send the sound through the board's serial port, instead of building it in
    #[arg(long)]
    serial: bool,
    /// Compare with `mote stream`, and check the image without logs
    #[arg(long)]
    compare: bool,
    /// Further arguments for `mote convert`, after `--`: such as `--dtype int8 --calibrate windows.npy`
    #[arg(last = true)]
    convert: Vec<String>,
}

/// What the app listens for.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Network {
    /// Spoken digits: the convolutional network of `models/continual`
    Digits,
    /// The streaming wakeword of MLPerf Tiny, from the data folder
    Wakeword,
}

/// How the app decides, told to `mote stream` too: `firmware/apps/keyword/src/sound.rs` has the same numbers.
struct Decision {
    threshold: &'static str,
    hold: &'static str,
    ignored: &'static [&'static str],
}

impl Network {
    pub fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Wakeword => "wakeword",
        }
    }

    /// Samples a second.
    pub fn rate(self) -> u32 {
        match self {
            Self::Digits => 8_000,
            Self::Wakeword => 16_000,
        }
    }

    fn decision(self) -> Decision {
        match self {
            Self::Digits => Decision { threshold: "0.6", hold: "6", ignored: &["background"] },
            Self::Wakeword => Decision { threshold: "0.6", hold: "2", ignored: &["silence", "unknown"] },
        }
    }

    /// The plan for a board; `None` where the network is not there.
    pub fn plan(self, board: &Board, extra: &[String]) -> Result<Option<PathBuf>> {
        self.plan_for(board.plan_target, board.core, extra)
    }

    /// The same for a target of the compiler, in a folder of plans.
    pub fn plan_for(self, target: &str, folder: &str, extra: &[String]) -> Result<Option<PathBuf>> {
        let (path, labels) = match self {
            Self::Digits => {
                let network = root().join("models/continual/digits_conv");
                (network.join("digits_conv.onnx"), network.join("labels.txt"))
            }
            Self::Wakeword => {
                let Some(data) = data() else { return Ok(None) };
                (data.join("mlperf-tiny/sww_int8.tflite"), root().join("firmware/apps/keyword/wakeword.txt"))
            }
        };
        if !path.is_file() {
            return Ok(None);
        }
        let model = Model { name: format!("keyword-{}", self.name()), path };
        let labels = format!("--labels={}", labels.display());
        model.convert_for(target, folder, &[&["--stream".into(), labels], extra].concat()).map(Some)
    }

    /// The recording of the tests: for digits sound that resembles speech, for the wakeword ten seconds from the data
    /// folder.
    pub fn recording(self) -> Result<Option<Recording>> {
        match self {
            Self::Digits => Recording::write("babble", self.rate(), babble(self.rate())).map(Some),
            Self::Wakeword => {
                let path = data().map(|data| data.join("mlperf-tiny/sww_easy10s.wav"));
                let path = path.filter(|path| path.is_file());
                path.map(|path| Recording::read(&path, self.rate())).transpose()
            }
        }
    }
}

/// `cargo xtask firmware keyword`.
pub fn run(options: &Options) -> Result<()> {
    let board = Board::by_name(&options.board)?;
    let network = options.network;
    let Some(plan) = network.plan(board, &options.convert)? else {
        bail!("the network is not in the data folder (MOTE_DATA)");
    };
    let recording = match &options.input {
        Some(path) => Recording::read(path, network.rate())?,
        None => network
            .recording()?
            .context("give a recording: the one of the tests is not in the data folder")?,
    };
    let app = App { board, network, plan: &plan, recording: &recording, serial: options.serial };
    if options.compare {
        let Tally { passed, failed } = app.test(true)?;
        println!("{passed} checks passed, {failed} failed");
        if failed > 0 {
            bail!("the board and the host differ");
        }
        return Ok(());
    }
    app.listen(true)?.costs.context("no instruction counts")?.print();
    Ok(())
}

/// The app on a board with each network; on the first board also with words that people said, and with sound through
/// the serial port.
pub fn add_steps(steps: &mut Steps, board: &Board) {
    use Network::{Digits, Wakeword};
    step(steps, board, "digits", Digits, Digits.recording(), false);
    step(steps, board, "wakeword", Wakeword, Wakeword.recording(), false);
    if board.core == "m4" {
        // Byte by byte through a socket: three seconds are enough.
        let start =
            |recording: Option<Recording>| recording.map(|all| all.start(3, Digits.rate())).transpose();
        step(steps, board, "digits, serial port", Digits, Digits.recording().and_then(start), true);
        step(steps, board, "digits, people", Digits, people(), false);
    }
}

fn step(
    steps: &mut Steps,
    board: &Board,
    name: &str,
    network: Network,
    recording: Result<Option<Recording>>,
    serial: bool,
) {
    let name = format!("keyword on {}: {name}", board.name);
    match recording.and_then(|recording| Ok(network.plan(board, &[])?.zip(recording))) {
        Ok(Some((plan, recording))) => steps.tests(&name, || {
            App { board, network, plan: &plan, recording: &recording, serial }.test(!serial)
        }),
        Ok(None) => steps.skip(&name, "network or recording is not in the data folder (MOTE_DATA)"),
        Err(error) => steps.run(&name, || Err(error)),
    }
}

/// Ten digits by six people.
pub fn people() -> Result<Option<Recording>> {
    let Some(data) = data() else { return Ok(None) };
    let Some(samples) = spoken_digits(&data.join("fsdd/fsdd-wav.tar.xz"))? else { return Ok(None) };
    let spoken = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let recording = Recording::write("people", Network::Digits.rate(), samples)?;
    Ok(Some(Recording { spoken: spoken.map(String::from).to_vec(), ..recording }))
}

/// An image and what it listens to.
pub struct App<'a> {
    pub board: &'a Board,
    pub network: Network,
    pub plan: &'a Path,
    pub recording: &'a Recording,
    pub serial: bool,
}

/// What the app heard.
struct Heard {
    detections: Vec<Detection>,
    /// The bytes of every result.
    results: Vec<u8>,
    costs: Option<Costs>,
}

#[derive(Clone, Debug, PartialEq)]
struct Detection {
    label: String,
    from_ms: u32,
    to_ms: u32,
    probability: f32,
}

impl App<'_> {
    /// Checks that the app on the board gives what `mote stream` gives, in every byte of every result and every
    /// detection; and, if asked, that the image that is shipped can't panic, holds no kernel too many and computes
    /// nothing in f64. Tells what a frame costs.
    pub fn test(&self, shipped: bool) -> Result<Tally> {
        let heard = self.listen(false)?;
        let expected = self.stream()?;
        if expected.detections.is_empty() {
            bail!("nothing is heard in {}: nothing was compared", self.recording.wav.display());
        }
        let mut tally = Tally::default();
        let mut note = |holds: bool, text: &str| {
            if holds {
                tally.passed += 1;
            } else {
                tally.failed += 1;
                eprintln!("FAILED {text}");
            }
        };
        let length = (heard.results.len(), expected.results.len());
        note(heard.results == expected.results, &format!("results differ ({length:?} bytes)"));
        let text = format!("detections {:?}, expected {:?}", heard.detections, expected.detections);
        note(heard.detections == expected.detections, &text);
        if !self.recording.spoken.is_empty() {
            let labels: Vec<_> = heard.detections.iter().map(|detection| &detection.label).collect();
            let holds = labels.iter().copied().eq(&self.recording.spoken);
            note(holds, &format!("heard {labels:?}, spoken was {:?}", self.recording.spoken));
        }
        for Detection { label, from_ms, to_ms, probability } in &heard.detections {
            eprintln!("  {label}: {from_ms} ms to {to_ms} ms, {:.1} %", 100.0 * probability);
        }
        if let Some(costs) = heard.costs {
            costs.print();
        }
        if shipped {
            // With sound from outside, as on a device.
            let image = self.build(&["serial"], None)?;
            panics::check(&image)?;
            kernels::check(&image, &models::facts(self.plan)?)?;
            image::check_single_precision(&image)?;
            let image::Sizes { flash, ram } = image::sizes(&image)?;
            eprintln!("  {flash} bytes of flash, {ram} of static RAM");
            tally.passed += 3;
        }
        Ok(tally)
    }

    fn build(&self, features: &[&str], sound: Option<&Path>) -> Result<PathBuf> {
        let mut all = vec![self.board.name];
        all.extend((self.network == Network::Wakeword).then_some("wakeword"));
        all.extend(features);
        let mut environment = vec![("MOTE_PLAN", self.plan.display().to_string())];
        environment.extend(sound.map(|sound| ("MOTE_SOUND", sound.display().to_string())));
        Ok(image::build("mote-keyword", self.board, Speed::Fast, &all.join(","), &environment)?)
    }

    /// Runs the app on the emulated board.
    fn listen(&self, echo: bool) -> Result<Heard> {
        let mut features = vec!["log", "results", "fft-alone"];
        features.extend(self.serial.then_some("serial"));
        let image =
            self.build(&features, Some(&self.recording.raw).filter(|_| !self.serial).map(PathBuf::as_path))?;
        let settings = Settings { count: true, echo, patience: Duration::from_secs(600) };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let devices = match self.serial {
            true => vec!["-serial".into(), format!("tcp:{}", listener.local_addr()?)],
            false => Vec::new(),
        };
        let sound = self.recording.samples.clone();
        // Ends with the emulator, which ends the connection; without a connection it is left alone.
        let sender = self.serial.then(|| thread::spawn(move || send(&listener.accept()?.0, &sound)));
        let outcome = qemu::emulate_with(self.board, &image, settings, &devices)?;
        if outcome.exit != 0 {
            bail!("the image ended with code {}: {}", outcome.exit, outcome.log.join("\n"));
        }
        if let Some(sender) = sender {
            sender.join().map_err(|_| anyhow::anyhow!("the sender of the sound failed"))??;
        }
        Ok(Heard {
            detections: outcome.log.iter().filter_map(|line| Detection::parse(line)).collect(),
            results: outcome.console,
            costs: outcome.counts.map(|counts| Costs::new(&counts)).transpose()?,
        })
    }

    /// The same on the host.
    fn stream(&self) -> Result<Heard> {
        let Decision { threshold, hold, ignored } = self.network.decision();
        let output = target()?.join("sounds").join("results.npy");
        let mut mote = models::mote()?;
        mote.arg("stream")
            .arg(self.plan)
            .arg("--input")
            .arg(&self.recording.wav)
            .arg("--output")
            .arg(&output);
        mote.args(["--json", "--threshold", threshold, "--hold", hold]);
        for class in ignored {
            mote.args(["--ignore", class]);
        }
        let told: Told =
            serde_json::from_str(&capture(&mut mote)?).context("reading what mote stream tells")?;
        let milliseconds = |seconds: f64| (1000.0 * seconds).round() as u32;
        let detections = told.detections.into_iter().map(|found| Detection {
            label: found.label,
            from_ms: milliseconds(found.from_s),
            to_ms: milliseconds(found.to_s),
            probability: found.probability,
        });
        let file = fs::read(&output).with_context(|| format!("reading {}", output.display()))?;
        Ok(Heard { detections: detections.collect(), results: npy::data(&file)?.to_vec(), costs: None })
    }
}

/// What `mote stream --json` tells.
#[derive(Deserialize)]
struct Told {
    detections: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    label: String,
    probability: f32,
    from_s: f64,
    to_s: f64,
}

impl Detection {
    /// Reads `INFO five: 1200 ms to 1350 ms, probability 0.97`.
    fn parse(line: &str) -> Option<Self> {
        let (label, rest) = line.strip_prefix("INFO ")?.split_once(": ")?;
        let (from, rest) = rest.split_once(" ms to ")?;
        let (to, probability) = rest.split_once(" ms, probability ")?;
        Some(Self {
            label: label.into(),
            from_ms: from.parse().ok()?,
            to_ms: to.parse().ok()?,
            probability: probability.parse().ok()?,
        })
    }
}

/// Answers the app's requests for sound (`firmware/apps/keyword/src/sound.rs`) until it has all of it.
fn send(mut app: &TcpStream, samples: &[i16]) -> Result<()> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut rest = &bytes[..];
    loop {
        let mut request = [0; 2];
        match app.read_exact(&mut request) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && rest.is_empty() => return Ok(()),
            other => other.context("the app asks for no more sound")?,
        }
        let block = rest.split_off(..rest.len().min(u16::from_le_bytes(request).into())).unwrap_or_default();
        app.write_all(&u16::try_from(block.len())?.to_le_bytes())?;
        app.write_all(block)?;
    }
}

/// Exact instructions, medians over the frames when everything runs.
struct Costs {
    fft: u64,
    front_end: u64,
    step: u64,
}

impl Costs {
    fn new(log: &Log) -> Result<Self> {
        let of = |name: &str| {
            let sections = log.sections.iter().filter(|section| section.name == name);
            sections.map(|section| section.counts.total()).collect::<mote_emulator::Result<Vec<_>>>()
        };
        let (sections, steps) = (of("section")?, of("inference")?);
        let (fft, pieces) = sections.split_first().context("the FFT was not measured")?;
        Ok(Self { fft: *fft, front_end: median(pieces)?, step: median(&steps)? })
    }

    fn print(&self) {
        let Self { fft, front_end, step } = self;
        println!(
            "  instructions a frame: front end {front_end}, of them {fft} for the FFT; step of the network {step}"
        );
    }
}

fn median(numbers: &[u64]) -> Result<u64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().context("nothing was measured")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_detections() {
        let line = "INFO five: 1200 ms to 1350 ms, probability 0.97";
        let found = Detection { label: "five".into(), from_ms: 1200, to_ms: 1350, probability: 0.97 };
        assert_eq!(Detection::parse(line), Some(found));
        assert_eq!(Detection::parse("INFO heard five at 1300 ms, probability 0.9"), None);
    }
}
