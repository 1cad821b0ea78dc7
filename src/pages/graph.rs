//! What a pod may reach and by whom it may be reached, drawn as a small graph, with the same in words. Pure.

use super::peer::{peer, port};
use crate::isolation::{Direction, Opening, Reach};
use crate::model::one_line;

/// A drawing in user units of an SVG that is 760 wide.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Graph {
    /// Which of the page's.
    pub(super) number: usize,
    pub(super) height: usize,
    /// Where the middle is.
    pub(super) middle: usize,
    pub(super) boxes: Vec<Side>,
    /// All of it in words.
    pub(super) rows: Vec<Row>,
}

/// A peer on the left, from where the pod is reached, or on the right, which it may reach.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Side {
    is_left: bool,
    /// Whether it is everybody.
    pub(super) is_open: bool,
    /// Its upper left corner.
    pub(super) corner: [usize; 2],
    /// Each line of its text, and where it stands.
    pub(super) lines: Vec<(usize, String)>,
    /// From where to where the arrow goes.
    pub(super) arrow: [usize; 4],
}

/// One way in or out.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) struct Row {
    pub(super) way: &'static str,
    pub(super) peer: String,
    pub(super) ports: String,
    /// The policy that lets it through.
    pub(super) policy: String,
    is_open: bool,
}

/// Draws what policies let through for a pod; which of the page's drawings it is.
pub(super) fn graph(number: usize, reach: &Reach) -> Graph {
    let mut rows = Vec::new();
    for direction in [Direction::Ingress, Direction::Egress] {
        if !reach.isolated.contains(&direction) {
            let open = |text: &str| text.to_owned();
            let policy = "no policy closes this direction".to_owned();
            rows.push(Row {
                way: way(direction),
                peer: open("everybody"),
                ports: open("every port"),
                policy,
                is_open: true,
            });
        }
        rows.extend(reach.openings.iter().filter(|one| one.direction == direction).flat_map(opened));
    }
    let sides = [true, false].map(|is_left| lines(rows.iter().filter(|row| (row.way == IN) == is_left)));
    let most = sides.iter().map(Vec::len).max().unwrap_or_default().max(1);
    let height = most * (BOX + GAP) + GAP;
    let [left, right] = sides;
    let left = left.into_iter().enumerate().map(|(place, (open, lines))| side(true, open, (place, lines), height));
    let right = right.into_iter().enumerate().map(|(place, (open, lines))| side(false, open, (place, lines), height));
    Graph { number, height, middle: height / 2, boxes: left.chain(right).collect(), rows }
}

/// The texts of the boxes on one side, each with whether it is everybody.
fn lines<'r>(rows: impl Iterator<Item = &'r Row> + Clone) -> Vec<(bool, Vec<String>)> {
    let text = |row: &Row| {
        let mut lines = cut(&row.peer);
        lines.extend(cut(&row.ports).into_iter().take(1));
        (row.is_open, lines)
    };
    let more = rows.clone().count().saturating_sub(DRAWN);
    let more = (more > 0).then(|| (false, vec![format!("and {more} more, as below")]));
    rows.take(DRAWN).map(text).chain(more).collect()
}

fn side(is_left: bool, is_open: bool, (place, lines): (usize, Vec<String>), height: usize) -> Side {
    let (y, middle) = (GAP + place * (BOX + GAP), height / 2);
    let half = y + BOX / 2;
    let (x, arrow) = if is_left { (4, [244, half, 296, middle]) } else { (516, [464, middle, 510, half]) };
    let lines = lines.into_iter().enumerate().map(|(line, text)| (y + (line + 1) * LINE, text)).collect();
    Side { is_left, is_open, corner: [x, y], lines, arrow }
}

