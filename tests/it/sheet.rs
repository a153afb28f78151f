//! The operator's sheet as a browser shows and prints it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Workspace, has, is_installed, left_out, tool};

const PAGES: [(&str, &str); 2] = [("README.txt", "index.html"), ("README.zh-CN.txt", "index.zh-CN.html")];

/// A name as long as DNS allows, which has to fit too.
const LONGEST: &str = "rack-12-of-the-southern-hall-beside-the-second-compressor-no-12";

/// What `@page` in the style says, in points.
const MARGIN: f64 = 14.0 / 25.4 * 72.0;

/// Three masters and seven workers, more than one row of the picture, in all formats that a sheet explains.
fn built() -> Workspace {
    let workspace = Workspace::worker();
    workspace.edit("cluster.toml", "[etcd]\nendpoints = [\"https://192.0.2.1:2379\"]\n", "");
    workspace.edit("cluster.toml", "\"master\", \"worker\"", "\"etcd\", \"master\", \"worker\"");
    let mut text = workspace.text("cluster.toml");
    text += &node("master-2", 2, "\"etcd\", \"master\"");
    text += &node("master-3", 3, "\"etcd\", \"master\"");
    text += &node(LONGEST, 4, "\"worker\"");
    for number in 5..=10 {
        text += &node(&format!("worker-{number}"), number, "\"worker\"");
    }
    workspace.write("cluster.toml", text);
    workspace.run(&["build", "--offline", "--from", "files", "--format", "tarball,deb,nocloud"]).success();
    workspace
}

fn node(name: &str, number: usize, roles: &str) -> String {
    format!("[[nodes]]\nname = \"{name}\"\naddress = \"192.0.2.{number}\"\nroles = [{roles}]\n")
}

/// Whether pages can be rendered here: Chromium, or Chrome, which is the same program for this.
#[track_caller]
fn has_browser() -> bool {
    is_installed("google-chrome") || has("chromium")
}

/// Runs the browser without a window; returns what it prints. The sandbox is left out because it can't be set up where
/// namespaces are denied, and these pages are our own.
fn browse(workspace: &Workspace, arguments: &[&str], page: &Path) -> String {
    let program = if is_installed("google-chrome") { "google-chrome" } else { "chromium" };
    let output = Command::new(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .arg(format!("--user-data-dir={}", workspace.path("profile").display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .env("HOME", workspace.path("home"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Prints a page on paper; returns the path of the PDF.
fn print(workspace: &Workspace, page: &str) -> String {
    let pdf = workspace.path(page).with_extension("pdf").display().to_string();
    let to = format!("--print-to-pdf={pdf}");
    browse(workspace, &["--no-pdf-header-footer", &to], &workspace.path(&format!("out/small/{page}")));
    pdf
}

/// Text as it is read, wherever its lines end.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn printed_a_sheet_has_every_machine_and_every_command() {
    if !has_browser() || !has("pdftotext") || !has("fc-list") {
        return;
    }
    if tool("fc-list", &[":lang=zh"]).is_empty() {
        left_out("no font has Chinese characters");
        return;
    }
    let workspace = built();
    for (text, page) in PAGES {
        let text = workspace.text(&format!("out/small/{text}"));
        let printed = tool("pdftotext", &["-raw", &print(&workspace, page), "-"]);
        let sheets: Vec<_> = printed.trim_end_matches('\u{c}').split('\u{c}').collect();
        assert!((3..=7).contains(&sheets.len()), "{page} takes {} sheets of paper", sheets.len());
        assert!(sheets.iter().all(|sheet| !sheet.trim().is_empty()), "{page} has an empty sheet:\n{printed}");
        let printed = unwrapped(&printed);
        let commands = text.lines().filter(|line| line.starts_with("    ")).map(str::to_owned);
        let machines = (5..=10).map(|number| format!("worker-{number} 192.0.2.{number}"));
        let names = ["only 192.0.2.1", "master-3 192.0.2.3", LONGEST].map(str::to_owned);
        let headings = text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned);
        for wanted in commands.chain(machines).chain(names).chain(headings) {
            assert!(printed.contains(&unwrapped(&wanted)), "{page} lacks {wanted:?} on paper");
        }
    }
}

#[test]
fn on_paper_nothing_reaches_into_the_margins_or_is_shrunk() {
    if !has_browser() || !has("pdftotext") {
        return;
    }
    let workspace = built();
    for (_, page) in PAGES {
        let boxes = tool("pdftotext", &["-bbox", &print(&workspace, page), "-"]);
        let number = |line: &str, name: &str| -> f64 {
            let value = line.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
            value.unwrap_or_else(|| panic!("{line} has no {name}")).parse().unwrap()
        };
        let (mut width, mut tallest) = (0.0, 0.0_f64);
        for line in boxes.lines().map(str::trim) {
            if line.starts_with("<page") {
                width = number(line, "width");
            } else if line.starts_with("<word") {
                let (left, right) = (number(line, "xMin"), number(line, "xMax"));
                assert!(left > MARGIN - 1.0 && right < width - MARGIN + 1.0, "{page}: {line}");
                tallest = tallest.max(number(line, "yMax") - number(line, "yMin"));
            }
        }
        assert!((width - 595.0).abs() < 1.0, "{page} is printed {width} points wide, and A4 has 595");
        // The title: a browser prints what is too wide for the paper smaller.
        assert!(tallest > 17.0, "{page}: the tallest word has {tallest} points");
    }
}

/// Looks at a page from inside; its title says what reaches out of the window, or out of its box in the picture.
const RULER: &str = r"<script>
const inside = (one, other) => one.left >= other.left - 1 && one.right <= other.right + 1;
const box = one => one.getBoundingClientRect();
const window_ = {left: 0, right: document.documentElement.clientWidth};
const out = [...document.querySelectorAll('body *')].filter(one => !inside(box(one), window_));
const frames = [...document.querySelectorAll('svg rect[stroke]')].map(box);
for (const text of document.querySelectorAll('svg text')) {
  const frame = frames.find(one => one.top < box(text).top && box(text).bottom < one.bottom && inside({left: (box(text).left + box(text).right) / 2, right: (box(text).left + box(text).right) / 2}, one));
  if (frame && !inside(box(text), frame)) out.push(text);
}
document.title = [document.documentElement.scrollWidth - window_.right, ...out.map(one => one.tagName + ' ' + one.textContent)].join('|');
</script>";

#[test]
fn on_narrow_and_wide_screens_nothing_is_cut_off() {
    if !has_browser() {
        return;
    }
    let workspace = built();
    for (_, page) in PAGES {
        let copy: PathBuf = workspace.path(page);
        workspace.write(page, workspace.text(&format!("out/small/{page}")).replace("</html>", RULER));
        for size in ["600,900", "1024,900"] {
            let seen = browse(&workspace, &["--dump-dom", &format!("--window-size={size}")], &copy);
            let title = seen.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).unwrap();
            assert_eq!(title, "0", "{page} in a window of {size}");
        }
    }
}
