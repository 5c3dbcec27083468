//! The samples: embedded bytes, or random numbers that the host can make again
//! (`tests/golden/README.md` defines them).

use mote_runtime::engine::Format;

use crate::{app::Error, random};

include!(concat!(env!("OUT_DIR"), "/samples.rs"));

#[allow(dead_code)] // an image is built with one of the two
enum Source {
    /// Element `i` of the stream is element `i % n` of sample `i / n`, where a sample has n elements.
    Random { seed: u64 },
    /// All samples, one behind the other.
    Embedded { bytes: &'static [u8] },
}

/// Writes the elements of sample `index` from element `first` on.
pub fn write(index: usize, format: &Format, first: usize, bytes: &mut [u8]) -> Result<(), Error> {
    match SOURCE {
        Source::Random { seed } => {
            random::write(seed, index * format.len() + first, format.dtype(), bytes);
            Ok(())
        }
        Source::Embedded { bytes: samples } => {
            let (given, needed) = (samples.len() / COUNT.max(1), format.bytes());
            let sample = samples.chunks_exact(given.max(1)).nth(index).filter(|_| given == needed);
            let part = sample.and_then(|sample| sample.get(first * format.dtype().size()..));
            let part = part.ok_or(Error::Samples { given, needed })?;
            bytes.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            Ok(())
        }
    }
}
