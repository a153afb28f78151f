//! Tables for people: columns as wide as their widest cell, two spaces between.

use std::io;

use crate::printable::{Paint, Tone, printable, wrapped};
use crate::progress::columns;

/// What every column but the last keeps on a terminal that is too narrow, so that its cells can be told apart.
const LEAST: usize = 10;
/// What the first column, of names, keeps, and the last one, if it is of sentences.
const LEAST_OF_NAMES: usize = 20;

/// A table that knows what is most important in it.
#[derive(Debug, Default)]
pub(super) struct Table<'t> {
    pub(super) header: &'t [&'t str],
    /// Cells may come from files: what a terminal would obey is written out.
    pub(super) rows: Vec<Vec<String>>,
    /// Columns that a narrow terminal does without, the first of them first.
    pub(super) spare: &'t [usize],
    /// Whether the last column is of sentences, which are broken where others are cut.
    pub(super) sentences: bool,
    pub(super) paint: Paint,
}

/// A table without colours, as wide as the terminal that results go to.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    Table { header, rows: rows.to_vec(), ..Table::default() }.text(|_, _| Tone::Plain)
}

impl Table<'_> {
    /// As wide as the terminal that results go to. `tone` is asked for each cell, by its row and column from 0.
    pub(super) fn text(&self, tone: impl Fn(usize, usize) -> Tone) -> String {
        self.within(columns(io::stdout()), tone)
    }

    fn within(&self, columns: Option<usize>, tone: impl Fn(usize, usize) -> Tone) -> String {
        let header = self.header.iter().map(|cell| (*cell).to_owned()).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(|cell| printable(cell).into_owned()).collect());
        let lines: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
        let widths = self.widths(&lines, columns);
        let tone = |line: usize, column| line.checked_sub(1).map_or(Tone::Plain, |row| tone(row, column));
        lines.iter().enumerate().map(|(number, line)| self.line(line, &widths, |column| tone(number, column))).collect()
    }

    /// One width for each column; 0 for one that is left out.
    fn widths(&self, lines: &[Vec<String>], columns: Option<usize>) -> Vec<usize> {
        let mut widths = vec![0; self.header.len()];
        for line in lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        let Some(columns) = columns else { return widths };
        let least = |column: usize| match column {
            0 => LEAST_OF_NAMES,
            _ if self.sentences && column + 1 == self.header.len() => LEAST_OF_NAMES,
            _ => LEAST,
        };
        let whole = |widths: &[usize], limit: &dyn Fn(usize, usize) -> usize| -> usize {
            let shown = widths.iter().enumerate().filter(|(_, width)| **width > 0);
            shown.map(|(column, width)| limit(column, *width) + 2).sum::<usize>().saturating_sub(2)
        };
        // Names are cut last: with two names cut to the same, a table is of no use.
        for spare in self.spare {
            if whole(&widths, &|column, width| if column == 0 { width } else { width.min(least(column)) }) > columns {
                widths[*spare] = 0;
            }
        }
        for first in [1, 0] {
            while whole(&widths, &|_, width| width) > columns {
                let wide = widths.iter_mut().enumerate().skip(first).filter(|(column, width)| **width > least(*column));
                match wide.max_by_key(|(_, width)| **width) {
                    Some((_, widest)) => *widest -= 1,
                    None => break,
                }
            }
        }
        widths
    }

    /// A line, and more below its last cell if that is broken. No line ends in spaces.
    fn line(&self, cells: &[String], widths: &[usize], tone: impl Fn(usize) -> Tone) -> String {
        let (mut text, mut gap, mut begin) = (String::new(), 0, 0);
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate().filter(|(_, (_, width))| **width > 0) {
            let is_broken = self.sentences && column + 1 == cells.len();
            let cell = if is_broken { wrapped(cell, *width) } else { cut(cell, *width) };
            for (number, part) in cell.split('\n').enumerate() {
                if number > 0 {
                    text.push('\n');
                    gap = begin;
                }
                // Not with `format!`, which pads to 65535 characters at most.
                let length = part.chars().count();
                if length > 0 {
                    text.extend(std::iter::repeat_n(' ', std::mem::take(&mut gap)));
                    text.push_str(&self.paint.text(part, tone(column)));
                }
                gap += width.saturating_sub(length) + 2;
            }
            begin += width + 2;
        }
        text + "\n"
    }
}

/// A sentence loses its end, and a path or a name its middle: files of one directory differ in their ends.
fn cut(cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return cell.to_owned();
    }
    let left = width.saturating_sub(1);
    let begin = if cell.contains(' ') { left } else { left / 3 };
    cell.chars().take(begin).chain(['…']).chain(cell.chars().skip(length - (left - begin))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(columns: usize) -> String {
        let row = |id: &str, state: &str| {
            [id, "O=system:masters, CN=admin", "ca", "2027-11-25", state].map(str::to_owned).to_vec()
        };
        let rows = vec![
            row("kube-controller-manager/master-1", "ok"),
            row("kube-scheduler/master-1", "the next build reissues it: it did not name 192.0.2.9"),
        ];
        let header = &["ID", "SUBJECT", "SIGNED BY", "EXPIRES", "STATE"];
        let table = Table { header, rows, spare: &[1, 2], sentences: true, paint: Paint(false) };
        table.within(Some(columns), |_, _| Tone::Plain)
    }

    #[test]
    fn a_narrow_terminal_gets_names_and_sentences_before_the_rest() {
        for columns in [60, 80, 120] {
            let text = status(columns);
            assert!(text.lines().all(|line| line.chars().count() <= columns && !line.ends_with(' ')), "{text}");
            assert_eq!(text.contains("SUBJECT"), columns > 80, "{text}");
            assert!(text.contains("anager/master-1"), "{text}");
            let words: Vec<_> = text.split_whitespace().collect();
            assert!(words.join(" ").contains("reissues"), "{text}");
            assert!(words.contains(&"192.0.2.9"), "{text}");
        }
        let narrow = "\
ID                          EXPIRES     STATE
kube-con…-manager/master-1  2027-11-25  ok
kube-scheduler/master-1     2027-11-25  the next build
                                          reissues it: it
                                          did not name
                                          192.0.2.9
";
        assert_eq!(status(60), narrow);
    }

    #[test]
    fn paths_of_one_directory_are_told_apart() {
        let files = ["/etc/systemd/system/kube-apiserver.service", "/etc/systemd/system/kube-scheduler.service"];
        assert_eq!(files.map(|file| cut(file, 24)), ["/etc/sy…piserver.service", "/etc/sy…cheduler.service"]);
        assert_eq!(cut("a sentence that goes on", 12), "a sentence …");
    }
}
