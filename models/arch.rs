//! Networks by name.

use crate::efficientformer::{v1, v2};
use crate::mobilenet::{Form, MobileNet, Version};
use crate::tinynet::{self, TinyNet};
use std::fmt;
use std::str::FromStr;

/// A network, but for its input size and classes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Arch {
    EfficientFormer(v1::Variant),
    EfficientFormerV2(v2::Variant),
    TinyNet(TinyNet),
    MobileNet(MobileNet),
}

impl Arch {
    /// Side of the picture that it was published for.
    pub fn side(&self) -> usize {
        let published = |net: &TinyNet| tinynet::PUBLISHED.iter().find(|known| known.net == *net);
        match self {
            Arch::TinyNet(net) => published(net).map_or(224, |known| known.side),
            _ => 224,
        }
    }

    /// What timm calls with which arguments, as Python.
    pub fn timm(&self, classes: usize, size: [usize; 2]) -> String {
        let generator = "timm.models.efficientnet";
        match self {
            Arch::TinyNet(TinyNet { width, depth }) => {
                format!(
                    "{generator}._gen_tinynet(\"tinynet_a\", {width:?}, {depth:?}, num_classes={classes})"
                )
            }
            Arch::MobileNet(net @ MobileNet { form: Form::Plain, .. }) => {
                let version = if net.version == Version::V1 { "v1" } else { "v2" };
                let width = net.percent as f64 / 100.0;
                format!(
                    "{generator}._gen_mobilenet_{version}(\"mobilenet{version}_100\", {width:?}, num_classes={classes})"
                )
            }
            Arch::EfficientFormerV2(_) => {
                format!(
                    "timm.create_model(\"{self}\", num_classes={classes}, img_size=({}, {}))",
                    size[0], size[1]
                )
            }
            _ => format!("timm.create_model(\"{self}\", num_classes={classes})"),
        }
    }
}

/// timm's name where it has one; other widths of MobileNet in hundredths, those of TinyNet as `tinynet_w0.521_d0.783`.
impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arch::EfficientFormer(variant) => f.write_str(variant.name),
            Arch::EfficientFormerV2(variant) => f.write_str(variant.name),
            Arch::TinyNet(net) => match tinynet::PUBLISHED.iter().find(|known| known.net == *net) {
                Some(known) => write!(f, "tinynet_{}", known.letter),
                None => write!(f, "tinynet_w{}_d{}", net.width, net.depth),
            },
            Arch::MobileNet(MobileNet { version, percent, form }) => {
                let version = if *version == Version::V1 { 1 } else { 2 };
                let mark = match form {
                    Form::Plain => "",
                    Form::Head => "h",
                    Form::Deep { .. } => "d",
                };
                write!(f, "mobilenetv{version}_{percent:03}{mark}")
            }
        }
    }
}

/// A name that no network has.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("there is no network named `{name}`")]
pub struct UnknownArch {
    pub name: String,
    /// The nearest names, best first.
    pub suggestions: Vec<String>,
}

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(name: &str) -> Result<Self, UnknownArch> {
        let lower = name.to_ascii_lowercase();
        let former = v1::VARIANTS.into_iter().find(|v| v.name == lower).map(Arch::EfficientFormer);
        let second = v2::VARIANTS.into_iter().find(|v| v.name == lower).map(Arch::EfficientFormerV2);
        let tiny = || lower.strip_prefix("tinynet_").and_then(tinynet).map(Arch::TinyNet);
        let mobile = || lower.strip_prefix("mobilenetv").and_then(mobilenet).map(Arch::MobileNet);
        former.or(second).or_else(tiny).or_else(mobile).ok_or_else(|| unknown(name))
    }
}

/// Widest network that can be asked for; far above what was published.
const WIDEST: f64 = 4.0;

