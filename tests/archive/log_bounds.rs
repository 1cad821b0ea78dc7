//! Logs are bounded however they come, cleaned, and whole for whoever reads while they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use flamewarden::archive::{Archive, LogSource};

use crate::database::{archive, column, line, record, run};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn of_a_long_log_the_beginning_and_the_end_are_kept() {
    let (server, archive) = archive().await;
    archive.record(&record(run('a', 1))).await.unwrap();
    let (mut whole, mut number) = (String::new(), 0);
    for length in [10, MIB, 700_000, 3 * MIB, 1, 17_000] {
        let text: String = (number..)
            .map(|line| format!("line {line}\n"))
            .flat_map(String::into_bytes)
            .take(length)
            .map(char::from)
            .collect();
        number += 1_000_000;
        archive.append_log(run('a', 1), LogSource::Analysis, &text).await.unwrap();
        whole.push_str(&text);
    }
    let (head, tail) = (&whole[..MIB], &whole[whole.len() - MIB..]);
    let want = format!("{head}\n[{} bytes left out]\n{tail}", whole.len() - 2 * MIB);
    assert!(!head.ends_with('\n'));
    let kept = archive.logs(run('a', 1)).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert!(kept[&LogSource::Analysis] == want, "{} bytes, not {}", kept[&LogSource::Analysis].len(), want.len());
    let stored: usize = column(&server, "SELECT text FROM log_chunks").await.iter().map(String::len).sum();
    assert!(stored <= 2 * MIB + 16 * 1024, "{stored}");
}

#[tokio::test]
async fn logs_are_kept_apart_cleaned_and_replaced_as_a_whole() {
    let (_server, archive) = archive().await;
    for number in [1, 2] {
        archive.record(&record(run('a', number))).await.unwrap();
    }
    archive.append_log(run('a', 1), LogSource::Analysis, "one\nINFO: probe\n").await.unwrap();
    archive.append_log(run('a', 1), LogSource::Analysis, "t\u{1b}wo\n").await.unwrap();
    archive.append_log(run('a', 1), LogSource::Nginx, "GET /\n").await.unwrap();
    archive.append_log(run('a', 2), LogSource::Analysis, "other\n").await.unwrap();
    let logs = |analysis: &str, nginx: &str| {
        BTreeMap::from([(LogSource::Analysis, analysis.to_owned()), (LogSource::Nginx, nginx.to_owned())])
    };
    assert_eq!(archive.logs(run('a', 1)).await.unwrap(), logs("one\ntwo\n", "GET /\n"));
    for _ in 0..2 {
        archive.replace_log(run('a', 1), LogSource::Analysis, "whole\nINFO: probe\n").await.unwrap();
        assert_eq!(archive.logs(run('a', 1)).await.unwrap(), logs("whole\n", "GET /\n"));
    }
    assert_eq!(archive.logs(run('a', 2)).await.unwrap(), BTreeMap::from([(LogSource::Analysis, "other\n".to_owned())]));
}

#[tokio::test]
async fn of_ten_thousand_lines_and_more_the_newest_are_kept() {
    let (server, archive) = archive().await;
    archive.record(&record(run('a', 1))).await.unwrap();
    let lines: Vec<_> = (0..20_500).map(|number| line(&number.to_string())).collect();
    let (first, rest) = lines.split_at(9_000);
    let (second, third) = rest.split_at(1_500);
    for part in [first, second] {
        archive.append_lines(run('a', 1), part).await.unwrap();
    }
    assert_eq!(archive.lines(run('a', 1), 20_000).await.unwrap(), lines[500..10_500]);
    assert_eq!(archive.lines(run('a', 1), 2).await.unwrap(), lines[10_498..10_500]);
    archive.append_lines(run('a', 1), &[]).await.unwrap();
    archive.append_lines(run('a', 1), third).await.unwrap();
    assert_eq!(archive.lines(run('a', 1), 20_000).await.unwrap(), lines[10_500..]);
    assert_eq!(column(&server, "SELECT log FROM lines").await.len(), 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_whole_additions_while_another_process_writes() {
    let (server, writer) = archive().await;
    let reader = Archive::open(&server.url()).await.unwrap();
    writer.record(&record(run('a', 1))).await.unwrap();
    // Each addition is longer than a chunk, so that half of one would be seen.
    let additions: Arc<Vec<String>> = Arc::new((0..40).map(|number| format!("{number:020000}\n")).collect());
    let whole = additions.concat();
    let written = Arc::clone(&additions);
    let writing = tokio::spawn(async move {
        for text in written.iter() {
            writer.append_log(run('a', 1), LogSource::Analysis, text).await.unwrap();
            writer.append_log(run('a', 1), LogSource::Nginx, "GET /\n").await.unwrap();
        }
    });
    let mut seen = 0;
    while seen < whole.len() {
        let logs = reader.logs(run('a', 1)).await.unwrap();
        let text = logs.get(&LogSource::Analysis).map_or("", String::as_str);
        assert!(whole.starts_with(text) && text.len() % 20_001 == 0, "{} bytes", text.len());
        assert!(text.len() >= seen, "{} bytes after {seen}", text.len());
        // Both logs are of one moment: the second never has what comes after the first.
        let requests = logs.get(&LogSource::Nginx).map_or(0, |text| text.lines().count());
        assert!([requests, requests + 1].contains(&(text.len() / 20_001)), "{requests} and {} bytes", text.len());
        seen = text.len();
    }
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_write_at_once_lose_nothing() {
    let (server, first) = archive().await;
    first.record(&record(run('a', 1))).await.unwrap();
    let second = Archive::open(&server.url()).await.unwrap();
    let writing = [(first, "1"), (second, "2")].map(|(archive, letter)| {
        tokio::spawn(async move {
            for _ in 0..25 {
                let text = format!("{}\n", letter.repeat(2_000));
                archive.append_log(run('a', 1), LogSource::Analysis, &text).await.unwrap();
                archive.append_lines(run('a', 1), &[line(letter)]).await.unwrap();
            }
            archive
        })
    });
    let [first, second] = writing;
    let (archive, _) = (first.await.unwrap(), second.await.unwrap());
    let text = archive.logs(run('a', 1)).await.unwrap().remove(&LogSource::Analysis).unwrap();
    let lines = archive.lines(run('a', 1), 100).await.unwrap();
    for letter in ["1", "2"] {
        assert_eq!(text.lines().filter(|line| **line == *letter.repeat(2_000)).count(), 25);
        assert_eq!(lines.iter().filter(|line| line.log == letter).count(), 25);
    }
}
