//! The plan's memory as a picture.

use super::map::content;
use super::memory::{Content, RingFigures, Span};
use super::{Figures, grouped, short};
use mote_runtime::plan::RegionKind;
use std::fmt::Write;

const WIDTH: f64 = 1200.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 96.0;
/// Of the picture of the arena.
const HEIGHT: f64 = 440.0;
const INK: &str = "#1f2933";
const FAINT: &str = "#7b8794";

/// Arena over steps, with its regions, the rings of the state, and the peaks with and without regions over rows.
pub fn draw(figures: &Figures, title: &str) -> String {
    let mut picture = Picture { figures, text: String::new(), y: TOP };
    picture.title(title);
    picture.arena();
    picture.state();
    picture.peaks();
    let height = picture.y + 16.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
        picture.text
    )
}

struct Picture<'f> {
    figures: &'f Figures,
    text: String,
    /// Below what is drawn so far.
    y: f64,
}

impl Picture<'_> {
    fn title(&mut self, title: &str) {
        let f = self.figures;
        let subtitle = format!(
            "arena {} bytes, state {}, weights {}; {} steps, {} multiplications, {}",
            grouped(f.arena_bytes as u64),
            grouped(f.state_bytes as u64),
            grouped(f.weight_bytes as u64),
            f.steps.len(),
            grouped(f.macs),
            f.target
        );
        self.label(LEFT, 30.0, INK, "font-size=\"18\" font-weight=\"bold\"", title);
        self.label(LEFT, 50.0, FAINT, "", &subtitle);
        let kinds = [
            ("whole tensor", Content::Tensor, 0),
            ("ring of rows or frames", RING, 0),
            ("scratch", Content::Scratch, 0),
        ];
        let mut x = WIDTH - RIGHT - 376.0;
        for (name, kind, index) in kinds {
            self.rect((x, 20.0, 12.0, 12.0), fill(kind, index), "");
            self.label(x + 17.0, 30.5, INK, "", name);
            x += 44.0 + 6.6 * name.len() as f64;
        }
    }

    fn arena(&mut self) {
        let f = self.figures;
        let (arena, times) = (f.arena_bytes.max(1) as f64, (f.steps.len() + 1) as f64);
        let width = WIDTH - LEFT - RIGHT;
        let x = |step: f64| LEFT + step * width / times;
        let y = |byte: f64| TOP + HEIGHT - byte * HEIGHT / arena;
        self.rect((LEFT, TOP, width, HEIGHT), "#f5f7fa", "");
        for byte in marks(f.arena_bytes) {
            let at = y(byte as f64);
            self.line((LEFT, at, LEFT + width, at), "#d9dfe6");
            self.label(LEFT - 8.0, at + 4.0, FAINT, "text-anchor=\"end\"", &grouped(byte as u64));
        }
        for region in f.regions.iter().filter(|region| region.kind != RegionKind::Plain) {
            let (from, to) = (x(region.steps.start as f64), x(region.steps.end as f64));
            let rings = region.kept().len();
            let names = match region.kind {
                RegionKind::Rows => {
                    let ticks = region.ticks;
                    [
                        format!("row by row: {ticks} ticks, {rings} rings"),
                        format!("{ticks} ticks"),
                        "rows".into(),
                    ]
                }
                _ => ["frame by frame".into(), "frames".into(), String::new()],
            };
            self.rect((from + 1.0, TOP - 26.0, to - from - 2.0, 18.0), "#cfe8dc", " rx=\"4\"");
            self.line((to, TOP - 26.0, to, TOP + HEIGHT), "#3f9d74");
            let place = (from, TOP - 26.0, to - from, 18.0);
            if let Some(name) = names.iter().find(|name| fits(place, name)) {
                self.fitted(place, name);
            }
        }
        for (index, span) in f.spans.iter().enumerate() {
            let (from, to) = (x(span.first as f64), x(span.last as f64 + 1.0));
            let (top, bottom) = (y((span.offset + span.bytes) as f64), y(span.offset as f64));
            let place = (from + 0.75, top, to - from - 1.5, bottom - top);
            let label = format!("{}{}", content(span), span.name);
            let title = format!(
                "<title>{}: {} bytes at {}, steps {} to {}</title>",
                escaped(&label),
                grouped(span.bytes as u64),
                grouped(span.offset as u64),
                span.first,
                span.last
            );
            let _ = writeln!(self.text, "<g>{title}");
            self.rect(place, fill(span.content, index), " stroke=\"#ffffff\" stroke-width=\"1\"");
            // What lies in its place later covers its end.
            let covers = |other: &&Span| other.offset == span.offset && other.first <= span.last;
            let end =
                f.spans[index + 1..].iter().find(covers).map_or(to, |other| x(other.first as f64).max(from));
            self.span_label((place.0, place.1, end - from - 1.5, place.3), span);
            self.text.push_str("</g>\n");
        }
        let every = (f.steps.len() / 24 + 1).next_power_of_two().max(1);
        for step in (0..f.steps.len()).step_by(every) {
            self.label(
                x(step as f64 + 0.5),
                TOP + HEIGHT + 16.0,
                FAINT,
                "text-anchor=\"middle\"",
                &step.to_string(),
            );
        }
        self.label(
            LEFT,
            TOP + HEIGHT + 34.0,
            FAINT,
            "",
            "steps to the right, bytes of the arena upwards; the last column is after the last step",
        );
        self.y = TOP + HEIGHT + 44.0;
    }

    /// Size, and the name where there is room.
    fn span_label(&mut self, place: (f64, f64, f64, f64), span: &Span) {
        let bytes = grouped(span.bytes as u64);
        let (x, y, width, height) = place;
        if height >= 30.0 && width >= 90.0 {
            self.fitted(
                (x, y + height / 2.0 - 15.0, width, 15.0),
                &short(&span.name, ((width - 4.0) / 6.8) as usize),
            );
            self.fitted((x, y + height / 2.0, width, 15.0), &format!("{}{bytes}", short_content(span)));
        } else if fits(place, &bytes) {
            self.fitted(place, &bytes);
        } else if fits((x, y, height, width), &bytes) {
            let (x, y) = (x + width / 2.0 + 4.0, y + height / 2.0);
            let style =
                format!("text-anchor=\"middle\" font-size=\"11\" transform=\"rotate(-90 {x:.1} {y:.1})\"");
            self.label(x, y, INK, &style, &bytes);
        }
    }

    /// The rings that outlive a call, as wide as they are long.
    fn state(&mut self) {
        let rings: Vec<RingFigures> = self.figures.state().cloned().collect();
        let (state, width) = (self.figures.state_bytes.max(1) as f64, WIDTH - LEFT - RIGHT);
        if rings.is_empty() {
            return;
        }
        let text = format!("state: {} bytes that outlive a frame", grouped(self.figures.state_bytes as u64));
        self.label(LEFT, self.y + 20.0, INK, "font-weight=\"bold\"", &text);
        let (mut x, top) = (LEFT, self.y + 30.0);
        for (index, ring) in rings.iter().enumerate() {
            let wide = ring.bytes as f64 * width / state;
            let label = format!("{} frames of {}", ring.slots.kept, ring.name);
            let _ = writeln!(
                self.text,
                "<g><title>{}: {} bytes</title>",
                escaped(&label),
                grouped(ring.bytes as u64)
            );
            self.rect((x + 0.75, top, wide - 1.5, 42.0), fill(RING, index), "");
            self.fitted((x, top + 6.0, wide, 15.0), &short(&ring.name, ((wide - 4.0) / 6.8) as usize));
            self.fitted(
                (x, top + 21.0, wide, 15.0),
                &format!("{} x {}", ring.slots.kept, ring.slots.slice_bytes),
            );
            self.text.push_str("</g>\n");
            x += wide;
        }
        self.y = top + 50.0;
    }

    /// The arena beside what whole tensors would need.
    fn peaks(&mut self) {
        let own = self.figures.arena_bytes;
        let Some(whole) = self.figures.arena_whole_bytes.filter(|&whole| whole > own) else { return };
        let width = WIDTH - LEFT - RIGHT - 200.0;
        self.label(
            LEFT,
            self.y + 20.0,
            INK,
            "font-weight=\"bold\"",
            "arena with and without regions over rows",
        );
        let bars = [("with", own, "#5fb08c"), ("without", whole, "#8fa8c8")];
        for (index, (name, bytes, color)) in bars.into_iter().enumerate() {
            let top = self.y + 30.0 + 24.0 * index as f64;
            let long = bytes as f64 * width / whole as f64;
            self.label(LEFT - 8.0, top + 13.0, INK, "text-anchor=\"end\"", name);
            self.rect((LEFT, top, long, 18.0), color, " rx=\"2\"");
            self.label(LEFT + long + 8.0, top + 13.0, INK, "", &format!("{} bytes", grouped(bytes as u64)));
        }
        self.y += 84.0;
    }

    fn rect(&mut self, (x, y, width, height): (f64, f64, f64, f64), color: &str, more: &str) {
        let (width, height) = (width.max(0.5), height.max(0.5));
        let _ = writeln!(
            self.text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\"{more}/>"
        );
    }

    fn line(&mut self, (x0, y0, x1, y1): (f64, f64, f64, f64), color: &str) {
        let _ = writeln!(
            self.text,
            "<line x1=\"{x0:.1}\" y1=\"{y0:.1}\" x2=\"{x1:.1}\" y2=\"{y1:.1}\" stroke=\"{color}\"/>"
        );
    }

    fn label(&mut self, x: f64, y: f64, color: &str, more: &str, text: &str) {
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{color}\" {more}>{}</text>",
            escaped(text)
        );
    }

    /// Text in the middle of a place, if it fits.
    fn fitted(&mut self, place: (f64, f64, f64, f64), text: &str) {
        let (x, y, width, height) = place;
        if fits(place, text) {
            let style = "text-anchor=\"middle\" font-size=\"11\"";
            self.label(x + width / 2.0, y + height / 2.0 + 4.0, INK, style, text);
        }
    }
}

