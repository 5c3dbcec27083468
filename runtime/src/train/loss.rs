//! What an answer should have been, and how far it was from it.

use crate::kernels::exp::exp;

/// What a sample's answer should be.
#[derive(Clone, Copy, Debug)]
pub enum Target<'t> {
    /// This class: cross-entropy of the softmax, `ln(sum of e^y) - y[class]`; natural units.
    Class(usize),
    /// These values: mean square error, `mean((y - t)^2)`.
    Values(&'t [f32]),
}

impl Target<'_> {
    /// Tells the loss and makes the answer its gradient. `None` where the target is not one for this answer.
    pub(super) fn gradient(&self, y: &mut [f32]) -> Option<f32> {
        match *self {
            Target::Class(class) => {
                let right = *y.get(class)?;
                let largest = y.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
                let mut sum = 0.0;
                for y in y.iter_mut() {
                    *y = exp(*y - largest);
                    sum += *y;
                }
                for y in y.iter_mut() {
                    *y /= sum;
                }
                *y.get_mut(class)? -= 1.0;
                Some(libm::logf(sum) - (right - largest))
            }
            Target::Values(values) => {
                if values.len() != y.len() {
                    return None;
                }
                let share = 1.0 / y.len() as f32;
                let mut sum = 0.0;
                for (y, value) in y.iter_mut().zip(values) {
                    let difference = *y - value;
                    sum += difference * difference;
                    *y = 2.0 * share * difference;
                }
                Some(sum * share)
            }
        }
    }
}
