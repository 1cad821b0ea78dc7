//! Load benchmark: what a review costs, side by side with servers that do less, in one run on one machine.
//!
//! `cargo bench --bench load` prints the table; `-- --short` takes a tenth of the requests.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its table, and fails by panicking"
)]

mod bare;
mod caller;
mod child;
mod reviews;

use std::time::Duration;

use child::Child;

/// The same allocator as the program's, so that the servers differ only in what they do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, folder] = arguments.as_slice()
        && let Some(work) = bare::Work::of_word(word)
    {
        return bare::serve(work, folder.as_ref());
    }
    let share = if arguments.iter().any(|argument| argument == "--short") { 10 } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(table(share));
}

/// One line: a server, and what it is asked.
struct Line {
    what: &'static str,
    child: fn(&child::Folder) -> Child,
    path: &'static str,
    review: fn(usize) -> String,
}

const LINES: [Line; 4] = [
    Line { what: "bare TLS server, constant answer", child: constant, path: "/validate", review: reviews::good },
    Line { what: "the same, parses into serde_json::Value", child: values, path: "/validate", review: reviews::good },
    Line {
        what: "flamewarden /validate, good pod",
        child: Child::flamewarden,
        path: "/validate",
        review: reviews::good,
    },
    Line {
        what: "flamewarden /mutate, pod to mend",
        child: Child::flamewarden,
        path: "/mutate",
        review: reviews::bare,
    },
];

fn constant(folder: &child::Folder) -> Child {
    Child::bare(bare::Work::Constant, folder)
}

fn values(folder: &child::Folder) -> Child {
    Child::bare(bare::Work::Value, folder)
}

async fn table(share: usize) {
    let folder = child::Folder::new();
    println!("| server | CPU 2 KB | CPU 8 KB | p50 | p99 | idle | after | ready |");
    println!("|---|---|---|---|---|---|---|---|");
    for line in LINES {
        let child = (line.child)(&folder);
        let caller = caller::Caller::new(&folder, child.address, line.path);
        let idle = child.memory();
        let mut cpu = Vec::new();
        for size in [2 * 1024, 8 * 1024] {
            let review = (line.review)(size);
            caller.steadily(&review, WARM / share).await;
            let before = child.cpu();
            caller.steadily(&review, COUNT / share).await;
            cpu.push((child.cpu() - before) / u32::try_from(COUNT / share).unwrap());
        }
        let times = caller.at_a_rate(&(line.review)(2 * 1024), RATE, LASTING / u32::try_from(share).unwrap()).await;
        let place = |hundredths: usize| times[(times.len() - 1) * hundredths / 100];
        println!(
            "| {} | {:.0?} | {:.0?} | {:.2?} | {:.2?} | {:.1} MB | {:.1} MB | {:.0?} |",
            line.what,
            cpu[0],
            cpu[1],
            place(50),
            place(99),
            idle,
            child.memory(),
            child.ready
        );
    }
}

const WARM: usize = 5_000;
const COUNT: usize = 50_000;
const RATE: u32 = 500;
const LASTING: Duration = Duration::from_secs(20);
