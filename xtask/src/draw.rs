//! A picture of traces: for each a panel, in it a row a worker, in it what the worker did when.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

#[derive(Deserialize)]
struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
}

/// With times in microseconds. One without an activity says what its row is called.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "cat", default)]
    activity: String,
    #[serde(rename = "tid")]
    row: usize,
    #[serde(rename = "ts", default)]
    start: f64,
    #[serde(rename = "dur", default)]
    duration: f64,
    #[serde(default)]
    args: Names,
}

#[derive(Default, Deserialize)]
struct Names {
    #[serde(default)]
    name: String,
}

/// Later ones are drawn over earlier ones.
const COLOURS: &[(&str, &str)] = &[
    ("parked", "#e8e8e8"),
    ("task", "#4878a8"),
    ("inlined task", "#2a4d6e"),
    ("blocked", "#f0d080"),
    ("lock wait", "#c04040"),
    ("lock hold", "#70a070"),
];

const WIDTH: f64 = 900.;
const LEFT: f64 = 90.;
const ROW: f64 = 18.;
const GAP: f64 = 4.;
const TITLE: f64 = 26.;

pub(crate) fn draw(traces: &[PathBuf], to: &Path) -> Result<()> {
    ensure!(!traces.is_empty(), "name at least one trace, as `cargo run --release --example timeline` writes");
    let traces = traces.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    let ends = traces.iter().flat_map(|(_, trace)| &trace.events).filter(|event| event.activity != "parked");
    let end = ends.map(|event| event.start + event.duration).fold(0., f64::max);
    ensure!(end > 0., "nothing but sleep in these traces");
    let mut panels = String::new();
    let mut y = 8.;
    for (name, trace) in &traces {
        y = panel(&mut panels, name, trace, y, end);
    }
    y += axis(&mut panels, y, end);
    y += legend(&mut panels, y);
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{panels}</svg>\n"
    );
    fs::write(to, svg).with_context(|| format!("can't write {}", to.display()))
}

fn read(path: &Path) -> Result<(String, Trace)> {
    let text = fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let trace = serde_json::from_str(&text).with_context(|| format!("{} is no trace", path.display()))?;
    Ok((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), trace))
}

/// Appends one, and says where the next begins.
fn panel(svg: &mut String, name: &str, trace: &Trace, top: f64, end: f64) -> f64 {
    let scale = (WIDTH - LEFT - 8.) / end;
    let names: BTreeMap<usize, &str> = trace
        .events
        .iter()
        .filter(|event| event.activity.is_empty())
        .map(|event| (event.row, &*event.args.name))
        .collect();
    let height = names.len() as f64 * (ROW + GAP);
    text(svg, 8., top + 14., &format!("{name}, {:.1} ms", last(trace) / 1e3), "bold");
    ticks(svg, end, |svg, time| {
        let x = LEFT + time * scale;
        let _ok = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#d0d0d0\"/>",
            top + TITLE - GAP,
            top + TITLE + height
        );
    });
    let row = |number: &usize| top + TITLE + names.range(..number).count() as f64 * (ROW + GAP);
    for (number, name) in &names {
        text(svg, 8., row(number) + 13., name, "normal");
    }
    for (activity, colour) in COLOURS {
        for event in trace.events.iter().filter(|event| event.activity == *activity && event.start < end) {
            let (x, width) = (LEFT + event.start * scale, (event.duration.min(end - event.start) * scale).max(0.3));
            let y = row(&event.row);
            // Writing to a string does not fail.
            let _ok = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{ROW}\" fill=\"{colour}\" stroke=\"white\" stroke-width=\"0.4\"/>"
            );
        }
    }
    top + TITLE + height + 10.
}

/// When the last thing but sleep ended.
fn last(trace: &Trace) -> f64 {
    let ends = trace.events.iter().filter(|event| event.activity != "parked");
    ends.map(|event| event.start + event.duration).fold(0., f64::max)
}

/// Marks between the beginning and `end`, ten at the most, at round times.
fn ticks(svg: &mut String, end: f64, mut mark: impl FnMut(&mut String, f64)) {
    let steps = (0..).flat_map(|power| [1., 2., 5.].map(|step| step * 10_f64.powi(power)));
    let step = steps.into_iter().find(|step| end / step <= 10.).expect("they grow");
    (0..).map(|count| f64::from(count) * step).take_while(|time| *time <= end).for_each(|time| mark(svg, time));
}

fn axis(svg: &mut String, top: f64, end: f64) -> f64 {
    ticks(svg, end, |svg, time| {
        text(svg, LEFT + time * (WIDTH - LEFT - 8.) / end - 4., top + 6., &format!("{} ms", time / 1e3), "normal");
    });
    18.
}

fn legend(svg: &mut String, top: f64) -> f64 {
    for (at, (activity, colour)) in COLOURS.iter().enumerate() {
        let x = LEFT + at as f64 * 120.;
        let _ok = writeln!(svg, "<rect x=\"{x}\" y=\"{top:.1}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>");
        text(svg, x + 17., top + 11., activity, "normal");
    }
    24.
}

fn text(svg: &mut String, x: f64, y: f64, text: &str, weight: &str) {
    let _ok = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" font-weight=\"{weight}\">{text}</text>");
}
