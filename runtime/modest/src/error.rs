use core::fmt;

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No room for another member.
    Full { capacity: usize },
    /// Bytes that are no message of this protocol.
    Malformed,
    /// The output has fewer bytes or numbers than needed.
    Room { needed: usize, have: usize },
    /// Slices that should be equally long are not.
    Length { expected: usize, found: usize },
    /// A signature or ticket that its key did not make.
    Signature,
    /// An envelope that was seen before, or is older than one that was.
    Replay { counter: u64, seen: u64 },
    /// Of another task, or a ticket that has run out.
    Foreign,
    /// A round that cannot have been reached yet.
    Ahead { round: u32, limit: u32 },
    /// NaN or infinity at this place of an update.
    NotFinite { at: usize },
    /// More values a side to leave out than there are updates.
    Trim { updates: usize, trim: usize },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Full { capacity } => write!(f, "the view holds {capacity} members and is full"),
            Error::Malformed => write!(f, "not a message of this protocol"),
            Error::Room { needed, have } => write!(f, "{needed} needed, room for {have}"),
            Error::Length { expected, found } => write!(f, "length {found} instead of {expected}"),
            Error::Signature => write!(f, "wrong signature"),
            Error::Replay { counter, seen } => write!(f, "counter {counter} is not above {seen}"),
            Error::Foreign => write!(f, "of another task, or run out"),
            Error::Ahead { round, limit } => write!(f, "round {round} cannot be before {limit} has passed"),
            Error::NotFinite { at } => write!(f, "value {at} is not finite"),
            Error::Trim { updates, trim } => write!(f, "{trim} a side cannot be left out of {updates}"),
        }
    }
}

impl core::error::Error for Error {}
