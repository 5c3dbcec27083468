//! What is trained.

/// How good parameters are on data that nobody trains on.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Score {
    /// Share of right answers, or the mean square error.
    pub value: f64,
    pub loss: f64,
}

/// A task: every function is pure, so that results don't depend on who computes them when.
pub trait Task: Sync {
    /// Numbers of a model.
    fn parameters(&self) -> usize;

    fn initial(&self) -> Vec<f32>;

    /// What `node` makes of `parameters` in `round`.
    fn train(&self, node: usize, round: u32, parameters: &[f32]) -> Vec<f32>;

    /// Batches of a round.
    fn steps(&self, node: usize) -> u32;

    /// What `node` has to learn from.
    fn samples(&self, node: usize) -> usize {
        self.steps(node) as usize
    }

    fn evaluate(&self, parameters: &[f32]) -> Score;

    /// A greater [`Score::value`] is a better one.
    fn rises(&self) -> bool {
        true
    }
}

/// Nothing is trained: models have a size and no content.
pub struct Protocol;

impl Task for Protocol {
    fn parameters(&self) -> usize {
        0
    }

    fn initial(&self) -> Vec<f32> {
        Vec::new()
    }

    fn train(&self, _: usize, _: u32, _: &[f32]) -> Vec<f32> {
        Vec::new()
    }

    fn steps(&self, _: usize) -> u32 {
        10
    }

    fn evaluate(&self, _: &[f32]) -> Score {
        Score { value: 0.0, loss: 0.0 }
    }
}
