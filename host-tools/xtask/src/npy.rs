//! Numpy files, version 1, as the command-line tool reads and writes them.

use anyhow::{Context, Result};

/// Numbers of one kind (`<f4`, `|i1`) in this shape; the last number of `shape` may not be missing.
pub fn write(kind: &str, shape: &[usize], bytes: &[u8]) -> Result<Vec<u8>> {
    let shape: Vec<_> = shape.iter().map(usize::to_string).collect();
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({},), }}", shape.join(", "));
    // The numbers begin at a multiple of 64.
    let header = format!("{text:<width$}\n", width = (text.len() + 11).next_multiple_of(64) - 11);
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend(u16::try_from(header.len())?.to_le_bytes());
    file.extend(header.bytes());
    file.extend(bytes);
    Ok(file)
}

/// The numbers behind the header.
pub fn data(file: &[u8]) -> Result<&[u8]> {
    let header = file.get(8..10).context("no .npy file")?;
    let start = 10 + usize::from(u16::from_le_bytes([header[0], header[1]]));
    file.get(start..).context("a .npy file without numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_numbers_behind_a_header() -> Result<()> {
        assert_eq!(data(b"\x93NUMPY\x01\x00\x03\x00abc\x07\x08")?, [7, 8]);
        assert!(data(b"\x93NUMPY").is_err());
        Ok(())
    }

    #[test]
    fn writes_what_it_reads() -> Result<()> {
        let file = write("|i1", &[2, 3], &[1, 2, 3, 4, 5, 6])?;
        assert_eq!((data(&file)?, (file.len() - 6) % 64), (&[1, 2, 3, 4, 5, 6][..], 0));
        assert!(String::from_utf8_lossy(&file).contains("'shape': (2, 3,), "));
        Ok(())
    }
}
