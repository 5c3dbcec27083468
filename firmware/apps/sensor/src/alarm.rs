//! From scores to an alarm.

/// Readings in a row that must be as forecast before an alarm ends.
const CALM: u32 = 8;

/// Raised by the first score above 1.
#[derive(Default)]
pub struct Alarm {
    /// Calm readings that are still missing; 0 without an alarm.
    left: u32,
}

/// What a reading changed.
pub enum Change {
    Raised,
    Ended,
    Nothing,
}

impl Alarm {
    /// Takes the score of a reading: the largest error of the forecasts, of which calm readings hardly ever give more
    /// than 1.
    pub fn take(&mut self, score: f32) -> Change {
        let before = self.left;
        // A score that is no number is no calm one.
        let calm = score <= 1.0;
        self.left = if calm { before.saturating_sub(1) } else { CALM };
        match (before, self.left) {
            (0, 1..) => Change::Raised,
            (1.., 0) => Change::Ended,
            _ => Change::Nothing,
        }
    }
}
