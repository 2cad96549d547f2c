//! Lines that name an address and that no rule knows, counted by their shape: what an update of a program changed is seen
//! here, before anybody wonders why nobody is banned any more.
//!
//! Whoever can write lines can write any number of shapes, so that memory is bounded: the rarest shape gives way to a new
//! one, and the number of lines counts all of them.

use std::collections::BTreeMap;

use crate::address;

/// The most programs that are told apart; those of rule sets that end in `*` have any number of names.
const MAX_PROGRAMS: usize = 32;

/// The most shapes of one program.
const MAX_SHAPES: usize = 64;

/// The longest shape, in bytes.
const MAX_SHAPE: usize = 160;

/// The shortest text that may be an address: `::1`.
const MIN_ADDRESS: usize = 3;

/// Counts by program.
#[derive(Clone, Debug, Default)]
pub struct MissedLines {
    by_program: BTreeMap<String, MissedOfProgram>,
}

/// The lines of one program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissedOfProgram {
    /// All of them.
    pub lines: u64,
    shapes: BTreeMap<String, u64>,
}

impl MissedLines {
    /// Counts a line's message.
    pub fn add(&mut self, program: &[u8], message: &[u8]) {
        let program = String::from_utf8_lossy(program);
        if !self.by_program.contains_key(&*program) && self.by_program.len() >= MAX_PROGRAMS {
            return;
        }
        self.by_program.entry(program.into_owned()).or_default().add(shape(message));
    }

    /// Each program with its lines.
    pub fn all(&self) -> impl Iterator<Item = (&str, &MissedOfProgram)> {
        self.by_program.iter().map(|(program, missed)| (program.as_str(), missed))
    }
}

impl MissedOfProgram {
    fn add(&mut self, shape: String) {
        self.lines += 1;
        if !self.shapes.contains_key(&shape) && self.shapes.len() >= MAX_SHAPES {
            let rarest = self.shapes.iter().min_by_key(|(_, count)| **count).map(|(shape, _)| shape.clone());
            rarest.map(|rarest| self.shapes.remove(&rarest));
        }
        *self.shapes.entry(shape).or_default() += 1;
    }

    /// The commonest shape and how many of the lines have it.
    pub fn commonest(&self) -> Option<(&str, u64)> {
        let most = self.shapes.iter().max_by_key(|(_, count)| **count);
        most.map(|(shape, count)| (shape.as_str(), *count))
    }
}

/// Whether a text holds an address that may be a peer's.
pub fn names_an_address(text: &[u8]) -> bool {
    let tokens = text.split(|byte| !is_of_address(*byte)).filter(|token| token.len() >= MIN_ADDRESS);
    tokens.filter_map(address_in).any(|address| !address.is_unspecified())
}

fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

/// The address that a token is, also before the end of a sentence or a port.
fn address_in(token: &[u8]) -> Option<std::net::IpAddr> {
    let token = token.trim_ascii();
    let bare = token.iter().rposition(u8::is_ascii_hexdigit).map(|last| &token[..=last])?;
    address::parse(bare).or_else(|| address::parse(token)).or_else(|| address::parse_endpoint(bare))
}

/// What is the same in lines of one kind: words, with `ADDR` for addresses, `N` for words with digits, and `…` for what is in
/// quotes and for the word behind `user`.
fn shape(message: &[u8]) -> String {
    let mut shape = String::new();
    let mut is_name = false;
    for word in unquoted(message).split_ascii_whitespace() {
        let known = match word {
            _ if names_an_address(word.as_bytes()) => "ADDR",
            _ if is_name => "…",
            _ if word.bytes().any(|byte| byte.is_ascii_digit() || !byte.is_ascii()) && word != "…" => "N",
            word => word,
        };
        is_name = word == "user";
        if shape.len() + known.len() >= MAX_SHAPE {
            break;
        }
        if !shape.is_empty() {
            shape.push(' ');
        }
        shape.push_str(known);
    }
    shape
}

/// A text with `…` in place of what stands in quotes.
fn unquoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let parts = text.split('"').enumerate();
    parts.map(|(nth, part)| if nth % 2 == 1 { "…" } else { part }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_wherever_they_stand_and_other_numbers_are_none() {
        for text in [
            "from 192.0.2.7 port 22",
            "[2001:db8::7]:22",
            "peer=192.0.2.7:22,",
            "(192.0.2.7)",
            "by 2001:db8::7.",
            "192.0.2.7: rejected",
        ] {
            assert!(names_an_address(text.as_bytes()), "{text}");
        }
        for text in [
            "OpenSSH_9.2p1",
            "1.2.3",
            "00:11:22:33:44:55",
            "at 14:38:31",
            "0.0.0.0 port 22",
            ":: port 22",
            "face",
            "",
        ] {
            assert!(!names_an_address(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn lines_of_one_kind_have_one_shape() {
        let shapes = |lines: &[&str]| lines.iter().map(|line| shape(line.as_bytes())).collect::<Vec<_>>();
        let told = shapes(&[
            "Refused user anna from 192.0.2.7 port 4711 [preauth]",
            "Refused user x\u{fffd} from 2001:db8::7 port 22 [preauth]",
        ]);
        assert_eq!(told, ["Refused user … from ADDR port N [preauth]"; 2]);
        let told = shapes(&["drop \"a b\" by 192.0.2.7:22", "drop \"c\" by 192.0.2.8:4"]);
        assert_eq!(told, ["drop … by ADDR"; 2]);
        assert!(shape("word ".repeat(1000).as_bytes()).len() <= MAX_SHAPE);
    }

    #[test]
    fn memory_is_bounded_and_the_commonest_shape_outlives_a_flood_of_others() {
        let mut missed = MissedLines::default();
        for _ in 0..3 {
            missed.add(b"sshd", b"Refused 192.0.2.7");
        }
        let name = |number: u32| -> String {
            number
                .to_string()
                .chars()
                .map(|digit| char::from(b'a' + u8::try_from(digit).unwrap() - b'0'))
                .collect()
        };
        for number in 0..10_000 {
            missed.add(b"sshd", format!("{} 192.0.2.7", name(number)).as_bytes());
            missed.add(format!("postfix/{number}").as_bytes(), b"192.0.2.7");
        }
        let (_, sshd) = missed.all().find(|(program, _)| *program == "sshd").unwrap();
        assert_eq!((sshd.lines, sshd.commonest()), (10_003, Some(("Refused ADDR", 3))));
        assert!(sshd.shapes.len() <= MAX_SHAPES && missed.by_program.len() <= MAX_PROGRAMS);
    }
}
