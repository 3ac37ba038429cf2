//! A report as one HTML file: findings, pictures, tables. It needs nothing from elsewhere, runs no script, and can be printed.

use std::fmt::Write;

use holdfast_types::terminal::steers;
use serde::Serialize;

use super::picture::{Kind, Mark, Picture};
use super::{Report, svg};
use crate::finding::{Evidence, Finding, Severity};

/// Rows of a table that are shown at most.
const ROWS_MAX: usize = 2_000;

/// What stands on the page beside the findings.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The heading.
    pub title: String,
    /// What was examined: a sentence each.
    pub about: Vec<String>,
    /// In order.
    pub pictures: Vec<Picture>,
    /// In order.
    pub grids: Vec<Grid>,
    /// In order.
    pub tables: Vec<Table>,
}

/// A picture of who stands how to whom: a row and a column for each, and a field that has its look also without colours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grid {
    /// What it shows, and how it is read.
    pub title: String,
    /// Names, from left to right.
    pub columns: Vec<String>,
    /// Names, from top to bottom, with as many fields as there are columns.
    pub rows: Vec<(String, Vec<Field>)>,
}

/// A field of a grid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its look; none for what is empty.
    pub kind: Option<Kind>,
    /// A word.
    pub word: String,
    /// More, in small letters.
    pub detail: String,
}

/// A table of facts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Names of its columns.
    pub columns: Vec<String>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// The file.
#[must_use]
pub fn page<F: Serialize>(report: &Report<F>, page: &Page) -> String {
    let mut html = String::with_capacity(64 << 10);
    let title = escape(&page.title);
    add(
        &mut html,
        &format!("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>"),
    );
    add(&mut html, POLICY);
    add(&mut html, &format!("<style>{STYLE}</style></head><body>\n<h1>{title}</h1>"));
    for sentence in &page.about {
        add(&mut html, &format!("<p>{}</p>", escape(sentence)));
    }
    html.push_str("<h2>Findings</h2>\n");
    if report.findings.is_empty() {
        html.push_str("<p>Nothing was found that disturbs backups.</p>\n");
    }
    for finding in &report.findings {
        self::finding(&mut html, finding);
    }
    for picture in &page.pictures {
        self::picture(&mut html, picture);
    }
    for grid in &page.grids {
        self::grid(&mut html, grid);
    }
    for table in &page.tables {
        self::table(&mut html, table);
    }
    if !report.unknown.is_empty() {
        let items: String =
            report.unknown.iter().map(|text| format!("<li>{}</li>\n", escape(text))).collect();
        add(&mut html, &format!("<h2>Not known</h2>\n<ul>{items}</ul>"));
    }
    html.push_str("</body></html>\n");
    html
}

fn finding(html: &mut String, finding: &Finding) {
    let (class, word) = match finding.severity {
        Severity::Problem => ("problem", "Problem"),
        Severity::Warning => ("warning", "Warning"),
        Severity::Note => ("remark", "Note"),
    };
    let (title, code) = (escape(&finding.title), escape(finding.code));
    add(html, &format!("<section class=\"{class}\"><h3><b>{word}</b> {title} <code>{code}</code></h3>"));
    html.push_str("<ul>");
    for evidence in &finding.evidence {
        let item = match evidence {
            Evidence::Fact(fact) => escape(fact),
            Evidence::Line(line) => format!(
                "<span class=\"place\">{}:{}</span> <code class=\"line\">{}</code>",
                escape(&line.file),
                line.line,
                escape(&line.text)
            ),
        };
        add(html, &format!("<li>{item}</li>"));
    }
    add(html, &format!("</ul><p><b>Cause:</b> {}</p>", escape(&finding.cause)));
    add(html, &format!("<p class=\"action\"><b>Do:</b> {}</p></section>", escape(&finding.action)));
}

fn picture(html: &mut String, picture: &Picture) {
    add(html, &format!("<figure><figcaption>{}</figcaption>", escape(&picture.title)));
    html.push_str(&svg::draw(picture));
    html.push_str("<table><tr><th>#<th>from<th>lasts<th>where<th>what</tr>\n");
    for (index, mark) in picture.marks.iter().enumerate() {
        let at = i64::try_from(mark.from).unwrap_or(i64::MAX);
        let from = picture.begin.saturating_add(jiff::SignedDuration::from_millis(at));
        let lane = picture.lanes.get(mark.lane);
        let place = lane.map(|lane| format!("{}, {}", lane.host, lane.name)).unwrap_or_default();
        add(
            html,
            &format!(
                "<tr><td class=\"{}\">{}<td>{}<td>{}<td>{}<td>{}</tr>",
                svg::class(mark.kind),
                index + 1,
                from.strftime("%H:%M:%S%.3f"),
                lasts(mark),
                escape(&place),
                escape(&mark.label)
            ),
        );
    }
    html.push_str("</table>");
    if let Some(omitted) = &picture.omitted {
        add(html, &format!("<p>{}</p>", escape(omitted)));
    }
    html.push_str("</figure>\n");
}

