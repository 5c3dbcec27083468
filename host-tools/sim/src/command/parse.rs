//! Values of options.

use crate::{Lie, Merge, Weigh};
use mote_modest::compress::Codec;

pub(super) fn codec(text: &str) -> Result<Codec, String> {
    let (name, number) = text.split_once(':').unwrap_or((text, ""));
    let number = || number.parse::<u32>().map_err(|_| format!("a number is needed behind `{name}:`"));
    Ok(match name {
        "f32" => Codec::F32,
        "f16" => Codec::F16,
        "int8" => Codec::Int8,
        "sign" => Codec::Sign,
        "top" => Codec::TopK { permille: number()?.min(1000) as u16 },
        "project" => Codec::Projection { coordinates: number()?.max(1) },
        _ => return Err("one of f32, f16, int8, sign, top:PERMILLE, project:COORDINATES is needed".into()),
    })
}

/// `UP/DOWN`, or `UP/DOWN/TIMES`.
pub(super) fn pair(text: &str) -> Result<(Codec, Codec, u32), String> {
    let mut parts = text.split('/');
    let (up, down) = (parts.next().unwrap_or(""), parts.next().ok_or("two codecs, `UP/DOWN`, are needed")?);
    let times =
        parts.next().map_or(Ok(1), str::parse).map_err(|_| "a number is needed behind the second `/`")?;
    if times == 0 || parts.next().is_some() {
        return Err("`UP/DOWN` or `UP/DOWN/TIMES` is needed".into());
    }
    Ok((codec(up)?, codec(down)?, times))
}

pub(super) fn merge(text: &str) -> Result<Merge, String> {
    let (name, number) = text.split_once(':').unwrap_or((text, ""));
    let number = || number.parse::<u16>().map_err(|_| format!("a number is needed behind `{name}:`"));
    Ok(match name {
        "mean" => Merge::Mean,
        "trimmed" => Merge::Trimmed(usize::from(number()?)),
        "variance" => Merge::VarianceCorrected,
        "ties" => Merge::Ties(number()?.min(1000)),
        _ => return Err("one of mean, trimmed:COUNT, variance, ties:PERMILLE is needed".into()),
    })
}

pub(super) fn weigh(text: &str) -> Result<Weigh, String> {
    Ok(match text {
        "evenly" => Weigh::Evenly,
        "samples" => Weigh::Samples,
        "participation" => Weigh::Participation,
        _ => return Err("one of evenly, samples, participation is needed".into()),
    })
}

pub(super) fn lie(text: &str) -> Result<Lie, String> {
    if text == "flip" {
        return Ok(Lie::Flipped);
    }
    let factor = text.parse().ok().filter(|factor: &f32| factor.is_finite());
    factor.map(Lie::Scaled).ok_or_else(|| "`flip` or a factor is needed".into())
}

/// The way back, for reports.
pub(super) fn name(codec: Codec) -> String {
    match codec {
        Codec::F32 => "f32".into(),
        Codec::F16 => "f16".into(),
        Codec::Int8 => "int8".into(),
        Codec::Sign => "sign".into(),
        Codec::TopK { permille } => format!("top:{permille}"),
        Codec::Projection { coordinates } => format!("project:{coordinates}"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_codecs_are_read_back_and_wrong_ones_refused() {
        for text in ["f32", "f16", "int8", "sign", "top:10", "project:64"] {
            assert_eq!(codec(text).map(name).as_deref(), Ok(text));
        }
        assert_eq!(pair("sign/int8/4"), Ok((Codec::Sign, Codec::Int8, 4)));
        for text in ["sign", "sign/int8/0", "sign/int8/1/2", "sign/int9", "top:/f32"] {
            assert!(pair(text).is_err(), "{text}");
        }
        assert!(lie("NaN").is_err() && lie("-8") == Ok(Lie::Scaled(-8.0)));
    }
}
