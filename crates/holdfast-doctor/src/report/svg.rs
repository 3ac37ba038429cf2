//! Draws a picture of time as SVG: lanes grouped by host, spans to scale, numbers that refer to a table beside it. Everything
//! can be told apart on black-and-white paper.

use std::fmt::Write;

use jiff::{SignedDuration, Unit};

use super::html::escape;
use super::picture::{Kind, Mark, Picture};

/// Width of the drawing, in its own units; it is scaled to the page.
const WIDTH: u64 = 1000;
/// Where time begins: left of it stand the names of the lanes.
const LEFT: u64 = 210;
/// Right of it is room for a number.
const RIGHT: u64 = 970;
const LANE: u64 = 24;
const HEAD: u64 = 34;

/// The drawing.
pub(super) fn draw(picture: &Picture) -> String {
    let rows = rows(picture);
    let height = HEAD + LANE * rows.count + 10;
    let length = picture.length().max(1);
    let mut svg = String::new();
    let title = escape(&picture.title);
    add(&mut svg, &format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">"#));
    svg.push_str(PATTERNS);
    axis(&mut svg, picture, length, height);
    for (host, row) in &rows.hosts {
        let y = HEAD + LANE * row + 16;
        add(&mut svg, &format!(r#"<text class="host" x="4" y="{y}">{}</text>"#, escape(&cut(host, 60))));
    }
    for (lane, row) in picture.lanes.iter().zip(&rows.lanes) {
        let (y, line) = (HEAD + LANE * row + 16, HEAD + LANE * row + 12);
        add(&mut svg, &format!(r#"<text x="14" y="{y}">{}</text>"#, escape(&cut(&lane.name, 30))));
        add(&mut svg, &format!(r#"<path class="lane" d="M{LEFT} {line}H{RIGHT}"/>"#));
    }
    for (index, mark) in picture.marks.iter().enumerate() {
        if let Some(row) = rows.lanes.get(mark.lane) {
            self::mark(&mut svg, mark, index + 1, HEAD + LANE * row, length);
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Rows of the drawing: each host has one of its own above its lanes.
struct Rows<'a> {
    hosts: Vec<(&'a str, u64)>,
    /// The row of each lane.
    lanes: Vec<u64>,
    count: u64,
}

/// Lanes of one host stand together, whatever came between them.
fn rows(picture: &Picture) -> Rows<'_> {
    let mut rows = Rows { hosts: Vec::new(), lanes: vec![0; picture.lanes.len()], count: 0 };
    for lane in &picture.lanes {
        if rows.hosts.iter().any(|(host, _)| *host == lane.host) {
            continue;
        }
        rows.hosts.push((&lane.host, rows.count));
        rows.count += 1;
        let own = picture.lanes.iter().enumerate().filter(|(_, other)| other.host == lane.host);
        for (index, _) in own {
            rows.lanes[index] = rows.count;
            rows.count += 1;
        }
    }
    rows
}

/// Where a time stands.
fn x(at: u64, length: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    // a drawing has a thousand points, and a time in it far fewer than 2^52 milliseconds
    let share = at.min(length) as f64 / length as f64;
    #[allow(clippy::cast_precision_loss)] // both are small
    let (left, room) = (LEFT as f64, (RIGHT - LEFT) as f64);
    left + share * room
}

fn mark(svg: &mut String, mark: &Mark, number: usize, top: u64, length: u64) {
    let (from, to) = (x(mark.from, length), x(mark.to.max(mark.from), length));
    let class = class(mark.kind);
    let (y, text_y) = (top + 4, top + 16);
    if mark.to <= mark.from {
        let (above, below) = (top + 2, top + 22);
        add(svg, &format!(r#"<path class="at {class}" d="M{from:.1} {above}V{below}"/>"#));
    } else {
        let width = (to - from).max(1.5);
        add(
            svg,
            &format!(
                r#"<rect class="{class}" x="{from:.1}" y="{y}" width="{width:.1}" height="16"><title>{}</title></rect>"#,
                escape(&mark.label)
            ),
        );
    }
    // Inside where there is room, else after it.
    let (text_x, anchor) = if to - from > 22.0 { ((from + to) / 2.0, "middle") } else { (to + 3.0, "start") };
    add(
        svg,
        &format!(
            r#"<text class="number" x="{text_x:.1}" y="{text_y}" text-anchor="{anchor}">{number}</text>"#
        ),
    );
}

/// The class of a kind in the style sheet.
pub(super) fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Good => "good",
        Kind::Delay => "delay",
        Kind::Silent => "silent",
        Kind::Failure => "failure",
        Kind::Note => "note",
    }
}

fn axis(svg: &mut String, picture: &Picture, length: u64, height: u64) {
    let step = step(length);
    let below = height - 4;
    // The first round time of the day at or after the begin.
    let midnight = picture.begin.date().to_datetime(jiff::civil::Time::midnight());
    let since =
        picture.begin.since((Unit::Hour, midnight)).ok().and_then(|span| span.total(Unit::Millisecond).ok());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // less than a day
    let since = since.unwrap_or(0.0) as u64;
    let mut at = since.next_multiple_of(step) - since;
    while at <= length {
        let left = x(at, length);
        let time =
            picture.begin.saturating_add(SignedDuration::from_millis(i64::try_from(at).unwrap_or(i64::MAX)));
        let format = if step < 60_000 { "%H:%M:%S" } else { "%H:%M" };
        add(svg, &format!(r#"<path class="tick" d="M{left:.1} 22V{below}"/>"#));
        add(
            svg,
            &format!(
                r#"<text class="time" x="{left:.1}" y="16" text-anchor="middle">{}</text>"#,
                time.strftime(format)
            ),
        );
        at += step;
    }
}

/// Milliseconds between times on the axis: a round number that gives at most ten of them.
fn step(length: u64) -> u64 {
    const SECONDS: [u64; 20] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
        172_800, 604_800,
    ];
    let wanted = |step: &u64| length / (step * 1_000) <= 9;
    SECONDS.iter().copied().find(wanted).map_or_else(|| (length / 9).max(1), |seconds| seconds * 1_000)
}

fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(characters - 1).collect();
    cut.push('\u{2026}');
    cut
}

fn add(svg: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "{text}");
}

const PATTERNS: &str = r##"<defs><pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse"
patternTransform="rotate(45)"><rect width="6" height="6" fill="#fbe3b5"/><path d="M0 0V6" stroke="#b36b00" stroke-width="2.5"/>
</pattern></defs>
"##;

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn spans_are_drawn_to_scale_and_text_is_escaped() {
        let mut picture = Picture::new("a <b>".into(), date(2026, 3, 1).at(17, 46, 36, 0));
        let lane = picture.lane("ma<ster", "connect").unwrap();
        picture.mark(Mark { lane, from: 0, to: 50_000, kind: Kind::Delay, label: "x&y".into() });
        picture.mark(Mark { lane, from: 100_000, to: 100_000, kind: Kind::Failure, label: "end".into() });
        let svg = draw(&picture);
        // Half of the width that is there for time.
        assert!(svg.contains(r#"x="210.0" y="62" width="380.0""#), "{svg}");
        assert!(svg.contains("M970.0 60V80"), "{svg}");
        assert!(
            svg.contains("ma&lt;ster") && svg.contains("x&amp;y") && svg.contains("a &lt;b&gt;"),
            "{svg}"
        );
        // 100 s: a time every 15 s, at round ones.
        assert!(
            svg.contains(">17:46:45<") && svg.contains(">17:48:15<") && !svg.contains(">17:46:36<"),
            "{svg}"
        );
    }

    #[test]
    fn lanes_of_a_host_stand_under_its_name() {
        let mut picture = Picture::new(String::new(), date(2026, 3, 1).at(0, 0, 0, 0));
        for (host, name) in [("a", "1"), ("b", "1"), ("a", "2"), ("a", "1")] {
            assert!(picture.lane(host, name).is_some());
        }
        let rows = rows(&picture);
        assert_eq!((rows.lanes, rows.count), (vec![1, 4, 2], 5));
    }

    #[test]
    fn an_axis_has_few_times() {
        for length in [1, 999, 60_000, 120_000, 7_200_000, 86_400_000, 40 * 86_400_000, u64::MAX] {
            assert!(length / step(length) <= 10, "{length}: {}", step(length));
        }
    }
}