/// `99.0 s`, `2 h 0 min 4 s`; nothing for an instant.
fn lasts(mark: &Mark) -> String {
    let length = mark.to.saturating_sub(mark.from);
    let (seconds, tenths) = (length / 1_000, length % 1_000 / 100);
    match seconds {
        _ if length == 0 => String::new(),
        0..120 => format!("{seconds}.{tenths} s"),
        120..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min {} s", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    }
}

fn grid(html: &mut String, grid: &Grid) {
    let head: String = grid.columns.iter().map(|column| format!("<th>{}", escape(column))).collect();
    add(html, &format!("<figure><figcaption>{}</figcaption>", escape(&grid.title)));
    add(html, &format!("<table class=\"grid\"><tr><th>{head}</tr>"));
    for (name, fields) in &grid.rows {
        let cells: String = fields.iter().map(field).collect();
        add(html, &format!("<tr><th>{}{cells}</tr>", escape(name)));
    }
    html.push_str("</table></figure>\n");
}

fn field(field: &Field) -> String {
    let class = field.kind.map(|kind| format!(" class=\"{}\"", svg::class(kind))).unwrap_or_default();
    let detail = if field.detail.is_empty() {
        String::new()
    } else {
        format!("<br><small>{}</small>", escape(&field.detail))
    };
    format!("<td{class}>{}{detail}", escape(&field.word))
}

fn table(html: &mut String, table: &Table) {
    let head: String = table.columns.iter().map(|column| format!("<th>{}", escape(column))).collect();
    add(html, &format!("<h2>{}</h2>\n<table><tr>{head}</tr>", escape(&table.title)));
    for row in table.rows.iter().take(ROWS_MAX) {
        let cells: String = row.iter().map(|cell| format!("<td>{}", escape(cell))).collect();
        add(html, &format!("<tr>{cells}</tr>"));
    }
    html.push_str("</table>\n");
    if table.rows.len() > ROWS_MAX {
        add(html, &format!("<p>{} more rows are not shown.</p>", table.rows.len() - ROWS_MAX));
    }
}

/// Text as it stands in HTML, within elements and within quoted attributes. Control characters and marks of direction, which a
/// log may hold to mislead who reads it, are replaced.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            character if steers(character) => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}

fn add(html: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(html, "{text}");
}

/// Nothing is fetched and nothing runs, whatever a log brought in.
const POLICY: &str = include_str!("head.html");

const STYLE: &str = include_str!("report.css");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Quoted;
    use crate::report::picture::Kind;
    use jiff::civil::date;

    fn report(text: &str) -> Report<()> {
        let finding = Finding {
            code: "rendezvous-expired",
            severity: Severity::Problem,
            title: text.into(),
            evidence: vec![
                Evidence::Fact(text.into()),
                Evidence::Line(Quoted { file: text.into(), line: 3, text: text.into() }),
            ],
            cause: text.into(),
            action: text.into(),
        };
        Report::new("logs", (), vec![finding], vec![text.into()])
    }

    #[test]
    fn nothing_that_was_read_becomes_markup() {
        let evil = "</style><script>alert('1')</script>\u{202e}\u{1b}\"onload=\"";
        let mut drawn = Picture::new(evil.into(), date(2026, 3, 1).at(0, 0, 0, 0));
        let lane = drawn.lane(evil, evil).unwrap();
        drawn.mark(Mark { lane, from: 0, to: 9, kind: Kind::Silent, label: evil.into() });
        let table = Table { title: evil.into(), columns: vec![evil.into()], rows: vec![vec![evil.into()]] };
        let field = Field { kind: Some(Kind::Good), word: evil.into(), detail: evil.into() };
        let grid =
            Grid { title: evil.into(), columns: vec![evil.into()], rows: vec![(evil.into(), vec![field])] };
        let page = Page {
            title: evil.into(),
            about: vec![evil.into()],
            pictures: vec![drawn],
            grids: vec![grid],
            tables: vec![table],
        };
        let html = super::page(&report(evil), &page);
        assert!(
            !html.contains("<script") && !html.contains("\"onload") && !html.contains('\u{1b}'),
            "{html}"
        );
        assert_eq!(html.matches("</style>").count(), 1);
        assert!(html.matches("&lt;script&gt;").count() >= 12);
    }

    #[test]
    fn it_needs_nothing_from_elsewhere() {
        let html = page(&report("x"), &Page::default());
        for word in ["http:", "https:", "src=", "url(http", "@import", "<link"] {
            assert!(!html.contains(word), "{word}");
        }
    }

    #[test]
    fn lengths_are_told_in_fitting_units() {
        let told = |to: u64| {
            lasts(&Mark { lane: 0, from: 1_000, to: 1_000 + to, kind: Kind::Note, label: String::new() })
        };
        let expected = [(0, ""), (99_040, "99.0 s"), (600_000, "10 min 0 s"), (7_200_180, "2 h 0 min 0 s")];
        for (length, text) in expected {
            assert_eq!(told(length), text);
        }
    }
}
