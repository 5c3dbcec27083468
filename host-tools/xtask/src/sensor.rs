//! The sensor app: runs it with an emulated sensor, whose temperature changes from outside, and compares what it tells
//! with the host and with what happened.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::json;

use crate::{
    board::Board,
    image::{self, Speed},
    kernels,
    models::{self, Model},
    npy, panics,
    qemu::{self, Outcome, Settings},
    qmp::Qmp,
    steps::{Steps, Tally},
    workspace::{capture, root, target},
};

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value = "mps2-an386")]
    board: String,
    /// Only this scenario of models/continual/fridge/samples/scenarios.json
    #[arg(long)]
    scenario: Option<String>,
}

/// What happens to the sensor.
#[derive(Deserialize)]
struct Scenario {
    name: String,
    /// The first reading of the trouble, and the first behind it; a trouble without an end lasts.
    begin: Option<usize>,
    end: Option<usize>,
    millidegrees: Vec<i64>,
    /// What ONNX Runtime makes of every window of readings, rounded to five places.
    scores: Vec<[f32; 2]>,
}

/// Most readings from the beginning of a trouble to the alarm, both included; other troubles are played, and what the
/// app tells is compared with the host, but no alarm is asked for (a stuck sensor shows only where a fridge's cycle
/// should have turned).
const WITHIN: &[(&str, usize)] = &[("step", 1), ("spike", 1), ("drift", 16), ("dead", 32)];

/// Largest difference of a score to ONNX Runtime's; scores go up to about 13.
const TOLERANCE: f32 = 1e-4;

/// Readings that the scores look at: so long after a trouble it may still be seen.
const MEMORY: usize = 37;
/// Calm readings that end an alarm: `firmware/apps/sensor/src/alarm.rs`.
const CALM: usize = 8;

/// `cargo xtask firmware sensor`.
pub fn run(options: &Options) -> Result<()> {
    let wanted = |scenario: &Scenario| options.scenario.as_ref().is_none_or(|name| *name == scenario.name);
    let Tally { passed, failed } = test(Board::by_name(&options.board)?, true, wanted)?;
    println!("{passed} checks passed, {failed} failed");
    if failed > 0 || passed == 0 {
        bail!("{failed} checks failed");
    }
    Ok(())
}

pub fn add_steps(steps: &mut Steps, board: &Board) {
    steps.tests(&format!("sensor on {}", board.name), || test(board, false, |_| true));
}

/// All scenarios that are wanted, and whether the image that is shipped can't panic.
fn test(board: &Board, echo: bool, wanted: impl Fn(&Scenario) -> bool) -> Result<Tally> {
    let plan = plan(board)?;
    let text = fs::read_to_string(root().join("models/continual/fridge/samples/scenarios.json"))?;
    let scenarios: Vec<Scenario> = serde_json::from_str(&text).context("reading the scenarios")?;
    let image = build(board, &plan, ",log,paced")?;
    let mut tally = Tally::default();
    for scenario in scenarios.iter().filter(|scenario| wanted(scenario)) {
        match play(board, &image, &plan, scenario, echo) {
            Ok(told) => {
                tally.passed += 1;
                eprintln!("ok     {}: {told}", scenario.name);
            }
            Err(error) => {
                tally.failed += 1;
                eprintln!("FAILED {}: {error:#}", scenario.name);
            }
        }
    }
    absent(board, &image, echo)?;
    tally.passed += 1;
    let image = build(board, &plan, "")?;
    panics::check(&image)?;
    kernels::check(&image, &models::facts(&plan)?)?;
    let image::Sizes { flash, ram } = image::sizes(&image)?;
    eprintln!("  {flash} bytes of flash, {ram} of static RAM");
    tally.passed += 2;
    Ok(tally)
}

/// The forecaster that comes with the project.
pub fn plan(board: &Board) -> Result<PathBuf> {
    let path = root().join("models/continual/fridge/fridge.onnx");
    Model { name: "fridge".into(), path }.convert(board, &["--stream".into()])
}

fn build(board: &Board, plan: &Path, features: &str) -> Result<PathBuf> {
    let features = format!("{}{features}", board.name);
    let environment = [("MOTE_PLAN", plan.display().to_string())];
    Ok(image::build("mote-sensor", board, Speed::Fast, &features, &environment)?)
}

