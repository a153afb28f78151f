//! How patient a download is: timeouts, retries, and the speed below which a server is given up.

use std::time::Duration;

/// Timeouts, retries and limits of speed.
#[derive(Debug, Clone)]
pub struct Policy {
    /// For how long nothing may arrive; also the time over which the speed is averaged.
    pub idle: Duration,
    /// For how long a connection may take.
    pub connect: Duration,
    /// Bytes a second that have to arrive on average. The default is below what a telephone line carried, so slow
    /// lines are not turned away, and a server that sends a byte now and then doesn't hold up a build.
    pub slowest: u64,
    /// For how long one file may take from one place, pauses included. What arrived until then is kept and resumed.
    pub longest: Duration,
    /// How often to try again before enough has arrived to call it progress; see `Policy::progress`.
    pub retries: u32,
    /// The first pause; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause, whatever `Retry-After` asks for.
    pub longest_pause: Duration,
    /// Whether to ask the environment for proxies.
    pub proxies: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            slowest: 1024,
            longest: Duration::from_hours(24),
            retries: 4,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
            proxies: true,
        }
    }
}

impl Policy {
    /// How long to wait before the `attempt`-th retry, counted from 1.
    pub(super) fn pause_before(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.pause.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        asked.unwrap_or(doubled).min(self.longest_pause)
    }

    /// After how many new bytes retries are counted anew: what the slowest server allowed sends within one timeout. Were
    /// it one byte, a server that gives one byte for each connection would be asked for ever.
    pub(super) fn progress(&self) -> u64 {
        self.slowest.saturating_mul(self.idle.as_secs())
    }
}

/// Measures one connection against [`Policy::slowest`].
///
/// Only time spent waiting for the network counts: a slow disk is not the server's fault.
#[derive(Debug, Default)]
pub(super) struct Speed {
    waited: Duration,
    bytes: u64,
}

impl Speed {
    /// Counts `bytes` that took `waited` to arrive. It is an error if a whole timeout has passed, and too little came.
    pub(super) fn count(&mut self, bytes: usize, waited: Duration, policy: &Policy) -> Result<(), String> {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.waited < policy.idle {
            return Ok(());
        }
        let measured = std::mem::take(self);
        if u128::from(measured.bytes) * 1000 >= u128::from(policy.slowest) * measured.waited.as_millis() {
            return Ok(());
        }
        let (slowest, seconds) = (policy.slowest, policy.idle.as_secs());
        Err(format!("fewer than {slowest} bytes a second arrived for {seconds} s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_a_server_may_not_ask_for_an_hour() {
        let policy = Policy::default();
        let seconds = |attempt, asked| policy.pause_before(attempt, asked).as_secs();
        assert_eq!([1, 2, 3, 4].map(|attempt| seconds(attempt, None)), [1, 2, 4, 8]);
        assert_eq!(seconds(1, Some(Duration::from_secs(7))), 7);
        assert_eq!(seconds(1, Some(Duration::from_hours(1))), 60);
        assert_eq!(seconds(100, None), 60);
    }

    /// After how many seconds a server is given up that sends `bytes` every second; `None` if not within an hour.
    fn given_up(bytes: usize) -> Option<usize> {
        let (policy, mut speed) = (Policy::default(), Speed::default());
        (1..=3600).find(|_| speed.count(bytes, Duration::from_secs(1), &policy).is_err())
    }

    #[test]
    fn a_server_is_given_up_after_one_timeout_below_the_floor_and_never_above_it() {
        assert_eq!([given_up(1), given_up(1023), given_up(1024), given_up(100_000)], [Some(30), Some(30), None, None]);
    }

    #[test]
    fn a_burst_does_not_pay_for_a_later_trickle() {
        let (policy, mut speed) = (Policy::default(), Speed::default());
        speed.count(100_000_000, Duration::from_secs(30), &policy).expect("fast enough");
        let slow = (1..=100).find(|_| speed.count(1, Duration::from_millis(500), &policy).is_err());
        assert_eq!(slow, Some(60));
    }
}
