//! How fast groups may be sent: a bucket of bytes that fills with time. The rate may change while it is waited for.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

/// Bytes that may be sent at once after a pause: a second's worth, and at least this.
const BURST_MIN: u64 = 64 << 10;

/// A limit that all streams of an operation share.
#[derive(Debug, Default)]
pub struct Limit {
    /// 0: no limit.
    bytes_a_second: AtomicU64,
    /// Other rates from later moments on, in order.
    plan: Vec<(Instant, u64)>,
    /// How many of them hold already.
    planned: AtomicUsize,
    changed: Notify,
    bucket: Mutex<Bucket>,
}

#[derive(Debug, Default)]
struct Bucket {
    /// Bytes that may be sent now; below zero after a group that was larger.
    level: i128,
    filled: Option<Instant>,
}

impl Limit {
    /// So many bytes a second; 0 for no limit.
    pub fn new(bytes_a_second: u64) -> Self {
        Self { bytes_a_second: AtomicU64::new(bytes_a_second), ..Self::default() }
    }

    /// So many bytes a second, and other rates so long from now.
    pub fn planned(bytes_a_second: u64, plan: impl IntoIterator<Item = (Duration, u64)>) -> Self {
        let now = Instant::now();
        let at = |(after, rate)| now.checked_add(after).map(|at| (at, rate));
        let mut plan: Vec<(Instant, u64)> = plan.into_iter().filter_map(at).collect();
        plan.sort_by_key(|(at, _)| *at);
        Self { plan, ..Self::new(bytes_a_second) }
    }

    /// Changes to the rate of the plan that holds now. How long until the next.
    fn follow_plan(&self) -> Option<Duration> {
        let now = Instant::now();
        let passed = self.plan.partition_point(|(at, _)| *at <= now);
        if passed > self.planned.swap(passed, Relaxed)
            && let Some((_, rate)) = self.plan[..passed].last()
        {
            self.bytes_a_second.store(*rate, Relaxed);
        }
        self.plan.get(passed).map(|(at, _)| *at - now)
    }

    /// Another rate from now on, for those too who wait already.
    pub fn set(&self, bytes_a_second: u64) {
        self.bytes_a_second.store(bytes_a_second, Relaxed);
        self.changed.notify_waiters();
    }

    /// Waits until so many bytes may be sent. A group larger than the bucket goes when the bucket is full, and those after
    /// it wait the longer.
    pub(super) async fn take(&self, bytes: u64) {
        let mut bucket = self.bucket.lock().await;
        loop {
            let changed = self.changed.notified();
            let next = self.follow_plan();
            let rate = self.bytes_a_second.load(Relaxed);
            if rate == 0 {
                *bucket = Bucket::default();
                return;
            }
            let burst = rate.max(BURST_MIN);
            bucket.fill(rate, burst);
            let needed = bytes.min(burst);
            let Some(pause) = bucket.pause(rate, needed) else {
                bucket.level -= i128::from(bytes);
                return;
            };
            let pause = next.map_or(pause, |next| pause.min(next));
            // Either way it looks again.
            let _ = tokio::time::timeout(pause, changed).await;
        }
    }
}

impl Bucket {
    fn fill(&mut self, rate: u64, burst: u64) {
        let now = Instant::now();
        match self.filled {
            None => self.level = i128::from(burst),
            Some(filled) => {
                let nanos = now.duration_since(filled).as_nanos();
                let gained = nanos.saturating_mul(u128::from(rate)) / 1_000_000_000;
                if gained == 0 {
                    // Kept for the next time, or a slow rate would never fill it.
                    return;
                }
                self.level = self.level.saturating_add_unsigned(gained).min(i128::from(burst));
            }
        }
        self.filled = Some(now);
    }

    /// How long until the level is there; `None`: it is.
    fn pause(&self, rate: u64, needed: u64) -> Option<Duration> {
        let lacking = i128::from(needed) - self.level;
        let lacking = u64::try_from(lacking).ok().filter(|lacking| *lacking > 0)?;
        // A moment more, so that rounding does not wake it in vain.
        let seconds = Duration::try_from_secs_f64(lacking as f64 / rate as f64).unwrap_or(Duration::MAX);
        Some(seconds.saturating_add(Duration::from_millis(1)).min(Duration::from_secs(3600)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn paused() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    #[test]
    fn the_rate_is_kept_over_time() {
        paused().block_on(async {
            let (limit, begin) = (Limit::new(1 << 20), Instant::now());
            for _ in 0..40 {
                limit.take(1 << 20).await;
            }
            let took = begin.elapsed().as_secs_f64();
            assert!((38.5..=40.0).contains(&took), "{took}");
        });
    }

    #[test]
    fn a_group_larger_than_the_bucket_goes_and_is_paid_for() {
        paused().block_on(async {
            let (limit, begin) = (Limit::new(100_000), Instant::now());
            limit.take(4_000_000).await;
            assert!(begin.elapsed().as_secs() == 0);
            limit.take(1).await;
            assert!(begin.elapsed().as_secs() >= 38, "{:?}", begin.elapsed());
        });
    }

    #[test]
    fn the_rate_changes_when_its_plan_says_so() {
        paused().block_on(async {
            let plan = [(Duration::from_secs(10), 0), (Duration::from_secs(20), 1 << 10)];
            let (limit, begin) = (Limit::planned(1 << 10, plan), Instant::now());
            // The first empties the bucket, and the second would wait for 17 minutes.
            limit.take(1 << 20).await;
            limit.take(1 << 20).await;
            assert_eq!(begin.elapsed().as_secs(), 10);
            for _ in 0..100 {
                limit.take(1 << 20).await;
            }
            assert_eq!(begin.elapsed().as_secs(), 10, "there is no limit now");
            tokio::time::advance(Duration::from_secs(11)).await;
            limit.take(1 << 20).await;
            limit.take(1 << 20).await;
            assert!(begin.elapsed().as_secs() > 900, "{:?}", begin.elapsed());
        });
    }

    #[test]
    fn a_change_reaches_those_who_wait() {
        paused().block_on(async {
            let (limit, begin) = (Arc::new(Limit::new(1)), Instant::now());
            limit.take(1 << 20).await;
            let waiting = tokio::spawn({
                let limit = Arc::clone(&limit);
                async move { limit.take(1 << 20).await }
            });
            tokio::task::yield_now().await;
            limit.set(0);
            waiting.await.unwrap();
            assert!(begin.elapsed().as_secs() < 3600);
        });
    }
}
