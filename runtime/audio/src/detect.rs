//! Results of a network over a stream as detections.

/// Consecutive results that name the same class and are sure enough.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Detection {
    pub class: usize,
    /// Frames of the first and the last of these results.
    pub first: u32,
    pub last: u32,
    /// Of the surest of them.
    pub probability: f32,
}

/// What a result changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// A detection that was told as begun, and is over now.
    pub ended: Option<Detection>,
    /// A detection that just became long enough.
    pub began: Option<Detection>,
}

/// Finds detections in the results of a stream, one by one.
#[derive(Clone, Debug)]
pub struct Detector {
    threshold: f32,
    hold: u32,
    /// The detection that goes on, and how many results it has.
    current: Option<(Detection, u32)>,
}

impl Detector {
    /// A detection needs `hold` results one after another (at least 1) that name the same class with this probability
    /// or a higher one.
    pub const fn new(threshold: f32, hold: u32) -> Self {
        Self { threshold, hold: if hold == 0 { 1 } else { hold }, current: None }
    }

    /// Takes the result that came with `frame`: `scores()` gives the score of each class.
    pub fn take<S: Iterator<Item = f32>>(&mut self, frame: u32, scores: impl Fn() -> S) -> Change {
        let sure = best(scores).filter(|&(_, probability)| probability >= self.threshold);
        let mut change = Change::default();
        let goes_on = self.current.filter(|(before, _)| sure.is_some_and(|(class, _)| class == before.class));
        if goes_on.is_none() {
            change.ended = self.finish();
        }
        let Some((class, probability)) = sure else { return change };
        let (mut detection, mut results) =
            goes_on.unwrap_or((Detection { class, first: frame, last: frame, probability }, 0));
        detection.last = frame;
        detection.probability = detection.probability.max(probability);
        results = results.saturating_add(1);
        if results == self.hold {
            change.began = Some(detection);
        }
        self.current = Some((detection, results));
        change
    }

    /// Ends the stream: the detection that was going on.
    pub fn finish(&mut self) -> Option<Detection> {
        self.current.take().filter(|&(_, results)| results >= self.hold).map(|(detection, _)| detection)
    }
}

/// The class with the highest score, the first one of equals, and its probability: the score itself if the scores are
/// probabilities, else their softmax. `None` without classes.
pub fn best<S: Iterator<Item = f32>>(scores: impl Fn() -> S) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    let (mut sum, mut proper) = (0.0, true);
    for (class, score) in scores().enumerate() {
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((class, score));
        }
        sum += score;
        proper &= (0.0..=1.0).contains(&score);
    }
    let (class, highest) = best?;
    if proper && (sum - 1.0).abs() < 0.05 {
        return Some((class, highest));
    }
    let odds: f32 = scores().map(|score| libm::expf(score - highest)).sum();
    Some((class, 1.0 / odds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULTS: [[f32; 2]; 5] = [[0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.95, 0.05]];

    fn changes(hold: u32) -> [Change; 6] {
        let mut detector = Detector::new(0.6, hold);
        let mut changes = [Change::default(); 6];
        for (i, result) in RESULTS.iter().enumerate() {
            changes[i] = detector.take(i as u32 + 3, || result.iter().copied());
        }
        changes[5].ended = detector.finish();
        changes
    }

    #[test]
    fn runs_of_the_same_class_are_one_detection() {
        let told = changes(1).map(|change| {
            let class_and_frames = |d: Detection| (d.class, d.first, d.last);
            (change.ended.map(class_and_frames), change.began.map(class_and_frames))
        });
        assert_eq!(
            told,
            [
                (None, Some((0, 3, 3))),
                (None, None),
                (Some((0, 3, 4)), None),
                (None, Some((1, 6, 6))),
                (Some((1, 6, 6)), Some((0, 7, 7))),
                (Some((0, 7, 7)), None),
            ]
        );
        assert_eq!(changes(1)[2].ended.map(|d| d.probability), Some(0.9));
    }

    #[test]
    fn short_runs_do_not_count() {
        let told = changes(2);
        let first = Detection { class: 0, first: 3, last: 4, probability: 0.9 };
        assert_eq!((told[1].began, told[2].ended), (Some(first), Some(first)));
        assert!(told[3..].iter().all(|change| *change == Change::default()));
    }

    #[test]
    fn logits_become_probabilities() {
        let (class, p) = best(|| [10.0, 0.0, -5.0].into_iter()).unwrap_or_default();
        assert!(class == 0 && p > 0.99 && p < 1.0);
        assert_eq!(best(|| [0.25, 0.75].into_iter()), Some((1, 0.75)));
        assert_eq!(best(|| [2.0, 2.0].into_iter()), Some((0, 0.5)));
        assert_eq!(best(|| [].into_iter()), None);
        assert!(best(|| [f32::NAN, 1.0].into_iter()).is_some());
    }
}
