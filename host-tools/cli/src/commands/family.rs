//! Networks of the model families by name: options of `mote convert`, and `mote archs`.

use crate::failure::{Failure, Outcome};
use crate::report::{grouped, print, print_json};
use clap::Args;
use mote_compiler::graph::Graph;
use mote_models::{Arch, Checkpoint, Spec, Weights, build, macs, names};
use serde_json::json;
use std::path::Path;

/// A network by name, with the weights of a file or of a seed.
#[derive(Args)]
#[command(next_help_heading = "Model families")]
pub struct Family {
    /// Network that the .safetensors file has the weights of, by timm's name; `mote archs` lists them. Without a file it
    /// gets the weights that training starts from
    #[arg(long, value_name = "NAME")]
    pub arch: Option<String>,
    /// Rows and columns of its pictures, as 64 or 64x96; without it the published size
    #[arg(long, requires = "arch", value_name = "ROWSxCOLUMNS", value_parser = picture)]
    picture: Option<[usize; 2]>,
    /// Number of classes; without it those of the file, or ImageNet's 1000
    #[arg(long, requires = "arch", value_name = "N")]
    classes: Option<usize>,
    /// Seed of the weights where there is no file
    #[arg(long, requires = "arch", default_value_t = 0, conflicts_with = "model")]
    seed: u64,
}

impl Family {
    /// The network, if one is named. `file` are the weights, with their path.
    pub fn graph(&self, file: Option<(&Path, &[u8])>) -> Result<Option<Graph>, Failure> {
        let Some(name) = &self.arch else {
            return match file {
                Some((path, _)) if path.extension().is_some_and(|end| end == "safetensors") => {
                    Err(Failure::usage(
                        format!("{} holds weights, and no network", path.display()),
                        "name the network that they belong to, as in `--arch tinynet_e`; `mote archs` lists all",
                    ))
                }
                _ => Ok(None),
            };
        };
        let mut spec = Spec::published(arch(name)?);
        spec.size = self.picture.unwrap_or(spec.size);
        let place = file.map_or_else(|| Path::new(name), |(path, _)| path);
        let checkpoint = file.map(|(_, bytes)| Checkpoint::parse(bytes)).transpose();
        let checkpoint = checkpoint.map_err(Failure::build(place))?;
        let found = checkpoint.as_ref().and_then(Checkpoint::classes);
        spec.classes = self.classes.or(found).unwrap_or(spec.classes);
        let weights = checkpoint.as_ref().map_or(Weights::Seeded(self.seed), Weights::Checkpoint);
        build(&spec, weights).map(|model| Some(model.graph)).map_err(Failure::build(place))
    }
}

/// A network by name; the nearest names where there is none.
fn arch(name: &str) -> Result<Arch, Failure> {
    name.parse::<Arch>().map_err(|unknown| {
        let help = match &unknown.suggestions[..] {
            [] => "`mote archs` lists all names".into(),
            near => format!("the nearest are {}; `mote archs` lists all", near.join(", ")),
        };
        Failure::usage(unknown.to_string(), help)
    })
}

fn picture(text: &str) -> Result<[usize; 2], String> {
    let (rows, columns) = text.split_once('x').unwrap_or((text, text));
    match (rows.parse(), columns.parse()) {
        (Ok(rows), Ok(columns)) if rows > 0 && columns > 0 => Ok([rows, columns]),
        _ => Err("give rows and columns, as in `64` or `64x96`".into()),
    }
}

/// List the networks that mote can build
///
/// EfficientFormer, TinyNet and MobileNet by timm's names, with parameters and multiplications at their published sizes
/// and 1000 classes. MobileNets have other widths in hundredths (mobilenetv2_115), TinyNets other factors
/// (tinynet_w0.52_d0.78). Use one with
///
///   mote convert weights.safetensors --arch tinynet_e -o net.mote
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn archs(arguments: &Arguments) -> Outcome {
    let mut found = Vec::new();
    for name in names() {
        let spec = Spec::published(arch(&name)?);
        let model = build(&spec, Weights::Shapes).map_err(Failure::build(Path::new(&name)))?;
        found.push((name, spec, model.parameter_count(), macs(&model.graph)));
    }
    if arguments.json {
        let object = |(name, spec, parameters, macs): &(String, Spec, u64, u64)| {
            json!({"arch": name, "picture": spec.size, "parameters": parameters, "macs": macs,
                "timm": spec.arch.timm(spec.classes, spec.size)})
        };
        print_json(&json!({"archs": found.iter().map(object).collect::<Vec<_>>()}));
        return Ok(());
    }
    let mut text = format!("{:22}{:>9}{:>14}{:>18}\n", "network", "picture", "parameters", "multiplications");
    for (name, spec, parameters, macs) in &found {
        let side = format!("{0} x {0}", spec.size[0]);
        text += &format!("{name:22}{side:>9}{:>14}{:>18}\n", grouped(*parameters), grouped(*macs));
    }
    print(&text);
    Ok(())
}
