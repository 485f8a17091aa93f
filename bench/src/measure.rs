//! The measuring loop: batches of about 20 ms, their median and spread.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// How long to measure.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) batch: Duration,
    pub(crate) samples: usize,
}

impl Effort {
    pub(crate) const FULL: Self = Self { batch: Duration::from_millis(20), samples: 31 };
    /// Enough to see that everything runs, and the order of magnitude.
    pub(crate) const QUICK: Self = Self { batch: Duration::from_millis(5), samples: 7 };
}

/// Nanoseconds per operation.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) p10: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

impl Spread {
    fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = samples.len().saturating_sub(1);
            samples.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
        };
        Self { p10: at(0.1), median: at(0.5), p90: at(0.9) }
    }
}

/// Times one operation on this thread.
pub(crate) fn measure(effort: Effort, mut operation: impl FnMut()) -> Spread {
    let count = calibrate(effort.batch, &mut operation);
    run(count, &mut operation); // warm-up: caches, branch predictors, clock speed
    Spread::of((0..effort.samples).map(|_| nanoseconds(run(count, &mut operation), count)).collect())
}

/// Times operations that run at the same time, one thread each: nanoseconds of all threads' operations together, so
/// that twice the throughput is half the number.
pub(crate) fn measure_together(effort: Effort, operations: Vec<impl FnMut() + Send>) -> Spread {
    let mut operations: Vec<_> = operations.into_iter().map(Apart).collect();
    let Some(Apart(first)) = operations.first_mut() else { return Spread::of(Vec::new()) };
    // Long batches: a new thread finds its customers in another core's cache, which is not what is measured.
    let count = 10 * calibrate(effort.batch, first);
    let threads = operations.len();
    let samples = (0..=effort.samples).map(|_| {
        let barrier = Barrier::new(threads);
        let times = thread::scope(|scope| {
            let start = |operation| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let start = Instant::now();
                    run(count, operation);
                    (start, Instant::now())
                })
            };
            let running: Vec<_> = operations.iter_mut().map(|Apart(operation)| start(operation)).collect();
            running.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        // From the first to begin to the last to end, each by its own clock reading.
        let first = times.iter().map(|(start, _)| *start).min();
        let last = times.iter().map(|(_, end)| *end).max();
        let took = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
        nanoseconds(took, count * threads as u64)
    });
    // The first sample is the warm-up.
    Spread::of(samples.skip(1).collect())
}

/// An operation and what it keeps, such as which customer is next, on cache lines of its own: threads that share nothing
/// else must not share that.
#[repr(align(128))]
struct Apart<F>(F);

/// How many operations fill one batch.
fn calibrate(batch: Duration, operation: &mut impl FnMut()) -> u64 {
    let mut count = 1;
    loop {
        let took = run(count, operation);
        if took >= batch / 10 {
            let wanted = count as f64 * batch.as_secs_f64() / took.as_secs_f64();
            return (wanted as u64).max(1);
        }
        count *= 2;
    }
}

fn run(count: u64, operation: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        operation();
    }
    start.elapsed()
}

fn nanoseconds(took: Duration, count: u64) -> f64 {
    took.as_secs_f64() * 1e9 / count as f64
}
