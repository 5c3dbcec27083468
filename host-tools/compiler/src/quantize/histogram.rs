//! Distribution of the values of a tensor, in bounded memory, and the clipping that follows from it.

use super::Method;

const BINS: usize = 2048;

/// A histogram whose range grows with the values.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    bins: Box<[u64; BINS]>,
    /// Left edge and width of the bins; no width before the first value.
    start: f64,
    width: f64,
    /// Values that are exactly zero, which no quantization changes; they are in no bin.
    zeros: u64,
    min: f32,
    max: f32,
}

/// What a function that reads the tensor makes of its values.
pub(super) type Reader<'a> = Option<&'a dyn Fn(&[f32]) -> Vec<f32>>;

impl Histogram {
    pub fn new() -> Self {
        let bins = Box::new([0; BINS]);
        Self { bins, start: 0.0, width: 0.0, zeros: 0, min: f32::INFINITY, max: f32::NEG_INFINITY }
    }

    /// Adds finite values.
    pub fn add(&mut self, values: &[f32]) {
        let (min, max) =
            values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
        if min > max {
            return;
        }
        self.cover(min.into(), max.into());
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        for &x in values {
            if x == 0.0 {
                self.zeros += 1;
            } else {
                let bin = (f64::from(x) - self.start) / self.width;
                self.bins[(bin as usize).min(BINS - 1)] += 1;
            }
        }
    }

    /// Smallest and largest value; `(0, 0)` if there is none.
    pub fn extremes(&self) -> (f32, f32) {
        if self.min > self.max { (0.0, 0.0) } else { (self.min, self.max) }
    }

    /// The range to represent.
    pub fn range(&self, method: Method, reader: Reader<'_>) -> (f32, f32) {
        let (min, max) = self.extremes();
        let (min, max) = (min.min(0.0), max.max(0.0));
        match method {
            Method::MinMax => (min, max),
            Method::Percentile(percent) => {
                let (low, high) = self.percentile(f64::from(100.0 - percent) / 200.0);
                ((low as f32).clamp(min, 0.0), (high as f32).clamp(0.0, max))
            }
            Method::Mse => self.least_error(min, max, reader),
        }
    }

    /// The range that a million values would take, and zero. The extremes of fewer are moved apart as far as those
    /// of normally distributed values would go, which grow like the root of the logarithm of their number.
    pub fn expected(&self) -> (f32, f32) {
        const VALUES: f64 = 1e6;
        let (min, max) = self.extremes();
        let seen = (self.zeros + self.bins.iter().sum::<u64>()) as f64;
        let margin = (VALUES.ln() / seen.clamp(10.0, VALUES).ln()).sqrt() as f32;
        (min.min(0.0) * margin, max.max(0.0) * margin)
    }

    fn cover(&mut self, min: f64, max: f64) {
        if self.width == 0.0 {
            let reach = (max - min).max(min.abs()).max(max.abs()).max(1e-30);
            self.width = reach / BINS as f64 * 1.0001;
            self.start = min;
        }
        // The range doubles: neighbours merge, into the upper half if it grows downwards.
        while min < self.start || max >= self.start + self.width * BINS as f64 {
            let down = min < self.start;
            let merged: Vec<u64> = self.bins.chunks(2).map(|pair| pair.iter().sum()).collect();
            self.bins.fill(0);
            let at = if down { BINS / 2 } else { 0 };
            self.bins[at..at + BINS / 2].copy_from_slice(&merged);
            if down {
                self.start -= self.width * BINS as f64;
            }
            self.width *= 2.0;
        }
    }

    fn centre(&self, bin: usize) -> f64 {
        self.start + (bin as f64 + 0.5) * self.width
    }

