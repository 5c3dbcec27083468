//! Group normalization (arXiv 1803.08494, section 3.1): `n = (x - mean) / sqrt(variance + epsilon)` over the positions
//! and channels of each group, `y = gamma[c] * n + beta[c]`.

/// Groups of neighbouring channels of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    pub positions: usize,
    pub channels: usize,
    /// Divides `channels`.
    pub groups: usize,
    pub epsilon: f32,
}

impl GroupNorm {
    /// Makes `values` the normalized ones, and tells `1 / sqrt(variance + epsilon)` of each group, where `scales` has
    /// room for it.
    pub fn normalize(&self, values: &mut [f32], scales: &mut [f32]) -> Option<()> {
        let members = (self.positions * self.width()) as f32;
        let mut scales = scales.iter_mut();
        for group in 0..self.groups {
            let mut sum = 0.0;
            self.group(values, group, |x| sum += *x)?;
            let mean = sum / members;
            let mut squares = 0.0;
            self.group(values, group, |x| {
                *x -= mean;
                squares += *x * *x;
            })?;
            let scale = 1.0 / libm::sqrtf(squares / members + self.epsilon);
            self.group(values, group, |x| *x *= scale)?;
            if let Some(to) = scales.next() {
                *to = scale;
            }
        }
        Some(())
    }

    /// Makes normalized values the outputs.
    pub fn scale(&self, values: &mut [f32], gamma: &[f32], beta: &[f32]) {
        for values in values.chunks_exact_mut(self.channels.max(1)) {
            for (value, (gamma, beta)) in values.iter_mut().zip(gamma.iter().zip(beta)) {
                *value = *value * gamma + beta;
            }
        }
    }

    /// Adds to the gradients of `gamma`; what stands behind the normalized values is not looked at.
    pub fn gamma_gradient(&self, dy: &[f32], normalized: &[f32], gamma: &mut [f32]) {
        for (dy, n) in
            dy.chunks_exact(self.channels.max(1)).zip(normalized.chunks_exact(self.channels.max(1)))
        {
            for (gamma, (dy, n)) in gamma.iter_mut().zip(dy.iter().zip(n)) {
                *gamma += dy * n;
            }
        }
    }

    /// Makes the outputs' gradients the inputs': with `g = dy * gamma`,
    /// `dx = scale * (g - mean(g) - n * mean(g * n))` over each group.
    pub fn input_gradient(
        &self,
        slopes: &mut [f32],
        normalized: &[f32],
        gamma: &[f32],
        scales: &[f32],
    ) -> Option<()> {
        let (width, members) = (self.width(), (self.positions * self.width()) as f32);
        for (group, scale) in scales.iter().enumerate() {
            let gamma = gamma.get(group * width..)?.get(..width)?;
            let (mut mean, mut slope) = (0.0, 0.0);
            for (g, n) in self.rows(slopes, normalized, group) {
                for ((g, n), gamma) in g.iter_mut().zip(n).zip(gamma) {
                    *g *= gamma;
                    mean += *g;
                    slope += *g * n;
                }
            }
            mean /= members;
            slope /= members;
            for (g, n) in self.rows(slopes, normalized, group) {
                for (g, n) in g.iter_mut().zip(n) {
                    *g = scale * (*g - mean - n * slope);
                }
            }
        }
        Some(())
    }

    /// Channels of a group.
    fn width(&self) -> usize {
        self.channels / self.groups.max(1)
    }

    fn group(&self, values: &mut [f32], group: usize, mut each: impl FnMut(&mut f32)) -> Option<()> {
        let width = self.width();
        for position in values.chunks_exact_mut(self.channels.max(1)) {
            position.get_mut(group * width..)?.get_mut(..width)?.iter_mut().for_each(&mut each);
        }
        Some(())
    }

    /// The group's channels of each position, in both.
    fn rows<'s>(
        &self,
        a: &'s mut [f32],
        b: &'s [f32],
        group: usize,
    ) -> impl Iterator<Item = (&'s mut [f32], &'s [f32])> {
        let (width, from) = (self.width(), group * self.width());
        let part = from..from + width;
        a.chunks_exact_mut(self.channels.max(1))
            .zip(b.chunks_exact(self.channels.max(1)))
            .filter_map(move |(a, b)| Some((a.get_mut(part.clone())?, b.get(part.clone())?)))
    }
}