fn fits((_, _, width, height): (f64, f64, f64, f64), text: &str) -> bool {
    height >= 12.0 && width >= 6.8 * text.chars().count() as f64 + 4.0
}

/// Any ring, for its colour.
const RING: Content = Content::Ring(super::memory::Slots { kept: 0, of: None, slice_bytes: 0 });

/// Neighbours differ in lightness, kinds in hue.
fn fill(content: Content, index: usize) -> &'static str {
    let shades = match content {
        Content::Tensor => ["#a9c3e6", "#c6d8f0", "#97b5de", "#b7cdea"],
        Content::Ring(_) => ["#9fd3bb", "#bfe3d2", "#8cc8ad", "#aedac6"],
        Content::Scratch => ["#f2cf9c", "#f7e0bf", "#eec489", "#f4d6ac"],
    };
    shades[index % shades.len()]
}

fn short_content(span: &Span) -> String {
    match span.content {
        Content::Ring(slots) if slots.kept > 1 => format!("{} x {} = ", slots.kept, slots.slice_bytes),
        _ => String::new(),
    }
}

/// Round numbers from 0 up to the arena's size.
fn marks(bytes: usize) -> Vec<usize> {
    let rough = bytes.max(1) as f64 / 5.0;
    let unit = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * unit).find(|&step| step >= rough);
    (0..=bytes).step_by((step.unwrap_or(rough) as usize).max(1)).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round() {
        assert_eq!(marks(14_304), [0, 5000, 10_000]);
        assert_eq!(marks(768), [0, 200, 400, 600]);
        assert_eq!(marks(0), [0]);
    }

    #[test]
    fn names_cannot_break_the_picture() {
        assert_eq!(escaped("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
