//! Medians, and what rounds in pairs tell of a ratio.

/// Most probability that the true median lies outside of an [`Interval`].
const ERROR_MAX: f64 = 0.05;

/// A median and where the true one lies.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// The middle value.
    pub median: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// False for fewer than six values: then the ends are the least and the greatest, and nothing
    /// may be concluded from them.
    pub sure: bool,
}

/// What rounds say of a bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The whole interval keeps to it.
    Holds,
    /// The whole interval breaks it.
    Fails,
    /// The interval straddles it, or there are too few values.
    Undecided,
    /// Nothing was measured.
    Missing,
}

impl Verdict {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Fails => "fails",
            Verdict::Undecided => "undecided",
            Verdict::Missing => "not measured",
        }
    }
}

impl Interval {
    /// The median of `values` and its 95 % interval by order statistics, which asks nothing of how
    /// values are spread: that `k` or fewer of `n` values lie below the true median has the
    /// binomial distribution's probability.
    pub fn of(values: &[f64]) -> Option<Interval> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let median = median(values);
        let count = sorted.len();
        // The probability that exactly `k` of `count` lie below, then that `k` or fewer do.
        let mut exactly = 0.5_f64.powi(count as i32);
        let mut at_most = exactly;
        let mut outer = None;
        for k in 0..count / 2 {
            if 2.0 * at_most > ERROR_MAX {
                break;
            }
            outer = Some(k);
            exactly *= (count - k) as f64 / (k + 1) as f64;
            at_most += exactly;
        }
        Some(match outer {
            Some(k) => Interval { median, low: sorted[k], high: sorted[count - 1 - k], sure: true },
            None => Interval { median, low: first, high: last, sure: false },
        })
    }

    /// Whether it keeps to being at most `most`.
    pub fn at_most(&self, most: f64) -> Verdict {
        match () {
            () if !self.sure => Verdict::Undecided,
            () if self.high <= most => Verdict::Holds,
            () if self.low > most => Verdict::Fails,
            () => Verdict::Undecided,
        }
    }
}

/// Ratios round by round, of rounds in which both were measured: what slows the machine down for a
/// while slows both.
pub fn ratio(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<Interval> {
    let both = ours.iter().zip(theirs).filter_map(|(a, b)| Some((*a)? / (*b)?));
    Interval::of(&both.filter(|ratio| ratio.is_finite()).collect::<Vec<f64>>())
}

/// The middle value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => (sorted[even / 2 - 1] + sorted[even / 2]) / 2.0,
    }
}

/// The value below which `share` of `sorted` lies.
pub fn percentile(sorted: &[u32], share: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let at = (sorted.len() as f64 * share).ceil() as usize;
    f64::from(sorted[at.clamp(1, sorted.len()) - 1])
}
