//! The one place that reads the clock and the environment.

use std::time::Instant;

use time::OffsetDateTime;

/// The present time in UTC, truncated to whole seconds: certificates and manifests store no fractions.
#[expect(clippy::disallowed_methods, reason = "the one clock")]
pub fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now)
}

/// A point in time that only differences are taken of; it goes on whatever becomes of the machine's date.
#[expect(clippy::disallowed_methods, reason = "the one clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// An environment variable. `None` if it is unset, empty, or not UTF-8.
#[expect(clippy::disallowed_methods, reason = "the one look into the environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// `SOURCE_DATE_EPOCH` (reproducible-builds.org): seconds since 1970. `None` if it is unset. An invalid value is an
/// error, since ignoring it would silently give other bytes.
pub fn source_date_epoch() -> Result<Option<OffsetDateTime>, String> {
    let Some(text) = variable("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = text.parse().ok().filter(|seconds| *seconds >= 0);
    let time = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.map(Some).ok_or_else(|| format!("SOURCE_DATE_EPOCH is `{text}`: expected seconds since 1970"))
}
