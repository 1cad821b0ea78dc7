//! Reports of scans: the newest of each image, and only so much of all.

use std::collections::BTreeSet;

use flamewarden::archive::LONGEST_REPORT;
use flamewarden::model::Digest;
use sqlx::Executor as _;

use crate::Server;
use crate::database::{archive, beside, column};

fn image(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

#[tokio::test]
async fn the_newest_report_of_each_image_comes_back_as_it_was() {
    let (server, archive) = archive().await;
    assert_eq!(archive.report(image("a")).await.unwrap(), None);
    for text in ["", "{\"first\": 1}", "'; DROP TABLE reports; --", "gr\u{fc}n \u{1f525} \\u0000 \u{1b}"] {
        archive.store_report(image("a"), text.to_owned()).await.unwrap();
        assert_eq!(archive.report(image("a")).await.unwrap().as_deref(), Some(text));
    }
    archive.store_report(image("b"), "another's".to_owned()).await.unwrap();
    assert_eq!(archive.reported().await.unwrap(), BTreeSet::from([image("a"), image("b")]));
    for _ in 0..2 {
        archive.forget_report(image("a")).await.unwrap();
        assert_eq!(archive.report(image("a")).await.unwrap(), None);
    }
    assert_eq!(column(&server, "SELECT text FROM reports").await, ["another's"]);
}

#[tokio::test]
async fn the_longest_report_comes_back_and_what_somebody_made_longer_does_not() {
    let (server, archive) = archive().await;
    let longest = "x".repeat(LONGEST_REPORT);
    archive.store_report(image("a"), longest.clone()).await.unwrap();
    assert!(archive.report(image("a")).await.unwrap() == Some(longest));
    // Counted in bytes, of which this letter has two.
    beside(&server).await.execute("UPDATE reports SET text = SUBSTR(text, 2) || '\u{fc}'").await.unwrap();
    assert_eq!(archive.report(image("a")).await.unwrap(), None);
}

#[tokio::test]
async fn of_more_than_may_be_kept_the_oldest_go() {
    let (server, archive) = archive().await;
    let kept = async || {
        let there = archive.reported().await.unwrap();
        ["a", "b", "c", "d"].into_iter().filter(|name| there.contains(&image(name))).collect::<String>()
    };
    for (name, length) in [("a", 1_i64 << 29), ("b", (1 << 29) - 1), ("c", 1)] {
        archive.store_report(image(name), name.to_owned()).await.unwrap();
        // As if they were that long.
        set_length(&server, name, length).await;
    }
    assert_eq!(kept().await, "abc", "nothing goes before another comes");
    archive.store_report(image("d"), "d".to_owned()).await.unwrap();
    assert_eq!(kept().await, "bcd");
    // What was stored again is new.
    archive.store_report(image("b"), "b".to_owned()).await.unwrap();
    set_length(&server, "b", 1 << 29).await;
    set_length(&server, "c", 1 << 30).await;
    archive.store_report(image("a"), "a".to_owned()).await.unwrap();
    assert_eq!(kept().await, "abd");
}

#[tokio::test]
async fn a_report_of_something_else_is_no_image_s() {
    let (server, archive) = archive().await;
    beside(&server).await.execute("INSERT INTO reports VALUES ('everybody', 1, 1, 'x')").await.unwrap();
    assert_eq!(archive.reported().await.unwrap(), BTreeSet::new());
}

async fn set_length(server: &Server, name: &str, length: i64) {
    let mut connection = beside(server).await;
    let set = sqlx::query("UPDATE reports SET length = $1 WHERE image = $2");
    set.bind(length).bind(image(name).to_string()).execute(&mut connection).await.unwrap();
}
