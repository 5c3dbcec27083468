//! Why a front end was refused.

/// A recipe, or tables, that cannot be a front end.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// No sample rate.
    Rate,
    /// Pre-emphasis outside -1 ..= 1, or not a number.
    Preemphasis { value: f32 },
    /// A window of fewer than two samples, or longer than the FFT.
    Window { window: usize, fft: usize },
    /// A hop of no samples: the front end would never ask for new ones.
    Hop,
    /// An FFT size that is no power of two up to 65,536.
    FftSize { size: usize },
    /// Another FFT size than the one that this front end was compiled for.
    Fft { recipe: usize, compiled: usize },
    /// Mel filters without room: `0 <= low < high <= rate / 2` in Hz does not hold.
    Band { low: f32, high: f32 },
    /// A floor that would let the logarithm see zero or less, a scale that is not finite, or an upper clip below the
    /// lower one.
    Scaling,
    /// No mel filters.
    NoMels,
    /// A number of filters that is not the compiled one.
    Mels { recipe: usize, compiled: usize },
    /// A window function of another length than the recipe's.
    WindowTable { needed: usize, given: usize },
    /// The weights of all filters have another number than the table's; [`Recipe::weights`](crate::Recipe::weights).
    Weights { needed: usize, given: usize },
    /// This filter holds no bin of the spectrum (too many filters for the FFT), or reaches outside the spectrum or
    /// the weights.
    Filter { index: usize },
    /// A table entry that is not a finite number.
    NotFinite,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Error::Rate => f.write_str("the sample rate is zero"),
            Error::Preemphasis { value } => write!(f, "pre-emphasis {value} is not within -1 and 1"),
            Error::Window { window, fft } => {
                write!(f, "a window of {window} samples does not suit an FFT of {fft}")
            }
            Error::Hop => f.write_str("the hop is zero"),
            Error::FftSize { size } => write!(f, "an FFT of {size} samples is no power of two up to 65536"),
            Error::NoMels => f.write_str("the recipe asks for no mel filters"),
            Error::Fft { recipe, compiled } => {
                write!(f, "the recipe asks for an FFT of {recipe}, the front end has one of {compiled}")
            }
            Error::Band { low, high } => {
                write!(f, "no mel filters between {low} and {high} Hz at this sample rate")
            }
            Error::Scaling => f.write_str("floors must be positive, the scale finite, the clip in order"),
            Error::Mels { recipe, compiled } => {
                write!(f, "the recipe asks for {recipe} mel filters, the front end has {compiled}")
            }
            Error::WindowTable { needed, given } => {
                write!(f, "the window function has {given} values, the recipe needs {needed}")
            }
            Error::Weights { needed, given } => {
                write!(f, "the mel filters have {given} weights, the recipe needs {needed}")
            }
            Error::Filter { index } => write!(f, "mel filter {index} is empty or out of range"),
            Error::NotFinite => f.write_str("a table holds a value that is not a finite number"),
        }
    }
}

impl core::error::Error for Error {}
