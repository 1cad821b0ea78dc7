//! Edge: `flamewarden audit verify`: goes along the whole journal and says where it is not as it was written.

use clap::Args;

use super::archived::Archived;
use crate::archive::{KnownEntry, Misfit, Verdict, Verified};
use crate::model::Digest;

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Verify {
    #[command(flatten)]
    archive: Archived,
    /// The number of an entry that is known from elsewhere.
    #[arg(long, value_name = "N", requires = "head", value_parser = clap::value_parser!(i64).range(1..))]
    number: Option<i64>,
    /// Its hash, as the controller has logged it or a SIEM has it. Whoever can write the whole database can make a whole
    /// new journal, but none with this hash.
    #[arg(long, value_name = "HASH", requires = "number", value_parser = digest)]
    head: Option<Digest>,
}

impl Verify {
    /// The text to print and the exit code.
    pub(super) fn run(self) -> anyhow::Result<(String, u8)> {
        let known = self.number.zip(self.head).map(|(number, hash)| KnownEntry { number, hash: hash.to_string() });
        let verified = self.archive.read(async |archive| Ok(archive.verify_journal(known).await?))?;
        Ok(told(&verified))
    }
}

/// 0: it is whole; 3: it is not; 1: nobody can tell.
fn told(verified: &Verified) -> (String, u8) {
    let Verified { entries, head, pruned, verdict } = verified;
    let before = match pruned {
        Some(pruned) => {
            format!("entries up to {} were pruned; the last of them had the hash {}\n", pruned.through, pruned.hash)
        }
        None => String::new(),
    };
    let fits = match entries {
        0 => "no entries".to_owned(),
        _ => format!("{entries} entries fit, the last of them {} with the hash {}", head.number, head.hash),
    };
    match verdict {
        Verdict::Whole => (format!("the journal is whole: {fits}\n{before}"), 0),
        Verdict::Broken { number, misfit } => {
            (format!("the journal is broken at entry {number}: {}\n{fits}\n{before}", why(misfit)), 3)
        }
        Verdict::Pruned => (
            format!("nobody can tell: the entry that is known was pruned since; take a later one\n{fits}\n{before}"),
            1,
        ),
    }
}

fn why(misfit: &Misfit) -> String {
    match misfit {
        Misfit::Missing { next } => format!("it is missing; the next that there is is {next}"),
        Misfit::Changed => {
            "its hash is not that of what stands there and of the entry before; something was changed, put in or taken out"
                .to_owned()
        }
        Misfit::Unreadable => "it has not the form of an entry".to_owned(),
        Misfit::Unknown => {
            "it is known from elsewhere with another hash, or is not there any more; what was there was replaced or cut off"
                .to_owned()
        }
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).ok_or_else(|| "write sha256: and 64 hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{JournalHead, Pruned};

    #[test]
    fn the_exit_code_says_whether_the_journal_is_whole_and_nobody_can_tell_is_not_yes() {
        let broken = |misfit| Verdict::Broken { number: 7, misfit };
        for (verdict, code, says) in [
            (Verdict::Whole, 0, "is whole: 6 entries fit, the last of them 6"),
            (broken(Misfit::Changed), 3, "broken at entry 7: its hash is not that of what stands there"),
            (broken(Misfit::Missing { next: 9 }), 3, "broken at entry 7: it is missing; the next that there is is 9"),
            (broken(Misfit::Unreadable), 3, "broken at entry 7"),
            (broken(Misfit::Unknown), 3, "known from elsewhere"),
            (Verdict::Pruned, 1, "nobody can tell"),
        ] {
            let head = JournalHead { number: 6, hash: "sha256:0".to_owned() };
            let pruned = Some(Pruned { through: 2, hash: "sha256:1".to_owned(), count: 2 });
            let (text, told) = told(&Verified { entries: 6, head, pruned, verdict });
            assert!(told == code && text.contains(says), "{told} {text}");
            assert!(text.ends_with("entries up to 2 were pruned; the last of them had the hash sha256:1\n"), "{text}");
        }
    }
}
