//! The dataflow of one state, drawn: tasks from left to right, the coordinator above and the storage below.

use super::dataflow::channel_of;
use super::message::{Element, Msg};
use super::node::{COORDINATOR, SINK, SOURCES, STORE, name};
use super::scope::Scope;
use super::text::{actor_lines, message};
use super::world::{World, flows, running};
use stateright::actor::Id;
use std::fmt::Write;

const LINE: usize = 16;
const INK: &str = "#1f2933";
const MUTED: &str = "#7b8794";
const RECORD: &str = "#3e7cb1";
const BARRIER: &str = "#d9480f";
const END: &str = "#52606d";

/// Where something is drawn: left, top, width, height.
#[derive(Clone, Copy)]
struct Frame(usize, usize, usize, usize);

/// Draws a state as SVG.
pub fn draw(scope: Scope, world: &World) -> String {
    let mut canvas = Canvas::default();
    canvas.actor(world, COORDINATOR, Frame(20, 16, 470, 118));
    let on_their_way = flows(&world.inner).iter().flat_map(|((src, dst), flow)| {
        flow.iter().filter(|msg| !msg.is_data()).map(|msg| message(*src, *dst, msg))
    });
    canvas.panel("messages on their way", &on_their_way.collect::<Vec<_>>(), Frame(510, 16, 670, 118));
    let counters = scope.counters();
    let height = 208 / counters.len() - 8 * (counters.len() - 1);
    for source in 0..SOURCES {
        canvas.actor(world, source, Frame(20, 156 + 112 * source, 220, 96));
    }
    for (row, counter) in counters.enumerate() {
        let top = 156 + 112 * row;
        canvas.actor(world, counter, Frame(450, top, 230, height));
        for source in 0..SOURCES {
            let y = if height > 96 { 204 + 112 * source } else { top + 24 + 48 * source };
            canvas.channel(world, source, counter, Frame(240, y, 210, 0));
        }
        canvas.channel(world, counter, SINK, Frame(680, top + height / 2, 210, 0));
    }
    canvas.actor(world, SINK, Frame(890, 156, 290, 208));
    canvas.actor(world, STORE, Frame(20, 386, 1160, 134));
    let left = world.budgets;
    let budget = format!(
        "still possible: {} periodic checkpoints, {} deaths of the process, {} failures of a task, {} of the store, \
         {} expiries",
        left.checkpoints, left.crashes, left.task_failures, left.store_faults, left.expiries
    );
    canvas.text(20, 540, MUTED, &budget);
    canvas.finish()
}

#[derive(Default)]
struct Canvas(String);

impl Canvas {
    fn finish(self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1200 552\" width=\"1200\" height=\"552\" \
             font-family=\"monospace\" font-size=\"12\">\n\
             <rect width=\"1200\" height=\"552\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.0
        )
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        self.0.write_fmt(element).expect("text can be written");
        self.0.push('\n');
    }

    fn text(&mut self, x: usize, y: usize, colour: &str, text: &str) {
        self.put(format_args!("<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{}</text>", escape(text)));
    }

    fn actor(&mut self, world: &World, actor: usize, frame: Frame) {
        self.panel(name(Id::from(actor)), &actor_lines(world, actor), frame);
    }

    /// A box with a title and as many lines as it has room for.
    fn panel(&mut self, title: &str, lines: &[String], Frame(x, y, width, height): Frame) {
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#f5f7fa\" \
             stroke=\"#9aa5b1\"/>"
        ));
        self.put(format_args!(
            "<text x=\"{}\" y=\"{}\" fill=\"{INK}\" font-weight=\"bold\">{title}</text>",
            x + 10,
            y + 20
        ));
        let room = (height - 24) / LINE;
        for (row, line) in lines.iter().take(room).enumerate() {
            let is_last = row + 1 == room && lines.len() > room;
            let line = if is_last { format!(".. and {} more", lines.len() - row) } else { fit(line, width) };
            let colour = if line.ends_with("is blocked") { BARRIER } else { INK };
            self.text(x + 10, y + 38 + LINE * row, colour, &line);
        }
    }

    /// A channel with what is queued in it, the head at the right, and a bar where its reader has blocked it.
    fn channel(&mut self, world: &World, src: usize, dst: usize, Frame(x, y, width, _): Frame) {
        let reader = running(&world.inner, Id::from(dst));
        let channel = channel_of(dst, Id::from(src));
        let blocked = reader.is_some_and(|reader| reader.subtask.is_blocked(channel));
        let (colour, end) = (if blocked { BARRIER } else { MUTED }, x + width);
        self.put(format_args!(
            "<line x1=\"{x}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        ));
        if blocked {
            self.put(format_args!(
                "<rect x=\"{}\" y=\"{}\" width=\"6\" height=\"36\" fill=\"{BARRIER}\"/>",
                end - 8,
                y - 18
            ));
            self.text(end - 64, y - 22, BARRIER, "blocked");
        }
        let mut right = end - 16;
        for msg in flows(&world.inner).get(&(Id::from(src), Id::from(dst))).into_iter().flatten() {
            let Msg::Data(element) = msg else { continue };
            right = self.element(*element, right, y);
        }
    }

    /// One queued element, its right edge at `right`; returns where the next one may begin.
    fn element(&mut self, element: Element, right: usize, y: usize) -> usize {
        let (label, colour) = match element {
            Element::Record(key) => (((b'a' + key) as char).to_string(), RECORD),
            Element::Counted(counted) => (format!("{counted:?}"), RECORD),
            Element::Barrier(id, kind) if kind.is_terminal() => (format!("|{id} {kind}"), BARRIER),
            Element::Barrier(id, _) => (format!("|{id}"), BARRIER),
            Element::Cancellation(id) => (format!("x{id}"), BARRIER),
            Element::EndOfData => ("end".to_owned(), END),
            Element::ChannelEnd => ("closed".to_owned(), END),
        };
        let width = 12 + 8 * label.len();
        let left = right.saturating_sub(width);
        self.put(format_args!(
            "<rect x=\"{left}\" y=\"{}\" width=\"{width}\" height=\"22\" rx=\"4\" fill=\"{colour}\"/>",
            y - 11
        ));
        self.text(left + 6, y + 4, "#ffffff", &label);
        left.saturating_sub(4)
    }
}

/// The line, cut off where the box ends.
fn fit(line: &str, width: usize) -> String {
    let room = (width - 16) / 7;
    if line.chars().count() <= room {
        return line.to_owned();
    }
    line.chars().take(room.saturating_sub(2)).chain("..".chars()).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
