//! Folders of samples, as `mote-peer --data` reads them.

use std::path::Path;

/// Writes `inputs.npy` and `labels.npy`.
pub fn write(folder: &Path, inputs: &[f32], classes: &[i64]) {
    std::fs::create_dir_all(folder).unwrap();
    let bytes: Vec<u8> = inputs.iter().flat_map(|x| x.to_le_bytes()).collect();
    let shape = format!("({}, {})", classes.len(), inputs.len() / classes.len());
    array(&folder.join("inputs.npy"), "<f4", &shape, &bytes);
    let bytes: Vec<u8> = classes.iter().flat_map(|x| x.to_le_bytes()).collect();
    array(&folder.join("labels.npy"), "<i8", &format!("({},)", classes.len()), &bytes);
}

/// A NumPy array of one kind of number.
fn array(path: &Path, descr: &str, shape: &str, bytes: &[u8]) {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    std::fs::write(path, [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()).unwrap();
}
