//! The machines of a cluster and who dials whom, as a picture.

use std::fmt::Write as _;

use crate::plan::{Content, NodePlan};
use crate::spec::Service;

/// Sizes in units of the picture.
const WIDTH: usize = 720;
const BOX: (usize, usize) = (152, 62);
const GAP: usize = 16;
const MARGIN: usize = 12;
const BOLD: &str = " font-weight=\"600\"";
const PER_ROW: usize = (WIDTH - 2 * MARGIN + GAP) / (BOX.0 + GAP);

/// Machines that are drawn together.
struct Band<'a> {
    nodes: Vec<&'a NodePlan>,
    color: &'static str,
    /// Whether its machines connect to those above; otherwise those above connect to them.
    connects: bool,
}

/// An SVG: the endpoint, then machines with API servers, other members of etcd, and other machines, one band below the
/// other.
pub(super) fn picture(content: &Content) -> String {
    let has = |node: &NodePlan, service| node.provides.contains(&service);
    let band = |color, connects, wanted: &dyn Fn(&NodePlan) -> bool| Band {
        nodes: content.nodes.iter().filter(|node| wanted(node)).collect(),
        color,
        connects,
    };
    let bands = [
        band("#dbeafe", false, &|node| has(node, Service::ApiServer)),
        band("#fef3c7", false, &|node| has(node, Service::Etcd) && !has(node, Service::ApiServer)),
        band("#dcfce7", true, &|node| !has(node, Service::Etcd) && !has(node, Service::ApiServer)),
    ];
    let mut body = String::new();
    let mut top = MARGIN;
    text(&mut body, (WIDTH / 2, top + 14), BOLD, &content.endpoint.to_string());
    top += 22;
    for band in bands.iter().filter(|band| !band.nodes.is_empty()) {
        arrow(&mut body, top, band.connects);
        top += 26;
        top = draw(&mut body, band, top);
    }
    let height = top + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"inherit\" font-size=\"13\">\n{body}</svg>\n"
    )
}

/// Draws a band; returns where it ends.
fn draw(body: &mut String, band: &Band<'_>, top: usize) -> usize {
    let rows = band.nodes.chunks(PER_ROW);
    let height = rows.len() * (BOX.1 + GAP) + GAP;
    let _ = writeln!(
        body,
        "<rect x=\"{MARGIN}\" y=\"{top}\" width=\"{}\" height=\"{height}\" rx=\"8\" fill=\"{}\"/>",
        WIDTH - 2 * MARGIN,
        band.color
    );
    for (row, nodes) in rows.enumerate() {
        let wide = nodes.len() * (BOX.0 + GAP) - GAP;
        let y = top + GAP + row * (BOX.1 + GAP);
        for (column, node) in nodes.iter().enumerate() {
            let x = (WIDTH - wide) / 2 + column * (BOX.0 + GAP);
            machine(body, node, x, y);
        }
    }
    top + height
}

fn machine(body: &mut String, node: &NodePlan, x: usize, y: usize) {
    let _ = writeln!(
        body,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"5\" fill=\"#fff\" stroke=\"#57606a\"/>",
        BOX.0, BOX.1
    );
    let center = x + BOX.0 / 2;
    fitted(body, (center, y + 19), BOLD, node.name.as_str());
    fitted(body, (center, y + 37), "", &node.address.to_string());
    fitted(body, (center, y + 54), "", &node.role_names());
}

/// A line of a box: a name may have 63 characters. Which font a browser takes is unknown; 15 characters fit in any, and
/// more are set as wide as the box.
fn fitted(body: &mut String, at: (usize, usize), attributes: &str, line: &str) {
    if line.chars().count() <= 15 {
        return text(body, at, attributes, line);
    }
    let line: String =
        if line.chars().count() <= 21 { line.to_owned() } else { line.chars().take(20).chain(['…']).collect() };
    let width = format!("{attributes} textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\"", BOX.0 - GAP);
    text(body, at, &width, &line);
}

fn text(body: &mut String, (x, y): (usize, usize), attributes: &str, line: &str) {
    // Names, addresses and URLs of a cluster have no character that XML wants escaped.
    let _ = writeln!(body, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\"{attributes}>{line}</text>");
}

/// Between two bands: up or down.
fn arrow(body: &mut String, top: usize, up: bool) {
    let x = WIDTH / 2;
    let (from, to, head) = if up { (top + 23, top + 2, top + 8) } else { (top + 2, top + 23, top + 17) };
    let _ = writeln!(
        body,
        "<path d=\"M{x} {from} V{to} M{} {head} L{x} {to} L{} {head}\" fill=\"none\" stroke=\"#57606a\"/>",
        x - 4,
        x + 4,
    );
}
