//! Pictures to network inputs, by the recipe in the plan.

use crate::failure::Failure;
use image::imageops::FilterType;
use mote_runtime::plan::PreprocessRecord;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The recipe as people write it (`--preprocess FILE.json`): the same fields as the plan's record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// `nearest`, `bilinear` or `bicubic`.
    #[serde(default = "bilinear")]
    pub resize: String,
    /// Rows and columns of the network's input.
    pub size: [u16; 2],
    /// Resize the short side to this and crop the centre; without it the picture is stretched.
    #[serde(default)]
    pub crop_from: u16,
    /// Per channel, of values in 0..1.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
    /// `rgb`, `bgr` or `grey`.
    #[serde(default = "rgb")]
    pub order: String,
}

/// A recipe that is right.
const RECIPE_HELP: &str = r#"a recipe is JSON such as {"size": [224, 224], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "resize": "bilinear", "crop_from": 256, "order": "rgb"}"#;

fn bilinear() -> String {
    "bilinear".into()
}

fn rgb() -> String {
    "rgb".into()
}

impl Recipe {
    /// Reads a recipe file.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let bytes = crate::files::read(path)?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Failure::input(path, format!("no recipe: {e}"), RECIPE_HELP))
    }

    /// The plan's record for input `port`; `path` is where the recipe was read.
    pub fn record(&self, path: &Path, port: u16, channels_first: bool) -> Result<PreprocessRecord, Failure> {
        let failure = |reason: String| Failure::input(path, reason, RECIPE_HELP);
        let code = |value: &str, names: &[&str], what: &str| {
            let position = names.iter().position(|name| *name == value);
            position.map(|p| p as u8).ok_or_else(|| {
                failure(format!("{what} `{value}` is unknown; it can be {}", names.join(", ")))
            })
        };
        let channel = |values: &[f32], c: usize| values.get(c).or(values.first()).copied().unwrap_or(0.0);
        if self.std.iter().any(|s| !(s.is_finite() && *s != 0.0)) || self.mean.iter().any(|m| !m.is_finite())
        {
            return Err(failure("mean and std must be finite, and std not zero".into()));
        }
        Ok(PreprocessRecord {
            port,
            fit: u8::from(self.crop_from > 0),
            filter: code(&self.resize, &["nearest", "bilinear", "bicubic"], "resize")?,
            order: code(&self.order, &["rgb", "bgr", "grey"], "order")?,
            layout: u8::from(channels_first),
            resize: self.crop_from,
            height: self.size[0],
            width: self.size[1],
            mean0: channel(&self.mean, 0),
            mean1: channel(&self.mean, 1),
            mean2: channel(&self.mean, 2),
            deviation0: channel(&self.std, 0),
            deviation1: channel(&self.std, 1),
            deviation2: channel(&self.std, 2),
        })
    }
}

/// Whether pictures made by `recipe` are inputs of `length` numbers; `path` is what the failure shall be about.
pub fn check(recipe: &PreprocessRecord, length: usize, path: &Path) -> Result<(), Failure> {
    let (height, width) = (recipe.height, recipe.width);
    let channels = if recipe.order == 2 { 1 } else { 3 };
    let made = usize::from(height) * usize::from(width) * channels;
    if made == length {
        return Ok(());
    }
    let reason = format!(
        "the recipe makes pictures of {height} x {width} pixels with {channels} channel(s), {made} numbers; the network \
         takes {length}"
    );
    Err(Failure::input(path, reason, RECIPE_HELP))
}

/// Real numbers of the network's input for a picture file.
pub fn load(path: &Path, recipe: &PreprocessRecord) -> Result<Vec<f32>, Failure> {
    let bytes = crate::files::read(path)?;
    let picture = image::load_from_memory(&bytes).map_err(|error| {
        Failure::input(path, format!("no picture: {error}"), "give a PNG or JPEG picture")
    })?;
    let (width, height) = (u32::from(recipe.width), u32::from(recipe.height));
    let filter = match recipe.filter {
        0 => FilterType::Nearest,
        2 => FilterType::CatmullRom,
        _ => FilterType::Triangle,
    };
    let same = picture.width() == width && picture.height() == height;
    let picture = if same {
        picture
    } else if recipe.fit == 1 {
        let short = u32::from(recipe.resize).max(width).max(height);
        let (w, h) = (picture.width().max(1), picture.height().max(1));
        let scale = f64::from(short) / f64::from(w.min(h));
        let sized = |side: u32| ((f64::from(side) * scale).round() as u32).max(short);
        let resized = picture.resize_exact(sized(w), sized(h), filter);
        resized.crop_imm((resized.width() - width) / 2, (resized.height() - height) / 2, width, height)
    } else {
        picture.resize_exact(width, height, filter)
    };
    let means = [recipe.mean0, recipe.mean1, recipe.mean2];
    let deviations = [recipe.deviation0, recipe.deviation1, recipe.deviation2];
    let normal = |value: u8, c: usize| (f32::from(value) / 255.0 - means[c]) / deviations[c];
    if recipe.order == 2 {
        return Ok(picture.to_luma8().pixels().map(|p| normal(p[0], 0)).collect());
    }
    let rgb = picture.to_rgb8();
    let source = |c: usize| if recipe.order == 1 { 2 - c } else { c };
    Ok(if recipe.layout == 1 {
        (0..3).flat_map(|c| rgb.pixels().map(move |p| normal(p[source(c)], c)).collect::<Vec<_>>()).collect()
    } else {
        rgb.pixels().flat_map(|p| (0..3).map(move |c| normal(p[source(c)], c)).collect::<Vec<_>>()).collect()
    })
}

