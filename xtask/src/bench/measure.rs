//! Runs a command several times: the median of its time and processor time, and its largest memory.
#![expect(clippy::disallowed_methods, reason = "xtask runs programs")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// How often each command is measured.
const TIMES: usize = 5;

/// A command that can be run again and again.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) what: String,
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) directory: PathBuf,
    pub(super) variables: Vec<(String, String)>,
}

/// The medians of several runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figure {
    /// Elapsed time.
    pub(super) seconds: f64,
    /// Processor time, user and system, in seconds.
    pub(super) cpu: f64,
    /// The largest resident set of a process, in bytes.
    pub(super) memory: u64,
}

impl Run {
    /// Runs it once without measuring, for what it writes.
    pub(super) fn output(&self, what: &str) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.directory).envs(self.variables.iter().cloned());
        let output =
            command.stdin(Stdio::null()).output().with_context(|| format!("could not run `{}`", self.program))?;
        ensure!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn once(&self) -> Result<Figure> {
        // What earlier commands left in the page cache must not be written at this one's expense.
        crate::e2e::stdout_of("sync", &[])?;
        let mut command = Command::new("/usr/bin/time");
        command.args(["--quiet", "--format", "%e %U %S %M"]).arg(&self.program).args(&self.arguments);
        command.current_dir(&self.directory).envs(self.variables.iter().cloned());
        let output = command.stdin(Stdio::null()).output().context("could not run /usr/bin/time")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} failed: {errors}", self.what);
        let numbers: Vec<f64> = errors.lines().last().unwrap_or_default().split(' ').flat_map(str::parse).collect();
        let [seconds, user, system, kilobytes] = numbers[..] else { anyhow::bail!("no times in {errors}") };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a whole number")]
        Ok(Figure { seconds, cpu: user + system, memory: kilobytes as u64 * 1024 })
    }
}

/// Measures one command. `before` runs before each measurement, and is not measured.
pub(super) fn measure(run: &Run, before: impl Fn() -> Result<()>) -> Result<Figure> {
    let figures = (0..TIMES).map(|_| before().and_then(|()| run.once())).collect::<Result<Vec<_>>>()?;
    let figure = median(&figures);
    super::show(&run.what, &figure);
    Ok(figure)
}

/// Measures two commands in turn, so that other load on the machine affects both alike.
pub(super) fn compare(
    one: &Run,
    before_one: impl Fn() -> Result<()>,
    other: &Run,
    before_other: impl Fn() -> Result<()>,
) -> Result<(Figure, Figure)> {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        before_one()?;
        ones.push(one.once()?);
        before_other()?;
        others.push(other.once()?);
    }
    let figures = (median(&ones), median(&others));
    super::show(&one.what, &figures.0);
    super::show(&other.what, &figures.1);
    Ok(figures)
}

fn median(figures: &[Figure]) -> Figure {
    let middle = |of: fn(&Figure) -> f64| {
        let mut values: Vec<f64> = figures.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let memory = figures.iter().map(|figure| figure.memory).max().unwrap_or_default();
    Figure { seconds: middle(|figure| figure.seconds), cpu: middle(|figure| figure.cpu), memory }
}

/// Formats a number of bytes as megabytes with two digits after the point.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}

/// Formats a number of bytes as kilobytes, rounded up.
pub(super) fn kilobytes(bytes: u64) -> String {
    format!("{} kB", bytes.div_ceil(1000))
}
