//! Files that are none. What is damaged at random, `tests/fuzz` looks at.

use super::super::import;
use super::built;
use crate::import::keep_for_fuzzing;

#[test]
fn the_fuzz_corpus_is_the_built_files() {
    for (name, file) in built::all() {
        keep_for_fuzzing(&format!("{name}.tflite"), &file);
    }
}

#[test]
fn empty_and_foreign_files_are_malformed() {
    for bytes in [&b""[..], b"TFL3", b"\x08\0\0\0TFL3", b"not a model at all, but long enough", &[0xff; 4096]]
    {
        assert!(matches!(import(bytes), Err(crate::import::ImportError::Malformed { .. })));
    }
}
