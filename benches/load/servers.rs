//! The rows that need no cluster: three servers side by side, in turns, so that whatever else the machine does
//! concerns all alike.

use std::time::Duration;

use crate::bare::Work;
use crate::child::{Child, Folder};
use crate::median::{median, shown};
use crate::reviewer::Reviewer;
use crate::reviews;

/// What is asked of a server.
struct Line {
    server: usize,
    path: &'static str,
    review: fn(usize) -> String,
}

/// In the table's order of columns, Flamewarden's two sides first.
const LINES: [Line; 4] = [
    Line { server: 0, path: "/validate", review: reviews::good },
    Line { server: 0, path: "/mutate", review: reviews::bare },
    Line { server: 1, path: "/validate", review: reviews::good },
    Line { server: 2, path: "/validate", review: reviews::good },
];

/// The medians of a line.
struct Figures {
    /// For each of [`SIZES`].
    cpu: [Duration; 2],
    p50: Duration,
    p99: Duration,
}

pub(crate) async fn rows(share: usize) {
    let folder = Folder::new();
    let start: [fn(&Folder) -> Child; 3] = [
        |folder| Child::flamewarden(folder),
        |folder| Child::bare(Work::Constant, folder),
        |folder| Child::bare(Work::Value, folder),
    ];
    let ready = start.map(|start| median((0..STARTS).map(|_| start(&folder).ready).collect()));
    let servers = start.map(|start| start(&folder));
    let idle = servers.each_ref().map(Child::memory);
    let figures = measured(&folder, &servers, share).await;
    let after = servers.each_ref().map(Child::memory);

    for (place, size) in SIZES.iter().enumerate() {
        for (line, side) in [(0, "a good pod, /validate"), (1, "a pod to mend, /mutate")] {
            let [ours, bare, value] = [line, 2, 3].map(|line: usize| figures[line].cpu[place]);
            let times = |other: Duration| ours.as_secs_f64() / other.as_secs_f64();
            println!(
                "| CPU time per review of {} KB, {side} | at most 2 × bare, well below `Value` | {} = {:.1} × bare, {:.2} × `Value` | {} | {} |",
                size / 1024,
                shown(ours),
                times(bare),
                times(value),
                shown(bare),
                shown(value),
            );
        }
    }
    let show = |of: fn(&Figures) -> Duration| [0, 1, 2, 3].map(|line: usize| shown(of(&figures[line])));
    for (what, [validate, mutate, bare, value]) in [("p50", show(|line| line.p50)), ("p99", show(|line| line.p99))] {
        println!(
            "| {what} at {RATE} reviews of 2 KB a second | | {validate} /validate, {mutate} /mutate | {bare} | {value} |"
        );
    }
    memory("idle", "under 20 MB", idle);
    memory("after these reviews", "", after);
    let [ours, bare, value] = ready.map(shown);
    println!("| from start to ready | under 0.3 s | {ours} | {bare} | {value} |");
}

fn memory(when: &str, aim: &str, [ours, bare, value]: [f64; 3]) {
    println!("| resident memory of the webhook, {when} | {aim} | {ours:.1} MB | {bare:.1} MB | {value:.1} MB |");
}

async fn measured(folder: &Folder, servers: &[Child; 3], share: usize) -> Vec<Figures> {
    let mut cpu = [(); LINES.len()].map(|()| [Vec::new(), Vec::new()]);
    let mut late = [(); LINES.len()].map(|()| [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for (place, line) in LINES.iter().enumerate() {
            let server = &servers[line.server];
            let reviewer = Reviewer::new(folder, server.address(), line.path);
            for (size, cpu) in SIZES.into_iter().zip(&mut cpu[place]) {
                let review = (line.review)(size);
                reviewer.steadily(&review, WARM / share).await;
                let before = server.cpu();
                reviewer.steadily(&review, COUNT / share).await;
                cpu.push((server.cpu() - before) / u32::try_from(COUNT / share).unwrap());
            }
            let lasting = LASTING / u32::try_from(share).unwrap();
            let times = reviewer.at_a_rate(&(line.review)(SIZES[0]), RATE, lasting).await;
            for (hundredths, late) in [50, 99].into_iter().zip(&mut late[place]) {
                late.push(times[(times.len() - 1) * hundredths / 100]);
            }
        }
    }
    let figures = cpu.into_iter().zip(late).map(|(cpu, late)| {
        let [p50, p99] = late.map(median);
        Figures { cpu: cpu.map(median), p50, p99 }
    });
    figures.collect()
}

const SIZES: [usize; 2] = [2 * 1024, 8 * 1024];
const STARTS: usize = 5;
const ROUNDS: usize = 5;
const WARM: usize = 1_000;
const COUNT: usize = 10_000;
const RATE: u32 = 500;
const LASTING: Duration = Duration::from_secs(4);
