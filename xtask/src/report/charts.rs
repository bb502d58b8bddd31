//! The pictures: small panels side by side, a workload each.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Figures, rounded};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 1_000;
const FONT: &str = "sans-serif";
const COLUMNS: usize = 3;

/// Ours in strong colours, in the tables' order; the others after them.
const OURS: [(&str, RGBColor); 4] = [
    ("lock-free", RGBColor(20, 90, 170)),
    ("lock-free, crossbeam", RGBColor(110, 170, 225)),
    ("fine", RGBColor(225, 120, 0)),
    ("global", RGBColor(30, 145, 70)),
];
const OTHERS: [RGBColor; 8] = [
    RGBColor(190, 40, 50),
    RGBColor(125, 80, 160),
    RGBColor(140, 100, 60),
    RGBColor(220, 130, 180),
    RGBColor(110, 110, 110),
    RGBColor(170, 170, 40),
    RGBColor(50, 170, 180),
    RGBColor(180, 180, 180),
];
const GREY: RGBColor = RGBColor(175, 175, 175);

fn ours(peer: &str) -> Option<RGBColor> {
    OURS.iter().find(|(name, _)| *name == peer).map(|(_, colour)| *colour)
}

/// Of the pools that have a line each.
fn colours<'a>(peers: &[&'a str]) -> Vec<(&'a str, RGBColor)> {
    let mut others = OTHERS.iter().cycle().copied();
    peers.iter().map(|peer| (*peer, ours(peer).unwrap_or_else(|| others.next().expect("a cycle")))).collect()
}

/// So many panels of that height, with room below them.
struct Layout {
    panels: usize,
    columns: usize,
    height: u32,
    bottom: u32,
}

impl Layout {
    /// A picture; `draw` gets its panels, and the room below.
    fn draw(&self, to: &Path, draw: impl FnOnce(&[Area<'_>], &Area<'_>) -> Result<()>) -> Result<()> {
        let rows = self.panels.div_ceil(self.columns);
        let height = rows as u32 * self.height;
        let root = SVGBackend::new(to, (WIDTH, height + self.bottom)).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let (above, below) = root.split_vertically(height);
        draw(&above.split_evenly((rows, self.columns)), &below)?;
        root.present().map_err(failed)
    }
}

/// An error of the library's, which may borrow what it is about.
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a picture: {error}")
}

/// Bars: each pool on each workload.
pub(super) fn peers(figures: &Figures, to: &Path) -> Result<()> {
    const BAR: i32 = 15;
    const LABELS: i32 = 128;
    let mut workloads: Vec<&str> = figures.cells.iter().map(|cell| &*cell.workload).collect();
    workloads.dedup();
    let peers = figures.peers();
    let height = 34 + peers.len() as u32 * BAR as u32 + 10;
    let layout = Layout { panels: workloads.len(), columns: COLUMNS, height, bottom: 4 };
    layout.draw(to, |areas, _| {
        for (area, workload) in areas.iter().zip(&workloads) {
            let text = |size: i32, anchor| (FONT, size).into_font().color(&BLACK).pos(anchor);
            let left = text(12, Pos::new(HPos::Left, VPos::Center));
            let right = text(12, Pos::new(HPos::Right, VPos::Center));
            area.draw_text(&format!("{workload}, ns a task"), &text(14, Pos::new(HPos::Left, VPos::Top)), (8, 10))
                .map_err(failed)?;
            let cells: Vec<_> = peers.iter().filter_map(|peer| figures.of(workload, peer)).collect();
            let most = cells.iter().map(|cell| cell.median).fold(0., f64::max);
            // Room for the figure at the bar's end.
            let scale = (f64::from(WIDTH) / COLUMNS as f64 - f64::from(LABELS) - 60.) / most;
            for (row, cell) in (0..).zip(&cells) {
                let (top, end) = (34 + row * BAR, LABELS + (cell.median * scale).max(1.) as i32);
                let colour = ours(&cell.peer).unwrap_or(GREY);
                area.draw_text(&cell.peer, &right, (LABELS - 6, top + BAR / 2)).map_err(failed)?;
                area.draw(&Rectangle::new([(LABELS, top + 2), (end, top + BAR - 2)], colour.filled()))
                    .map_err(failed)?;
                area.draw_text(&rounded(cell.median), &left, (end + 5, top + BAR / 2)).map_err(failed)?;
            }
        }
        Ok(())
    })
}