/// One run; what was seen.
fn play(board: &Board, image: &Path, plan: &Path, scenario: &Scenario, echo: bool) -> Result<String> {
    let temperatures: Vec<_> = scenario.millidegrees.iter().copied().map(Some).collect();
    let outcome = watch(board, image, &temperatures, echo)?;
    let told: Vec<Reading> = outcome.log.iter().filter_map(|line| Reading::parse(line)).collect();
    let expected = expected(plan, scenario)?;
    if let Some(index) = (0..expected.len()).find(|&i| told.get(i) != Some(&expected[i])) {
        bail!("reading {index}: {:?}, expected {:?}", told.get(index), expected[index]);
    }
    if told.len() != expected.len() {
        bail!("{} readings, expected {}", told.len(), expected.len());
    }
    let scores: Vec<[f32; 2]> = told.iter().filter_map(|reading| reading.scores).collect();
    if scores.len() != scenario.scores.len() {
        bail!("{} pairs of scores, ONNX Runtime has {}", scores.len(), scenario.scores.len());
    }
    let mut pairs = scores.as_flattened().iter().zip(scenario.scores.as_flattened());
    // A score that is no number is near nothing.
    let near = |a: &f32, b: &f32| (a - b).abs() <= TOLERANCE;
    if let Some((ours, theirs)) = pairs.find(|(ours, theirs)| !near(ours, theirs)) {
        bail!("a score is {ours}, ONNX Runtime's {theirs}");
    }
    let alarms = numbers(&outcome.log, "WARN alarm at reading ");
    let ends = numbers(&outcome.log, "INFO calm again at reading ");
    judge(scenario, &alarms, &ends)?;
    let steps = outcome.counts.context("no instruction counts")?;
    let most = steps
        .sections
        .iter()
        .map(|section| section.counts.total())
        .try_fold(0, |a, b| b.map(|b| a.max(b)))?;
    Ok(format!(
        "{} readings as on the host, alarms at {alarms:?}, calm again at {ends:?}; {most} instructions a step",
        told.len()
    ))
}

/// Without a sensor the app says so, reading by reading, and goes on.
fn absent(board: &Board, image: &Path, echo: bool) -> Result<()> {
    let outcome = watch(board, image, &[None; 3], echo)?;
    let errors: Vec<_> = outcome.log.iter().filter(|line| line.starts_with("ERROR")).collect();
    let expected = (0..3).map(|i| format!("ERROR reading {i}: the sensor does not answer"));
    if !errors.iter().copied().cloned().eq(expected) {
        bail!("without a sensor the app says {:?}", outcome.log);
    }
    Ok(())
}

/// Runs the app for as many readings as there are temperatures; without any there is no sensor.
fn watch(board: &Board, image: &Path, temperatures: &[Option<i64>], echo: bool) -> Result<Outcome> {
    let (control, port) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let mut devices = vec!["-qmp".into(), format!("tcp:{}", control.local_addr()?)];
    devices.extend(["-serial".into(), format!("tcp:{}", port.local_addr()?)]);
    if temperatures.iter().any(Option::is_some) {
        devices.extend(["-device".into(), "tmp105,id=sensor,address=0x48".into()]);
    }
    let temperatures = temperatures.to_vec();
    let world = thread::spawn(move || turn(&control, &port, &temperatures));
    let settings = Settings { count: true, echo, patience: Duration::from_secs(300) };
    let outcome = qemu::emulate_with(board, image, settings, &devices)?;
    if outcome.exit != 0 {
        bail!("the image ended with code {}: {}", outcome.exit, outcome.log.join("\n"));
    }
    world.join().map_err(|_| anyhow!("the sensor's world came to an end"))??;
    Ok(outcome)
}

/// Lets the app take one reading after the other, each of the temperature that is set before it; then ends the emulator.
fn turn(control: &TcpListener, port: &TcpListener, temperatures: &[Option<i64>]) -> Result<()> {
    let mut qmp = Qmp::accept(control)?;
    let mut app = port.accept()?.0;
    // The app waits: it has told all about the reading before.
    let wait = |mut app: &std::net::TcpStream| app.read_exact(&mut [0]).context("the app takes no reading");
    for temperature in temperatures {
        wait(&app)?;
        if let Some(temperature) = temperature {
            qmp.set("sensor", "temperature", json!(temperature))?;
        }
        app.write_all(b"!")?;
    }
    wait(&app)?;
    qmp.quit()
}

/// A line of the app.
#[derive(Clone, Debug, PartialEq)]
struct Reading {
    index: usize,
    celsius: f32,
    scores: Option<[f32; 2]>,
}

impl Reading {
    /// Reads `INFO reading 40: 3.5 degrees, scores 0.25 0.5`.
    fn parse(line: &str) -> Option<Self> {
        let (index, rest) = line.strip_prefix("INFO reading ")?.split_once(": ")?;
        let (celsius, rest) = rest.split_once(" degrees")?;
        let scores = match rest.strip_prefix(", scores ") {
            Some(scores) => {
                let (next, eighth) = scores.split_once(' ')?;
                Some([next.parse().ok()?, eighth.parse().ok()?])
            }
            None => None,
        };
        Some(Self { index: index.parse().ok()?, celsius: celsius.parse().ok()?, scores })
    }
}