/// What to do about a folder without pictures.
pub const FOLDER_HELP: &str = "give a folder with .png, .jpg or .jpeg files, or with folders of them";

/// Pictures of a folder in order of their names; one level of class folders gives the class index.
pub fn list(folder: &Path) -> Result<Vec<(PathBuf, Option<usize>)>, Failure> {
    let entries = |path: &Path| -> Result<Vec<PathBuf>, Failure> {
        let failure = |error| Failure::File { path: path.into(), error };
        let found = std::fs::read_dir(path).map_err(failure)?;
        let mut paths: Vec<PathBuf> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        Ok(paths)
    };
    let is_picture = |path: &PathBuf| {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
        ["png", "jpg", "jpeg"].contains(&extension.as_str())
    };
    let top = entries(folder)?;
    let classes: Vec<&PathBuf> = top.iter().filter(|path| path.is_dir()).collect();
    let mut pictures: Vec<(PathBuf, Option<usize>)> =
        top.iter().filter(|path| is_picture(path)).map(|path| (path.clone(), None)).collect();
    for (class, path) in classes.iter().enumerate() {
        pictures.extend(entries(path)?.into_iter().filter(is_picture).map(|path| (path, Some(class))));
    }
    Ok(pictures)
}

/// Names of the class folders, in the order of [`list`]'s indices.
pub fn class_folders(folder: &Path) -> Result<Vec<String>, Failure> {
    let failure = |error| Failure::File { path: folder.into(), error };
    let found = std::fs::read_dir(folder).map_err(failure)?;
    let mut names: Vec<String> = found
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn recipe(text: &str) -> Recipe {
        serde_json::from_str(text).unwrap()
    }

    /// Numbers of a picture with these pixels, side by side.
    fn numbers(name: &str, pixels: &[[u8; 3]], recipe: &Recipe, channels_first: bool) -> Vec<f32> {
        let picture = RgbImage::from_fn(pixels.len() as u32, 1, |x, _| Rgb(pixels[x as usize]));
        let path = std::env::temp_dir().join(format!("mote-{}-{name}.png", std::process::id()));
        picture.save(&path).unwrap();
        let record = recipe.record(&path, 0, channels_first).unwrap();
        let numbers = load(&path, &record).unwrap();
        std::fs::remove_file(&path).unwrap();
        numbers
    }

    #[test]
    fn channels_are_scaled_and_ordered() {
        let pixels = [[255, 0, 51], [0, 255, 102]];
        let plain = recipe(r#"{"size": [1, 2], "mean": [0, 0.5, 0], "std": [1, 0.5, 0.2]}"#);
        assert_eq!(numbers("last", &pixels, &plain, false), [1.0, -1.0, 1.0, 0.0, 1.0, 2.0]);
        assert_eq!(numbers("first", &pixels, &plain, true), [1.0, 0.0, -1.0, 1.0, 1.0, 2.0]);
        let bgr = recipe(r#"{"size": [1, 2], "mean": [0], "std": [1], "order": "bgr"}"#);
        assert_eq!(numbers("bgr", &pixels, &bgr, false), [0.2, 0.0, 1.0, 0.4, 1.0, 0.0]);
        let grey = recipe(r#"{"size": [1, 2], "mean": [0], "std": [0.5], "order": "grey"}"#);
        assert_eq!(numbers("grey", &[[255; 3], [0; 3]], &grey, false), [2.0, 0.0]);
    }

    #[test]
    fn pictures_are_cropped_or_stretched() {
        let mut pixels = [[0u8; 3]; 9];
        pixels[4] = [255; 3];
        let cropped =
            recipe(r#"{"size": [1, 1], "mean": [0], "std": [1], "crop_from": 1, "resize": "nearest"}"#);
        assert_eq!(numbers("crop", &pixels, &cropped, false), [1.0; 3], "the middle");
        let stretched =
            recipe(r#"{"size": [1, 3], "mean": [0], "std": [1], "order": "grey", "resize": "nearest"}"#);
        assert_eq!(numbers("stretch", &pixels, &stretched, false), [0.0, 1.0, 0.0]);
    }
}
