//! `mote stream`: a plan that runs frame by frame, on frames or on sound.

use crate::failure::{Failure, Outcome, read};
use crate::npy::{self, Numbers};
use crate::sound::{self, FrontEnd};
use clap::Args;
use indicatif::ProgressBar;
use mote_audio::{Detection, Detector};
use mote_compiler::executor::{Executor, encode};
use mote_runtime::engine::{Format, Progress};
use mote_runtime::plan::DType;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub struct Arguments {
    /// Plan made by `mote convert --stream`
    plan: PathBuf,
    /// Frames (.npy, [T, ...]), or sound (.wav) for a plan whose frames the front end makes
    #[arg(short, long)]
    input: PathBuf,
    /// Where to write the results that were ready (.npy)
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Front end for sound; without it the one that fits the recording's rate and the plan's frames
    #[arg(long, value_enum)]
    features: Option<FrontEnd>,
    /// How sure a result must be to count as a detection
    #[arg(long, default_value_t = 0.5)]
    threshold: f32,
    /// How many results in a row must be that sure
    #[arg(long, default_value_t = 1)]
    hold: u32,
    /// A class (name or number) that is no detection, such as background; repeat for more
    #[arg(long, value_name = "CLASS")]
    ignore: Vec<String>,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let bytes = read(&arguments.plan)?;
    let failure = |source| Failure::Plan { path: arguments.plan.clone(), source };
    let mut executor = Executor::new(&bytes).map_err(failure)?;
    let (format, labels) = executor
        .with(|engine| Ok((engine.input_format(0)?, engine.plan().labels().map(str::to_owned).collect())))
        .map_err(failure)?;
    let labels: Vec<String> = labels;
    let (frames, seconds) = frames(arguments, &format)?;
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
        println!("{summary:#}");
        return Ok(());
    }
    println!("{} frames, {} results", frames.len(), results.len());
    match first_ready {
        Some(frame) => println!("the first with frame {frame}"),
        None => println!("the stream is shorter than the network's receptive field"),
    }
    for d in &detections {
        let span = match seconds {
            Some(seconds) => format!("{:8.2} s - {:.2} s", seconds.at(d.first), seconds.at(d.last)),
            None => format!("frame {:>6} - {}", d.first, d.last),
        };
        println!("{span}  {:>5.1} %  {}", 100.0 * d.probability, name(d.class));
    }
    Ok(())
}

/// The frames' bytes, and when each is complete if they come from sound.
fn frames(arguments: &Arguments, format: &Format) -> Result<(Vec<Vec<u8>>, Option<sound::Seconds>), Failure> {
    let path = &arguments.input;
    let encoded = |values: &[f32]| {
        encode(format, values).map_err(|source| Failure::Plan { path: arguments.plan.clone(), source })
    };
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav")) {
        let sound = sound::load(path, arguments.features, format.len())?;
        let frames = match (format.dtype(), format.quant()) {
            (DType::I8, Some((scale, zero_point))) => sound.codes(scale, zero_point as i8),
            _ => sound.frames.iter().map(|frame| encoded(frame)).collect::<Result<_, _>>()?,
        };
        return Ok((frames, Some(sound.seconds)));
    }
    let frames: Vec<Vec<u8>> = match npy::load(path)?.numbers {
        Numbers::I8(codes) if format.dtype() == DType::I8 && codes.len().is_multiple_of(format.len()) => {
            codes
                .chunks_exact(format.len())
                .map(|frame| frame.iter().map(|&code| code as u8).collect())
                .collect()
        }
        numbers => {
            let values: Vec<f32> = match numbers {
                Numbers::I8(values) => values.iter().map(|&value| value.into()).collect(),
                Numbers::F32(values) => values,
            };
            if values.is_empty() || !values.len().is_multiple_of(format.len()) {
                let reason =
                    format!("{} numbers are not a whole number of frames of {}", values.len(), format.len());
                return Err(Failure::Npy { path: path.clone(), reason });
            }
            values.chunks_exact(format.len()).map(encoded).collect::<Result<_, _>>()?
        }
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