/// A line a pool: nanoseconds a task, both axes logarithmic.
struct Lines<'a> {
    title: &'a str,
    x: &'a str,
    /// Where the axis has labels.
    ticks: Vec<f64>,
    lines: Vec<(RGBColor, Vec<(f64, f64)>)>,
}

impl Lines<'_> {
    fn draw(&self, area: &Area<'_>) -> Result<()> {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0., f64::max);
        let x = least(&mut points().map(|point| point.0))..most(&mut points().map(|point| point.0));
        let y = least(&mut points().map(|point| point.1)) * 0.8..most(&mut points().map(|point| point.1)) * 1.25;
        let labels =
            [10., 20., 50., 100., 200., 500., 1e3, 2e3, 5e3, 1e4].into_iter().filter(|label| y.contains(label));
        let labels = labels.collect();
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, (FONT, 14))
            .margin(8)
            .margin_right(16)
            .x_label_area_size(34)
            .y_label_area_size(48)
            .build_cartesian_2d(
                x.log_scale().with_key_points(self.ticks.clone()),
                y.log_scale().with_key_points(labels),
            )
            .map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(self.x)
            .y_desc("ns a task")
            .x_label_formatter(&|x| count(*x))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .label_style((FONT, 11))
            .draw()
            .map_err(failed)?;
        for (colour, points) in &self.lines {
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2))).map_err(failed)?;
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled()))).map_err(failed)?;
        }
        Ok(())
    }
}

/// Powers of ten as such.
fn count(n: f64) -> String {
    if n < 1_000. { format!("{n:.0}") } else { format!("10^{:.0}", n.log10()) }
}

fn legend(area: &Area<'_>, colours: &[(&str, RGBColor)]) -> Result<()> {
    for (at, (peer, colour)) in (0..).zip(colours) {
        let (x, y) = (20 + at % 6 * 160, 10 + at / 6 * 20);
        area.draw(&PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3))).map_err(failed)?;
        let style = (FONT, 12).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(peer, &style, (x + 26, y)).map_err(failed)?;
    }
    Ok(())
}

/// Lines over the number of workers, a panel a workload.
pub(super) fn workers(runs: &[&Figures], workloads: &[&str], to: &Path) -> Result<()> {
    let colours = colours(&runs[0].peers());
    let layout = Layout { panels: workloads.len(), columns: COLUMNS, height: 260, bottom: 50 };
    layout.draw(to, |areas, below| {
        for (area, workload) in areas.iter().zip(workloads) {
            let line = |peer: &str| {
                let cells = runs.iter().filter_map(|run| Some((run.workers as f64, run.of(workload, peer)?.median)));
                cells.collect()
            };
            Lines {
                title: workload,
                x: "workers",
                ticks: runs.iter().map(|run| run.workers as f64).collect(),
                lines: colours.iter().map(|(peer, colour)| (*colour, line(peer))).collect(),
            }
            .draw(area)?;
        }
        legend(below, &colours)
    })
}

/// Lines over the number of tasks in the queue.
pub(super) fn queued(run: &Figures, to: &Path) -> Result<()> {
    let colours = colours(&run.peers());
    let line = |peer: &str| {
        let cells = run.cells.iter().filter(|cell| cell.peer == peer);
        cells.map(|cell| (cell.tasks as f64, cell.median)).collect::<Vec<_>>()
    };
    let lines = Lines {
        title: "spawn and run, by the number of queued tasks",
        x: "tasks in the queue",
        ticks: line(colours[0].0).iter().map(|point| point.0).collect(),
        lines: colours.iter().map(|(peer, colour)| (*colour, line(peer))).collect(),
    };
    Layout { panels: 1, columns: 1, height: 380, bottom: 50 }.draw(to, |areas, below| {
        lines.draw(&areas[0])?;
        legend(below, &colours)
    })
}