/// `e`, or `w0.521_d0.783`.
fn tinynet(rest: &str) -> Option<TinyNet> {
    if let Some(known) = tinynet::PUBLISHED.iter().find(|known| rest == known.letter.to_string()) {
        return Some(known.net);
    }
    let (width, depth) = rest.strip_prefix('w')?.split_once("_d")?;
    let factor = |text: &str| text.parse::<f64>().ok().filter(|&x| x > 0.0 && x <= WIDEST);
    Some(TinyNet { width: factor(width)?, depth: factor(depth)? })
}

/// `1_100`, `2_035`, `1_100h`, `2_110d`.
fn mobilenet(rest: &str) -> Option<MobileNet> {
    let (version, width) = rest.split_once('_')?;
    let version = match version {
        "1" => Version::V1,
        "2" => Version::V2,
        _ => return None,
    };
    let digits = width.trim_end_matches(|c: char| !c.is_ascii_digit());
    let percent: usize = digits.parse().ok().filter(|_| digits.len() == 3)?;
    let form = match (version, percent, &width[digits.len()..]) {
        (_, _, "") => Form::Plain,
        (Version::V1, _, "h") => Form::Head,
        (Version::V2, 110, "d") => Form::Deep { tenths: 12 },
        (Version::V2, 120, "d") => Form::Deep { tenths: 14 },
        _ => return None,
    };
    let possible = percent > 0 && percent as f64 <= 100.0 * WIDEST;
    possible.then_some(MobileNet { version, percent, form })
}

/// All names that were published, by family. MobileNets of other widths and TinyNets of other factors have names, too.
pub fn names() -> Vec<String> {
    let formers = v1::VARIANTS.iter().map(|v| v.name).chain(v2::VARIANTS.iter().map(|v| v.name));
    let tiny = tinynet::PUBLISHED.iter().map(|known| format!("tinynet_{}", known.letter));
    let mobile = [
        "mobilenetv1_025",
        "mobilenetv1_050",
        "mobilenetv1_075",
        "mobilenetv1_100",
        "mobilenetv1_100h",
        "mobilenetv1_125",
        "mobilenetv2_035",
        "mobilenetv2_050",
        "mobilenetv2_075",
        "mobilenetv2_100",
        "mobilenetv2_110d",
        "mobilenetv2_120d",
        "mobilenetv2_140",
    ];
    formers.map(String::from).chain(tiny).chain(mobile.map(String::from)).collect()
}

fn unknown(name: &str) -> UnknownArch {
    const ALIKE: f64 = 0.8;
    let lower = name.to_ascii_lowercase();
    let mut near: Vec<(f64, String)> =
        names().into_iter().map(|known| (strsim::jaro_winkler(&lower, &known), known)).collect();
    near.retain(|(likeness, _)| *likeness >= ALIKE);
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let suggestions = near.into_iter().take(3).map(|(_, known)| known).collect();
    UnknownArch { name: name.into(), suggestions }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let mut all = names();
        all.extend(["tinynet_w0.521_d0.783", "mobilenetv2_115", "mobilenetv1_014"].map(String::from));
        for name in all {
            assert_eq!(name.parse::<Arch>().map(|arch| arch.to_string()), Ok(name));
        }
    }

    #[test]
    fn unknown_names_have_suggestions() {
        let unknown = |name: &str| name.parse::<Arch>().unwrap_err().suggestions;
        assert_eq!(unknown("tinynet-e")[0], "tinynet_e");
        assert_eq!(unknown("efficientformer_v2_s0")[0], "efficientformerv2_s0");
        assert_eq!(unknown("mobilenetv2_1000").len(), 3);
        assert_eq!(unknown("resnet50"), Vec::<String>::new());
        for odd in
            ["tinynet_w0_d1", "tinynet_wNaN_d1", "mobilenetv2_000", "mobilenetv3_100", "mobilenetv2_100é", ""]
        {
            assert!(odd.parse::<Arch>().is_err(), "{odd}");
        }
    }
}
