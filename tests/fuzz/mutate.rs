//! Breaks an input a little: bytes, words from a dictionary, splices with another input, JSON by its structure.

use crate::json;
use crate::random::Random;

/// No input grows beyond this, so that no run takes more memory than a review of this size does.
pub(crate) const LONGEST: usize = 64 * 1024;

/// What inputs are mutated with.
pub(crate) struct Material {
    /// Words that mean something to somebody.
    pub(crate) words: Vec<String>,
}

/// An input made of `base` and, where parts are swapped, of `other`.
pub(crate) fn mutated(base: &[u8], other: &[u8], material: &Material, random: &mut Random) -> Vec<u8> {
    let mut input = base.to_vec();
    for _ in 0..=random.below(4) {
        // Most random bytes are no JSON any more, and end in the first lines of a parser; so most changes keep it.
        input = match random.below(8) {
            0 => bytes(input, random),
            1 => splice(input, other, random),
            2 => word(input, material, random),
            3 => line(input, other, random),
            _ => match json::mutated(&input, other, material, random) {
                Some(mutated) => mutated,
                None => word(input, material, random),
            },
        };
        input.truncate(LONGEST);
    }
    input
}

fn bytes(mut input: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(3) {
        let at = random.below(input.len());
        match (random.below(4), input.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << random.below(8),
            (1, Some(byte)) => *byte = *random.of(TELLING),
            (2, Some(_)) => drop(input.remove(at)),
            _ => input.insert(at, *random.of(TELLING)),
        }
    }
    input
}

/// A part taken out, doubled, or exchanged for a part of the other.
fn splice(mut input: Vec<u8>, other: &[u8], random: &mut Random) -> Vec<u8> {
    let begin = random.below(input.len() + 1);
    let end = begin + random.below(input.len() - begin + 1).min(random.below(512));
    let from = random.below(other.len() + 1);
    let until = from + random.below(other.len() - from + 1);
    let part = match random.below(3) {
        0 => Vec::new(),
        1 => input[begin..end].repeat(2),
        _ => other[from..until].to_vec(),
    };
    drop(input.splice(begin..end, part));
    input
}

fn word(mut input: Vec<u8>, material: &Material, random: &mut Random) -> Vec<u8> {
    let begin = random.below(input.len() + 1);
    let end = begin + if random.once_in(2) { 0 } else { word_length(&input[begin..]) };
    drop(input.splice(begin..end, random.of(&material.words).bytes()));
    input
}

fn word_length(text: &[u8]) -> usize {
    text.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(text.len())
}

/// Lines are what YAML is made of: one is left out, doubled, indented or taken from the other.
fn line(input: Vec<u8>, other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = input.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let others: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.len() < 2 || others.is_empty() {
        return bytes(input, random);
    }
    let at = random.below(lines.len());
    match random.below(5) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[random.below(lines.len())].clone()),
        2 => drop(lines[at].splice(0..0, *b"  ")),
        3 => {
            let indent = lines[at].len().min(2);
            drop(lines[at].drain(..indent));
        }
        _ => lines.insert(at, random.of(&others).to_vec()),
    }
    lines.concat()
}

const TELLING: &[u8] = b"\0\"\\{}[],:@/.-_#&*!|>%'\n\t 019AZaz\x7f\xc3\xff\xed";
