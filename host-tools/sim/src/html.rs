//! A page that shows what runs have brought: one file, no scripts, pictures as SVG.

use std::fmt::Write;

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// A picture with axes.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    pub x: String,
    pub y: String,
    pub series: Vec<Series>,
    /// Bars instead of lines.
    pub bars: bool,
}

const COLORS: [&str; 6] = ["#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b08900", "#555555"];
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 12.0;

/// The whole page; `notes` are paragraphs above the charts.
pub fn page(title: &str, notes: &[String], charts: &[Chart]) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title>\
         <style>body{{font:15px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}}\
         h2{{font-size:1.05rem;margin:2rem 0 .3rem}}svg{{max-width:100%;height:auto}}\
         text{{font:12px system-ui,sans-serif;fill:#444}}</style><h1>{0}</h1>",
        escaped(title)
    );
    for note in notes {
        let _ = write!(html, "<p>{}</p>", escaped(note));
    }
    for chart in charts {
        let _ = write!(html, "<h2>{}</h2>{}", escaped(&chart.title), svg(chart));
    }
    html.push_str("</html>\n");
    html
}

fn svg(chart: &Chart) -> String {
    let points =
        || chart.series.iter().flat_map(|s| &s.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let span = |of: fn(&(f64, f64)) -> f64, from_zero: bool| {
        let (low, high) =
            points().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let low = if from_zero { low.min(0.0) } else { low };
        // What never changes is shown from zero on.
        match (low < high, low == 0.0) {
            (true, _) => (low, high),
            (false, true) => (0.0, 1.0),
            (false, false) => (low.min(0.0), high.max(0.0)),
        }
    };
    if points().next().is_none() {
        return "<p>nothing to show</p>".to_owned();
    }
    let (mut x_span, y_span) = (span(|p| p.0, true), span(|p| p.1, chart.bars));
    if chart.bars {
        // The last bar is as wide as the others.
        x_span.1 = chart.series.iter().map(|s| s.points.len()).max().unwrap_or(1) as f64;
    }
    let x_of = |x: f64| LEFT + (x - x_span.0) / (x_span.1 - x_span.0) * (WIDTH - LEFT - 12.0);
    let y_of = |y: f64| HEIGHT - BOTTOM - (y - y_span.0) / (y_span.1 - y_span.0) * (HEIGHT - BOTTOM - TOP);
    let (label, mut svg) = (escaped(&chart.title), String::new());
    let _ = write!(
        svg,
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{label}\">",
        HEIGHT + 20.0 * chart.series.len() as f64
    );
    for tick in ticks(y_span) {
        let y = y_of(tick);
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - 12.0,
            LEFT - 6.0,
            y + 4.0,
            number(tick)
        );
    }
    for tick in ticks(x_span) {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x_of(tick),
            HEIGHT - BOTTOM + 16.0,
            number(tick)
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
         <text transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        (WIDTH + LEFT) / 2.0,
        HEIGHT - 8.0,
        escaped(&chart.x),
        (HEIGHT - BOTTOM) / 2.0,
        escaped(&chart.y)
    );
    for (n, series) in chart.series.iter().enumerate() {
        let color = COLORS[n % COLORS.len()];
        let finite = series.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        if chart.bars {
            let wide = (0.9 * (x_of(1.0) - x_of(0.0))).max(0.5);
            for (x, y) in finite {
                let (top, bottom) = (y_of(*y), y_of(y_span.0));
                let _ = write!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{:.1}\" fill=\"{color}\"/>",
                    x_of(*x),
                    bottom - top
                );
            }
        } else {
            // Lines that lie on each other are all seen: the later, the thinner.
            let wide = (4.0 - n as f64).max(1.5);
            let line: Vec<String> = finite.map(|(x, y)| format!("{:.1},{:.1}", x_of(*x), y_of(*y))).collect();
            let _ = write!(
                svg,
                "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"{wide}\" points=\"{}\"/>",
                line.join(" ")
            );
            // A single point is no line.
            if let [point] = &line[..]
                && let Some((x, y)) = point.split_once(',')
            {
                let _ = write!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{}\" fill=\"{color}\"/>", 2.0 + wide);
            }
        }
        let y = HEIGHT + 20.0 * n as f64 + 12.0;
        let _ = write!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"14\" height=\"4\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"{y:.1}\">{}</text>",
            y - 6.0,
            LEFT + 22.0,
            escaped(&series.name)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// About five round numbers.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    (first..).map(|n| n as f64 * step).take_while(|tick| *tick <= high * (1.0 + 1e-9)).take(12).collect()
}

fn number(value: f64) -> String {
    if value == 0.0 || (0.01..100_000.0).contains(&value.abs()) {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.1e}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_lies_in_the_picture_and_names_are_escaped() {
        let points =
            (0..50).map(|n| (f64::from(n), f64::from(n * n) - 100.0)).chain([(3.0, f64::NAN)]).collect();
        let series = vec![Series { name: "a < b & \"c\"".into(), points }];
        let chart = Chart { title: "t".into(), x: "x".into(), y: "y".into(), series, bars: false };
        let html = page("<title>", &[], &[chart.clone(), Chart { bars: true, ..chart }]);
        assert!(html.contains("a &lt; b &amp; &quot;c&quot;") && !html.contains("NaN"));
        let line = html.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        for point in line.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{point}");
        }
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks((0.0, 1.0)), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        for span in [(3.0, 3.1), (-5.0, 1000.0), (0.0, 1e-6)] {
            assert!((2..=12).contains(&ticks(span).len()), "{span:?}");
        }
    }
}
