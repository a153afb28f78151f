//! `docs/performance.md` and its plot.
#![expect(clippy::disallowed_methods, reason = "xtask writes files")]

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};

use super::environment::Environment;
use super::measure::{Figure, megabytes};

/// A row of a table.
pub(super) struct Row {
    what: String,
    figure: Figure,
}

impl Row {
    pub(super) fn new(what: &str, figure: &Figure) -> Self {
        Self { what: what.to_owned(), figure: *figure }
    }
}

/// How many seconds a number of machines takes.
pub(super) struct Point {
    pub(super) machines: u32,
    pub(super) build: f64,
    pub(super) copy: f64,
}

/// The text that is written, and the points of the plot.
pub(super) struct Report {
    text: String,
    /// Whether the text ends with a row, so that the next one needs no header.
    in_table: bool,
    plot: Vec<Point>,
}

const UNKNOWN: &str = "unknown";

impl Report {
    /// `left_out` has a line for each measurement that can't be made here.
    pub(super) fn new(environment: &Environment, left_out: &[String]) -> Self {
        let input = if environment.real {
            "Kubernetes v1.16.0, built from its source"
        } else {
            "deterministic stand-ins of the size of Kubernetes v1.16.0's programs that compress alike"
        };
        let left_out: String = left_out.iter().map(|line| format!("- Left out: {line}\n")).collect();
        let text = format!(
            "# Performance\nWritten by `cargo xtask bench`: medians of five runs, in turn with what they are compared to, on a machine that did nothing \
             else.\n\n- Machine: {}\n- Programs: {input}, {}\n{left_out}\nRepeat it: `cargo xtask bench [--binaries DIR] [--nfpm PROGRAM]`; it wants `time`, \
             `pigz`, `xorriso`, `golang-cfssl`, `curl`, `python3`, `docker-registry`, `skopeo`, `casync`, `rsync`, `xfsprogs` with the right to mount, and 25 GB.\n",
            machine(environment),
            megabytes(size(environment)),
        );
        Self { text, in_table: false, plot: Vec::new() }
    }

    pub(super) fn section(&mut self, title: &str, about: &str) {
        let _ = write!(self.text, "\n## {title}\n{about}\n");
        self.in_table = false;
    }

    pub(super) fn row(&mut self, row: Row) {
        if !self.in_table {
            self.text += "\n| | seconds | seconds of CPU | largest process, MB |\n|---|---|---|---|\n";
            self.in_table = true;
        }
        let Row { what, figure } = row;
        let _ = writeln!(
            self.text,
            "| {what} | {:.2} | {:.2} | {} |",
            figure.seconds,
            figure.cpu,
            figure.memory.div_ceil(1_000_000)
        );
    }

    pub(super) fn ratio(&mut self, what: &str, ratio: f64) {
        self.line(&format!("**{what}: {ratio:.3}**"));
    }

    pub(super) fn line(&mut self, text: &str) {
        let _ = write!(self.text, "\n{text}\n");
        self.in_table = false;
    }

    pub(super) fn plot(&mut self, points: Vec<Point>) {
        self.plot = points;
        self.line("![Seconds for so many machines, beside cp of the same output](performance.svg)");
    }

    pub(super) fn write(self) -> Result<()> {
        let docs = super::repository("docs");
        fs::write(docs.join("performance.md"), &self.text).context("could not write docs/performance.md")?;
        fs::write(docs.join("performance.svg"), svg(&self.plot)).context("could not write docs/performance.svg")
    }
}

/// Processors, kernel and file system.
fn machine(environment: &Environment) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let work = environment.work.display().to_string();
    let file_system = crate::e2e::stdout_of("stat", &["--file-system", "--format=%T", &work]);
    format!(
        "{} × {}, Linux {}, {}",
        environment.processors,
        cpu.unwrap_or(UNKNOWN),
        kernel.trim(),
        file_system.as_deref().unwrap_or(UNKNOWN).trim()
    )
}

/// The size of all programs in bytes.
fn size(environment: &Environment) -> u64 {
    let entries = fs::read_dir(&environment.binaries).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}

/// An SVG plot of both times over the number of machines, with linear scales.
fn svg(points: &[Point]) -> String {
    let (width, height, margin) = (640.0, 360.0, 48.0);
    let (bottom, right) = (height - margin, width - margin);
    let most = points.iter().map(|point| point.machines).max().unwrap_or(1);
    let longest = points.iter().flat_map(|point| [point.build, point.copy]).fold(1.0, f64::max);
    let x = |machines: u32| margin + (right - margin) * f64::from(machines) / f64::from(most);
    let y = |seconds: f64| bottom - (bottom - margin) * seconds / longest;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
         <path d=\"M{margin} {margin}V{bottom}H{right}\" fill=\"none\" stroke=\"black\"/>\n"
    );
    let mut write = |x: f64, y: f64, anchor: &str, colour: &str, said: &str| {
        let _ =
            writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{said}</text>");
    };
    for point in points {
        write(x(point.machines), bottom + 16.0, "middle", "black", &point.machines.to_string());
    }
    for step in 0..=4u8 {
        let seconds = longest * f64::from(step) / 4.0;
        write(margin - 6.0, y(seconds) + 4.0, "end", "black", &format!("{seconds:.1} s"));
    }
    write(width / 2.0, height - 8.0, "middle", "black", "machines");
    write(margin + 12.0, margin, "start", BUILD, "kube-bundle build");
    write(margin + 12.0, margin + 16.0, "start", COPY, "cp -r of its output");
    for (colour, of) in [(BUILD, (|point| point.build) as fn(&Point) -> f64), (COPY, |point| point.copy)] {
        let line: Vec<_> = points.iter().map(|point| format!("{:.1},{:.1}", x(point.machines), y(of(point)))).collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
    }
    text + "</svg>\n"
}

const BUILD: &str = "#1f77b4";
const COPY: &str = "#888888";