    /// Values with this share of all values beyond them, on either side.
    fn percentile(&self, share: f64) -> (f64, f64) {
        let total = self.zeros + self.bins.iter().sum::<u64>();
        let cut = share * total as f64;
        let beyond = |bins: &mut dyn Iterator<Item = usize>, edge: f64| {
            let mut seen = 0.0;
            for bin in bins {
                seen += self.bins[bin] as f64;
                if seen > cut {
                    return self.centre(bin) + edge * self.width;
                }
            }
            0.0
        };
        (beyond(&mut (0..BINS), -0.5), beyond(&mut (0..BINS).rev(), 0.5))
    }

    /// Searches the limits with the least error, one after the other.
    fn least_error(&self, min: f32, max: f32, reader: Reader<'_>) -> (f32, f32) {
        const STEPS: usize = 100;
        let cost = Cost::new(self, reader);
        let (full_low, full_high) = (f64::from(min), f64::from(max));
        let (mut low, mut high) = (full_low, full_high);
        for _ in 0..3 {
            let fractions = || (1..=STEPS).rev().map(|i| i as f64 / STEPS as f64);
            let best = |candidates: &mut dyn Iterator<Item = (f64, f64)>| {
                let cost = |&(low, high): &(f64, f64)| cost.of(low, high);
                candidates.map(|c| (cost(&c), c)).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c)
            };
            let before = (low, high);
            (low, high) = best(&mut fractions().map(|f| (low, f * full_high))).unwrap_or(before);
            (low, high) = best(&mut fractions().map(|f| (f * full_low, high))).unwrap_or((low, high));
            if (low, high) == before {
                break;
            }
        }
        (low as f32, high as f32)
    }
}

/// Squared error of a range: `step^2 / 12` for each value within, the distance for each value beyond; both as the
/// reading function sees them.
struct Cost<'a> {
    bins: Vec<Bin>,
    /// Count times squared slope, summed up to each bin.
    slopes: Vec<f64>,
    half_width: f64,
    reader: Reader<'a>,
}

struct Bin {
    centre: f64,
    count: f64,
    /// What the centre reads as.
    reading: f64,
}

impl<'a> Cost<'a> {
    fn new(histogram: &Histogram, reader: Reader<'a>) -> Self {
        let half_width = histogram.width / 2.0;
        let occupied: Vec<usize> = (0..BINS).filter(|&bin| histogram.bins[bin] > 0).collect();
        let centres: Vec<f64> = occupied.iter().map(|&bin| histogram.centre(bin)).collect();
        let sample = |shift: f64| read(reader, centres.iter().map(|x| x + shift));
        let (here, left, right) = (sample(0.0), sample(-half_width), sample(half_width));
        let mut bins = Vec::with_capacity(occupied.len());
        let (mut sum, mut slopes) = (0.0, vec![0.0]);
        for (i, &bin) in occupied.iter().enumerate() {
            let count = histogram.bins[bin] as f64;
            let slope = if reader.is_some() { (right[i] - left[i]) / histogram.width } else { 1.0 };
            sum += count * slope * slope;
            slopes.push(sum);
            bins.push(Bin { centre: centres[i], count, reading: here[i] });
        }
        Self { bins, slopes, half_width, reader }
    }

    fn of(&self, low: f64, high: f64) -> f64 {
        let step = (high - low) / 255.0;
        let first = self.bins.partition_point(|bin| bin.centre < low - self.half_width);
        let end = self.bins.partition_point(|bin| bin.centre <= high + self.half_width).max(first);
        let inside = (self.slopes[end] - self.slopes[first]) * step * step / 12.0;
        let limits = read(self.reader, [low, high].into_iter());
        let beyond = |bins: &[Bin], at: f64| -> f64 {
            bins.iter().map(|bin| bin.count * (bin.reading - at) * (bin.reading - at)).sum()
        };
        inside + beyond(&self.bins[..first], limits[0]) + beyond(&self.bins[end..], limits[1])
    }
}

