//! One command, a few times over: the median of its time, its processor time, and its largest memory.
#![expect(clippy::disallowed_methods, reason = "chores run programs, and this one has a watch")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// How often; the median of them counts.
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

/// Medians.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figure {
    /// From begin to end.
    pub(super) seconds: f64,
    /// Seconds of all processors.
    pub(super) cpu: f64,
    /// Bytes that the largest process had at once.
    pub(super) memory: u64,
}

impl Run {
    /// Runs it once, for what it leaves.
    pub(super) fn output(&self, what: &str) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.directory).envs(self.variables.iter().cloned());
        let output =
            command.stdin(Stdio::null()).output().with_context(|| format!("could not run `{}`", self.program))?;
        ensure!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn once(&self) -> Result<Figure> {
        // Nobody pays for what others have left to write.
        crate::e2e::said("sync", &[]);
        let mut command = Command::new("/usr/bin/time");
        command.args(["--quiet", "--format", "%e %U %S %M"]).arg(&self.program).args(&self.arguments);
        command.current_dir(&self.directory).envs(self.variables.iter().cloned());
        let output = command.stdin(Stdio::null()).output().context("could not run /usr/bin/time")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} failed: {said}", self.what);
        let numbers: Vec<f64> = said.lines().last().unwrap_or_default().split(' ').flat_map(str::parse).collect();
        let [seconds, user, system, kilobytes] = numbers[..] else { anyhow::bail!("no times in {said}") };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a whole number")]
        Ok(Figure { seconds, cpu: user + system, memory: kilobytes as u64 * 1024 })
    }
}

/// The medians of one command; `before` is done before each run, and not measured.
pub(super) fn measure(run: &Run, before: impl Fn() -> Result<()>) -> Result<Figure> {
    let figures = (0..TIMES).map(|_| before().and_then(|()| run.once())).collect::<Result<Vec<_>>>()?;
    let figure = median(&figures);
    super::show(&run.what, &figure);
    Ok(figure)
}

/// The medians of two commands that are run in turn, so that what else the machine does meets both.
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

/// Bytes for people.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}

/// The same for fewer.
pub(super) fn kilobytes(bytes: u64) -> String {
    format!("{} kB", bytes.div_ceil(1000))
}
