//! Reading files, and writing them as a whole or not at all.

use crate::failure::{Failure, Outcome};
use std::path::{Path, PathBuf};

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::File { path: path.into(), error })
}

/// Lines of a text file, without empty ones at its end.
pub fn lines(path: &Path) -> Result<Vec<String>, Failure> {
    let text = String::from_utf8(read(path)?).map_err(|_| {
        Failure::input(path, "not a text file in UTF-8", "give a text file with one name a line")
    })?;
    Ok(text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect())
}

/// Fails where [`write`] could not succeed: to be called before long work whose result is written.
pub fn check_writable(path: &Path) -> Outcome {
    let failure = |reason: String| Failure::Output { path: path.into(), reason };
    if path.is_dir() || path.file_name().is_none() {
        return Err(failure("it is a folder, not a file".into()));
    }
    let folder = folder(path);
    if !folder.is_dir() {
        return Err(failure(format!("there is no folder {}", folder.display())));
    }
    Ok(())
}

/// Fails where writing `path` would destroy one of the files that are read for it.
pub fn check_apart<'p>(path: &Path, read: impl IntoIterator<Item = &'p PathBuf>) -> Outcome {
    let Ok(own) = path.canonicalize() else { return Ok(()) };
    match read.into_iter().find(|other| other.canonicalize().is_ok_and(|other| other == own)) {
        Some(_) => {
            let reason = "it is also what is read, and would be gone".into();
            Err(Failure::Output { path: path.into(), reason })
        }
        None => Ok(()),
    }
}

/// Writes a file as a whole, or not at all: a half-written plan must never lie where a whole one is expected, and what
/// was there before stays until then.
pub fn write(path: &Path, bytes: &[u8]) -> Outcome {
    check_writable(path)?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&part); // it may not even exist
        Failure::Output { path: path.into(), reason: error.to_string() }
    })
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => ".".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = std::env::temp_dir().join(format!("mote-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("plan.mote");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no part is left behind");
        assert!(matches!(write(&folder, b""), Err(Failure::Output { .. })));
        assert!(matches!(write(&folder.join("none/plan.mote"), b""), Err(Failure::Output { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
