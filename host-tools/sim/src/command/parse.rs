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
        "bits" => Codec::Bits(number()?.clamp(2, 7) as u8),
        "sign" => Codec::Sign,
        "top" => Codec::TopK { permille: number()?.min(1000) as u16 },
        "project" => Codec::Projection { coordinates: number()?.max(1) },
        _ => {
            return Err(
                "one of f32, f16, int8, bits:BITS, sign, top:PERMILLE, project:COORDINATES is needed".into(),
            );
        }
    })
}

/// How models travel, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Coding {
    pub up: Codec,
    pub down: Codec,
    /// [`crate::Rules::kept`].
    pub kept: Option<Codec>,
    /// So many times the local steps a round.
    pub times: u32,
    /// As many rounds as give as many local steps, if not told.
    pub rounds: Option<u32>,
}

/// `UP/DOWN[+KEPT][/TIMES[/ROUNDS]]`.
pub(super) fn coding(text: &str) -> Result<Coding, String> {
    let bad = || "`UP/DOWN[+KEPT][/TIMES[/ROUNDS]]` is needed".to_owned();
    let mut parts = text.split('/');
    let (up, down) = (parts.next().unwrap_or(""), parts.next().ok_or_else(bad)?);
    let mut number = || match parts.next().map(str::parse) {
        None => Ok(None),
        Some(Ok(number @ 1..)) => Ok(Some(number)),
        Some(_) => Err(bad()),
    };
    let (times, rounds) = (number()?.unwrap_or(1), number()?);
    if parts.next().is_some() {
        return Err(bad());
    }
    let (down, kept) = down.split_once('+').map_or((down, None), |(down, kept)| (down, Some(kept)));
    Ok(Coding { up: codec(up)?, down: codec(down)?, kept: kept.map(codec).transpose()?, times, rounds })
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
        Codec::Bits(bits) => format!("bits:{bits}"),
        Codec::Sign => "sign".into(),
        Codec::TopK { permille } => format!("top:{permille}"),
        Codec::Projection { coordinates } => format!("project:{coordinates}"),
        other => format!("{other:?}"),
    }
}

pub(super) fn told(coding: Coding) -> String {
    let Coding { up, down, kept, times, rounds } = coding;
    let kept = kept.map_or(String::new(), |kept| format!("+{}", name(kept)));
    let rounds = rounds.map_or(String::new(), |rounds| format!("/{rounds}"));
    format!("{}/{}{kept}/{times}{rounds}", name(up), name(down))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_codecs_are_read_back_and_wrong_ones_refused() {
        for text in ["f32", "f16", "int8", "bits:5", "sign", "top:10", "project:64"] {
            assert_eq!(codec(text).map(name).as_deref(), Ok(text));
        }
        for text in ["sign/int8/4", "sign/bits:4+int8/2/62"] {
            assert_eq!(coding(text).map(told).as_deref(), Ok(text));
        }
        for text in ["sign", "sign/int8/0", "sign/int8/1/2/3", "sign/int9", "top:/f32", "sign/int8+/1"] {
            assert!(coding(text).is_err(), "{text}");
        }
        assert!(lie("NaN").is_err() && lie("-8") == Ok(Lie::Scaled(-8.0)));
    }
}