fn read(reader: Reader<'_>, values: impl Iterator<Item = f64>) -> Vec<f64> {
    match reader {
        Some(f) => f(&values.map(|x| x as f32).collect::<Vec<_>>()).into_iter().map(f64::from).collect(),
        None => values.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(n: usize) -> Vec<f32> {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1u32 << 24) as f32
        };
        (0..n).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
    }

    #[test]
    fn growing_keeps_every_value() {
        let mut histogram = Histogram::new();
        histogram.add(&[0.5, 0.0, 0.75]);
        histogram.add(&[-300.0]);
        histogram.add(&[1000.0, 0.0]);
        assert_eq!(histogram.bins.iter().sum::<u64>(), 4);
        assert_eq!((histogram.zeros, histogram.extremes()), (2, (-300.0, 1000.0)));
        assert_eq!(histogram.range(Method::MinMax, None), (-300.0, 1000.0));
    }

    #[test]
    fn outliers_are_clipped_and_plain_ranges_are_not() {
        let mut values = normal(100_000);
        let mut histogram = Histogram::new();
        histogram.add(&values);
        let (low, high) = histogram.range(Method::Mse, None);
        assert!((-5.0..-3.0).contains(&low) && (3.0..5.0).contains(&high), "{low} {high}");

        values.push(100.0);
        let mut histogram = Histogram::new();
        histogram.add(&values);
        let (_, high) = histogram.range(Method::Percentile(99.9), None);
        assert!((2.5..4.5).contains(&high), "{high}");
        let (_, high) = histogram.range(Method::MinMax, None);
        assert_eq!(high, 100.0);

        let mut histogram = Histogram::new();
        histogram.add(&(0..1000).map(|i| i as f32 / 1000.0).collect::<Vec<_>>());
        let (low, high) = histogram.range(Method::Mse, None);
        assert!(low == 0.0 && high > 0.98, "{low} {high}");
    }

    #[test]
    fn a_saturating_reader_shortens_the_range() {
        let mut histogram = Histogram::new();
        histogram.add(&normal(100_000).iter().map(|x| x * 10.0).collect::<Vec<_>>());
        let reader = |x: &[f32]| -> Vec<f32> { x.iter().map(|&x| x.clamp(-3.0, 3.0)).collect() };
        let (low, high) = histogram.range(Method::Mse, Some(&reader));
        assert!((-4.0..-2.8).contains(&low) && (2.8..4.0).contains(&high), "{low} {high}");
    }

    #[test]
    fn nothing_and_zero_have_an_empty_range() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.range(Method::Mse, None), (0.0, 0.0));
        histogram.add(&[0.0; 5]);
        for method in [Method::Mse, Method::MinMax, Method::Percentile(99.0)] {
            assert_eq!(histogram.range(method, None), (0.0, 0.0));
        }
    }

    #[test]
    fn few_values_get_a_margin_that_holds_many_more() {
        let many = normal(100_000);
        let mut histogram = Histogram::new();
        histogram.add(&many[..300]);
        let ((low, high), (min, max)) = (histogram.expected(), histogram.extremes());
        assert!(max * 1.5 < high && high < max * 1.6 && low < min * 1.5, "{low} {high} of {min} {max}");
        let beyond = |low: f32, high: f32| many.iter().filter(|&&x| x < low || x > high).count();
        assert!(beyond(min, max) > 50 && beyond(low, high) == 0);
        (0..10).for_each(|_| histogram.add(&many));
        assert_eq!(histogram.expected(), histogram.extremes());
    }

    #[test]
    fn a_rare_large_value_that_the_reader_keeps_is_kept() {
        let swish = |x: &[f32]| -> Vec<f32> { x.iter().map(|&x| x / (1.0 + (-x).exp())).collect() };
        let mut histogram = Histogram::new();
        histogram.add(&[-10.8, -7.0, -5.0, -3.0, -2.5, -1.0, 0.2, 0.3, -4.0]);
        histogram.add(&[-10.0, -7.0, -5.0, -3.0, -2.5, -1.0, 0.2, 1.8, -4.0]);
        let (_, high) = histogram.range(Method::Mse, Some(&swish));
        assert!(high > 1.7, "{high}");
    }
}
