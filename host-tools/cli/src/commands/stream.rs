//! `mote stream`: a plan that runs frame by frame, on frames or on sound.

use crate::failure::{Failure, Outcome};
use crate::files::{check_apart, check_writable, read};
use crate::npy::{self, Numbers};
use crate::report::{print, print_json};
use crate::sound::{self, FrontEnd, Seconds};
use clap::Args;
use indicatif::ProgressBar;
use mote_audio::{Detection, Detector};
use mote_compiler::executor::{Executor, encode};
use mote_runtime::engine::{Format, Progress};
use mote_runtime::plan::{DType, RegionKind};
use serde_json::json;
use std::path::PathBuf;

/// Run a plan over a stream: frames or sound
///
/// Prints detections: runs of results whose best class is the same and sure enough, with their times.
#[derive(Args)]
pub struct Arguments {
    /// Plan made by `mote convert --stream`
    plan: PathBuf,
    /// Frames (.npy, [T, ...]), or 16-bit sound (.wav) for a plan whose frames a front end makes
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,
    /// Where to write the results that were ready (.npy)
    #[arg(short, long, value_name = "OUT.npy")]
    output: Option<PathBuf>,
    /// Front end for sound; without it the one that fits the recording's rate and the plan's frames
    #[arg(long, value_enum)]
    features: Option<FrontEnd>,
    /// How sure a result must be to count as a detection, from 0 to 1
    #[arg(long, default_value_t = 0.5, value_name = "PROBABILITY")]
    threshold: f32,
    /// How many results in a row must be that sure
    #[arg(long, default_value_t = 1)]
    hold: u32,
    /// A class (name or number) that is no detection, such as background; repeat for more
    #[arg(long, value_name = "CLASS")]
    ignore: Vec<String>,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    if let Some(path) = &arguments.output {
        check_writable(path)?;
        check_apart(path, [&arguments.plan, &arguments.input])?;
    }
    let bytes = read(&arguments.plan)?;
    let failure = Failure::plan(&arguments.plan);
    let mut executor = Executor::new(&bytes).map_err(failure)?;
    let told = executor.with(|engine| {
        let plan = engine.plan();
        let endless = plan.region(0).is_some_and(|region| region.kind == RegionKind::Endless as u8);
        let micros = plan.conversion().map_or(0, |conversion| conversion.frame_micros);
        let labels: Vec<String> = plan.labels().map(str::to_owned).collect();
        Ok((engine.input_format(0)?, labels, endless, micros))
    });
    let (format, labels, endless, micros) = told.map_err(failure)?;
    if !endless {
        let help = "convert the model with --stream, or use `mote run` with this plan";
        return Err(Failure::usage("this plan does not run frame by frame", help));
    }
    let (frames, seconds) = frames(arguments, &format)?;
    let seconds = seconds.or_else(|| Seconds::of_frames(micros));
    let bar = if arguments.json { ProgressBar::hidden() } else { ProgressBar::new(frames.len() as u64) };
    let (mut results, mut bytes, mut shape) = (Vec::new(), Vec::new(), (DType::I8, Vec::new()));
    let streamed = executor.with(|engine| {
        for (index, frame) in frames.iter().enumerate() {
            if engine.step(frame)? == Progress::Ready {
                let output = engine.output(0)?;
                bytes.extend_from_slice(output.bytes());
                let per_result = output.shape().iter().map(|&n| u64::from(n)).filter(|&n| n != 1);
                shape = (output.dtype(), per_result.collect());
                results.push((index, output.reals().collect::<Vec<f32>>()));
            }
            bar.inc(1);
        }
        Ok(())
    });
    bar.finish_and_clear();
    streamed.map_err(failure)?;
    if let Some(path) = &arguments.output {
        let (dtype, per_result) = &shape;
        npy::save(path, *dtype, &[&[results.len() as u64][..], per_result].concat(), &bytes)?;
    }
    let name = |class: usize| labels.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
    let ignored =
        |class: usize| arguments.ignore.iter().any(|own| *own == name(class) || *own == class.to_string());
    let detections: Vec<Detection> = detections(&results, Detector::new(arguments.threshold, arguments.hold))
        .into_iter()
        .filter(|detection| !ignored(detection.class))
        .collect();
    let first_ready = results.first().map(|(frame, _)| *frame);
    if arguments.json {
        let rows: Vec<_> = detections
            .iter()
            .map(|d| {
                json!({"class": d.class, "label": name(d.class), "probability": d.probability,
                    "first_frame": d.first, "last_frame": d.last,
                    "from_s": seconds.map(|s| s.at(d.first)), "to_s": seconds.map(|s| s.at(d.last))})
            })
            .collect();
        let summary = json!({"frames": frames.len(), "results": results.len(), "first_ready": first_ready,
            "detections": rows});
        print_json(&summary);
        return Ok(());
    }
    let mut text = format!("{} frames, {} results\n", frames.len(), results.len());
    text += &match first_ready {
        Some(frame) => format!("the first with frame {frame}\n"),
        None => "the stream is shorter than the network's receptive field\n".into(),
    };
    for d in &detections {
        let span = match seconds {
            Some(seconds) => format!("{:8.2} s - {:.2} s", seconds.at(d.first), seconds.at(d.last)),
            None => format!("frame {:>6} - {}", d.first, d.last),
        };
        text += &format!("{span}  {:>5.1} %  {}\n", 100.0 * d.probability, name(d.class));
    }
    print(&text);
    Ok(())
}

/// The frames' bytes, and when each is complete if they come from sound.
fn frames(arguments: &Arguments, format: &Format) -> Result<(Vec<Vec<u8>>, Option<Seconds>), Failure> {
    let path = &arguments.input;
    let encoded = |values: &[f32]| encode(format, values).map_err(Failure::plan(&arguments.plan));
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav")) {
        let sound = sound::load(path, arguments.features, format.len())?;
        let frames = match (format.dtype(), format.quant()) {
            (DType::I8, Some((scale, zero_point))) => sound.codes(scale, zero_point as i8),
            _ => sound.frames.iter().map(|frame| encoded(frame)).collect::<Result<_, _>>()?,
        };
        return Ok((frames, Some(sound.seconds)));
    }
    let tensor = npy::load(path)?;
    let shape: Vec<u64> = format.shape().iter().map(|&n| n.into()).collect();
    tensor.samples(path, &shape, "frame")?;
    let frames = match tensor.numbers {
        Numbers::I8(codes) if format.dtype() == DType::I8 => codes
            .chunks_exact(format.len())
            .map(|frame| frame.iter().map(|&code| code as u8).collect())
            .collect(),
        numbers => numbers.into_reals().chunks_exact(format.len()).map(encoded).collect::<Result<_, _>>()?,
    };
    Ok((frames, None))
}

/// All detections of a stream.
fn detections(results: &[(usize, Vec<f32>)], mut detector: Detector) -> Vec<Detection> {
    let ended = results.iter().filter_map(|(frame, scores)| {
        let frame = u32::try_from(*frame).unwrap_or(u32::MAX);
        detector.take(frame, || scores.iter().copied()).ended
    });
    let mut found: Vec<Detection> = ended.collect();
    found.extend(detector.finish());
    found
}
