//! The pictures of CIFAR-10 as JPEG, which lie beside the repository in one archive for each split.

pub mod jpeg;

use std::io::Read;

/// Class, name and bytes of a split's pictures, sorted.
pub fn sorted(archive: &[u8]) -> Vec<(String, String, Vec<u8>)> {
    let mut archive = tar::Archive::new(lzma_rust2::XzReader::new(archive, true));
    let mut pictures = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let [_, class, name] = path.split('/').collect::<Vec<_>>()[..] else { continue };
        if !name.ends_with(".jpg") {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        pictures.push((class.to_string(), name.to_string(), bytes));
    }
    pictures.sort();
    pictures
}