/// The numbers of the readings that lines with this beginning name.
fn numbers(log: &[String], beginning: &str) -> Vec<usize> {
    log.iter().filter_map(|line| line.strip_prefix(beginning)?.parse().ok()).collect()
}

/// What the host makes of the same readings: `mote stream`.
fn expected(plan: &Path, scenario: &Scenario) -> Result<Vec<Reading>> {
    let folder = target()?.join("sensor");
    fs::create_dir_all(&folder)?;
    let (input, output) = (folder.join("readings.npy"), folder.join("scores.npy"));
    let celsius: Vec<f32> = scenario.millidegrees.iter().map(|&m| sensed(m)).collect();
    let bytes: Vec<u8> = celsius.iter().flat_map(|number| number.to_le_bytes()).collect();
    fs::write(&input, npy::write("<f4", &[celsius.len(), 1], &bytes)?)?;
    let mut mote = models::mote()?;
    capture(mote.arg("stream").arg(plan).arg("--input").arg(&input).arg("--output").arg(&output))?;
    let file = fs::read(&output)?;
    let numbers: Vec<f32> =
        npy::data(&file)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let scores = numbers.as_chunks().0;
    let pending = celsius.len().checked_sub(scores.len()).context("more scores than readings")?;
    let reading = |(index, &celsius): (usize, &f32)| {
        let scores = index.checked_sub(pending).and_then(|ready| scores.get(ready).copied());
        Reading { index, celsius, scores }
    };
    Ok(celsius.iter().enumerate().map(reading).collect())
}

/// What the emulated sensor gives: 1/256 degree, cut to 12 bits.
fn sensed(millidegrees: i64) -> f32 {
    let register = (millidegrees * 256 / 1000) as i16 & !0xF;
    f32::from(register) / 256.0
}

/// No alarm without trouble; one soon after it begins; none any more when the network has forgotten it.
fn judge(scenario: &Scenario, alarms: &[usize], ends: &[usize]) -> Result<()> {
    let begin = scenario.begin.unwrap_or(usize::MAX);
    if let Some(early) = alarms.iter().find(|&&at| at < begin) {
        bail!("alarm at reading {early}, without trouble");
    }
    if let Some((_, within)) = WITHIN.iter().find(|(name, _)| *name == scenario.name)
        && alarms.first().is_none_or(|&at| at >= begin + within)
    {
        bail!("the trouble begins with reading {begin}, alarms {alarms:?}: not within {within} readings");
    }
    let Some(end) = scenario.end else { return Ok(()) };
    let forgotten = end + MEMORY + CALM;
    if let Some(late) = alarms.iter().chain(ends).find(|&&at| at > forgotten) {
        bail!("the trouble is over with reading {end}, and there is still news at reading {late}");
    }
    if alarms.len() != ends.len() || scenario.millidegrees.len() <= forgotten {
        bail!("alarms {alarms:?}, ends {ends:?}: one does not end");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_log() {
        let line = "INFO reading 40: -3.5 degrees, scores 0.25 0.5";
        assert_eq!(
            Reading::parse(line),
            Some(Reading { index: 40, celsius: -3.5, scores: Some([0.25, 0.5]) })
        );
        let line = "INFO reading 0: 21.0625 degrees";
        assert_eq!(Reading::parse(line), Some(Reading { index: 0, celsius: 21.0625, scores: None }));
        assert_eq!(numbers(&["WARN alarm at reading 61".into()], "WARN alarm at reading "), [61]);
    }

    #[test]
    fn judges() {
        let scenario = |name: &str, begin, end| Scenario {
            name: name.into(),
            begin,
            end,
            millidegrees: vec![0; 180],
            scores: Vec::new(),
        };
        let spike = scenario("spike", Some(60), Some(61));
        assert!(judge(&spike, &[60], &[75]).is_ok());
        assert!(judge(&spike, &[61], &[75]).is_err(), "too late");
        assert!(judge(&spike, &[50, 60], &[55, 75]).is_err(), "too early");
        assert!(judge(&spike, &[60], &[]).is_err(), "without an end");
        assert!(judge(&spike, &[60, 120], &[75, 130]).is_err(), "after the end");
        assert!(judge(&scenario("calm", None, None), &[60], &[70]).is_err());
        assert!(judge(&scenario("dead", Some(60), None), &[70], &[]).is_ok());
    }

    #[test]
    fn senses_in_steps() {
        assert_eq!(sensed(3437), 3.375);
    }
}