fn opened(opening: &Opening) -> Vec<Row> {
    let ports: Vec<String> = opening.ports.iter().map(|one| port(one)).collect();
    let ports = if ports.is_empty() { "every port".to_owned() } else { ports.join(", ") };
    let peers: Vec<String> = opening.peers.iter().map(|one| peer(one)).collect();
    let everybody = peers.is_empty();
    let peers = if everybody { vec!["everybody".to_owned()] } else { peers };
    let row = |peer: String| Row {
        way: way(opening.direction),
        peer,
        ports: one_line(&ports, LONGEST),
        policy: one_line(&opening.policy, LONGEST),
        is_open: everybody,
    };
    let more = peers.len().saturating_sub(LISTED);
    let more = (more > 0).then(|| format!("and {more} more of this rule"));
    peers.into_iter().take(LISTED).chain(more).map(row).collect()
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => IN,
        Direction::Egress => OUT,
    }
}

/// A text in lines that fit a box, two at most.
fn cut(text: &str) -> Vec<String> {
    let letters: Vec<char> = one_line(text, 2 * WIDE).chars().collect();
    letters.chunks(WIDE).map(|line| line.iter().collect()).collect()
}

const IN: &str = "may be reached from";
const OUT: &str = "may reach";
/// Of a box.
const BOX: usize = 56;
const GAP: usize = 12;
const LINE: usize = 17;
/// Letters that a box is wide.
const WIDE: usize = 34;
/// Peers that are drawn on a side, and listed of one rule.
const DRAWN: usize = 8;
const LISTED: usize = 100;
const LONGEST: usize = 300;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::FieldPath;

    fn opening(direction: Direction, peers: &[&str], ports: &[&str]) -> Opening {
        let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Opening { policy: "p".to_owned(), rule: FieldPath::default(), direction, peers: all(peers), ports: all(ports) }
    }

    #[test]
    fn a_direction_that_nothing_closes_is_open_to_everybody() {
        let drawn = graph(1, &Reach { isolated: BTreeSet::new(), openings: Vec::new() });
        let ways: Vec<_> = drawn.rows.iter().map(|row| (row.way, row.peer.as_str(), row.is_open)).collect();
        assert_eq!(ways, [(IN, "everybody", true), (OUT, "everybody", true)]);
        let both = BTreeSet::from([Direction::Ingress, Direction::Egress]);
        let drawn = graph(1, &Reach { isolated: both.clone(), openings: Vec::new() });
        assert_eq!((drawn.rows.len(), drawn.boxes.len()), (0, 0));
        let openings = vec![
            opening(Direction::Egress, &[r#"{"podSelector":{"matchLabels":{"app":"nginx-a"}}}"#], &[r#"{"port":80}"#]),
            opening(Direction::Egress, &[], &[]),
        ];
        let drawn = graph(1, &Reach { isolated: both, openings });
        let told: Vec<_> =
            drawn.rows.iter().map(|row| format!("{} {} {} {}", row.way, row.peer, row.ports, row.is_open)).collect();
        assert_eq!(told, ["may reach pods app=nginx-a TCP 80 false", "may reach everybody every port true"]);
        let lines: Vec<&str> = drawn.boxes[0].lines.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(lines, ["pods app=nginx-a", "TCP 80"]);
    }

    #[test]
    fn a_drawing_stays_small_and_says_what_it_leaves_out() {
        let peers: Vec<String> = (0..500).map(|number| format!("peer {number} {}", "x".repeat(300))).collect();
        let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
        let both = BTreeSet::from([Direction::Ingress, Direction::Egress]);
        let drawn = graph(1, &Reach { isolated: both, openings: vec![opening(Direction::Ingress, &peers, &[])] });
        assert_eq!((drawn.rows.len(), drawn.boxes.len()), (LISTED + 1, DRAWN + 1));
        assert_eq!(drawn.rows.last().unwrap().peer, "and 400 more of this rule");
        assert_eq!(drawn.boxes.last().unwrap().lines[0].1, "and 93 more, as below");
        assert!(drawn.boxes.iter().all(|one| one.corner[1] + BOX <= drawn.height && one.lines.len() <= 3));
    }
}
