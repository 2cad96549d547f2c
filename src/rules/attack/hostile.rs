//! What the attacker writes: hostile texts for one stretch of one message.

use std::rc::Rc;

use memchr::memmem;

use super::super::model::{Format, RuleSet};
use super::stretch::{Belief, Stretch};
use super::{Honest, LURES, Slot};

/// Lengths at which syslogd cuts a packet: FreeBSD's `-M` (syslogd(8)), and MAXLINE of its usr.sbin/syslogd/syslogd.c in
/// 11, 12 and 14. The written line lacks the `<38>` of the packet.
const PACKET_LIMITS: [usize; 4] = [480, 1024, 2048, 8192];

/// `<38>`: what the packet has before the text that is written to the file.
const PRIORITY: usize = 4;

/// Messages that are complete: the stretch holds a hostile text, and the true end follows.
pub(super) fn whole<'a>(
    honest: &'a Honest,
    slot: &'a Slot,
    copies: &'a [Vec<u8>],
) -> impl Iterator<Item = Vec<u8>> + 'a {
    let impostors = copies.iter().flat_map(|copy| impostors(honest, slot, copy));
    let copied = copies.iter().flat_map(|copy| [copy.clone(), [b"x ", copy.as_slice()].concat()]);
    let strange = slot.strange();
    let baits = baits(honest, slot).into_iter().flat_map(move |text| variants(text, strange));
    let texts = baits.chain(copied).chain(impostors);
    texts.flat_map(|text| slot.fit(&text)).map(|text| honest.message_with(slot, &text))
}

/// What makes this message begin as another rule's does: that message from where it differs, cut anywhere behind its
/// address, since this message's own end follows.
fn impostors<'a>(honest: &Honest, slot: &Slot, copy: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + use<'a> {
    let rest = copy.strip_prefix(&honest.message[..slot.span.start]).unwrap_or_default();
    let named = LURES.iter().find_map(|lure| Some(memmem::find(rest, lure.as_bytes())? + lure.len()));
    named.into_iter().flat_map(move |end| (end..=rest.len()).map(move |end| rest[..end].to_vec()))
}

/// Hostile texts that imitate the end of this very message, and some that every attacker tries.
fn baits(honest: &Honest, slot: &Slot) -> Vec<Vec<u8>> {
    let mut baits: Vec<Vec<u8>> =
        [&b""[..], b" ", b"   ", b"\\", b"\\377\\377", b"[preauth]", b"%s%n", b"''\"`$(id)"]
            .iter()
            .map(|text| text.to_vec())
            .collect();
    baits.extend(imitations(honest, slot));
    for lure in LURES.map(str::as_bytes) {
        for (before, behind) in [("[", "]"), ("(", ")"), ("<", ">"), ("\"", "\""), ("ip=", ","), (" ", ":22")]
        {
            baits.push([before.as_bytes(), lure, behind.as_bytes()].concat());
        }
    }
    baits
}

/// Addresses with the pattern's own words around them: what the end of a message looks like.
fn imitations(honest: &Honest, slot: &Slot) -> Vec<Vec<u8>> {
    let (between, tail) = honest.words(slot);
    let around = [(between, tail), (between, &b""[..]), (b"", tail), (b"", b""), (b" from ", b" port 22")];
    let imitate = |lure: &str| around.map(|(before, behind)| [before, lure.as_bytes(), behind].concat());
    LURES.iter().flat_map(|lure| imitate(lure)).collect()
}

/// The text alone, with something before it, behind it, around it, twice, and at the end of a name of 255 bytes.
/// Behind a byte that the stretch does not take it cannot go on, so that what stands before must be read otherwise.
fn variants(text: Vec<u8>, strange: u8) -> [Vec<u8>; 7] {
    let with = |before: &[u8], behind: &[u8]| [before, &text, behind].concat();
    let long = vec![b'a'; 255_usize.saturating_sub(text.len())];
    let (word, words) = (with(b"x", &[b' ', strange]), with(b"x ", b" x"));
    [with(b"x", b""), with(b"", b"x"), word, words, with(&text, b""), with(&long, b""), text]
}

/// Lines whose true end is lost because the stretch made the message too long.
pub(super) fn cut(set: &RuleSet, honest: &Honest, slot: &Slot) -> Vec<Vec<u8>> {
    let head = honest.header.len() + slot.span.start;
    let whole = honest.header.len() + honest.message.len() - slot.span.len();
    let own = set.limit().map(|limit| honest.header.len() + limit);
    // What is longer than the set's own limit is taken for cut, whoever cut it.
    let matters = |limit: &usize| set.format == Format::Syslog && own.is_none_or(|own| *limit < own);
    let syslog = PACKET_LIMITS.map(|limit| limit - PRIORITY).into_iter().filter(matters);
    let (mut lines, imitations) = (Vec::new(), imitations(honest, slot));
    for limit in own.into_iter().chain(syslog) {
        for bait in &imitations {
            let Some(room) = limit.checked_sub(head + bait.len()) else { continue };
            for pad in ["a", "\\377"] {
                let mut text: Vec<u8> = pad.bytes().cycle().take(room).collect();
                text.extend_from_slice(bait);
                let fits = slot.may_hold(&text) && whole + text.len() > limit;
                lines.extend(fits.then(|| honest.line_with(slot, &text)[..limit].to_vec()));
            }
        }
    }
    lines
}

impl Honest {
    /// The pattern's own words between the slot and the address, and those behind the later of both.
    fn words(&self, slot: &Slot) -> (&[u8], &[u8]) {
        match &self.token {
            Some(token) if slot.span.end <= token.start => {
                (&self.message[slot.span.end..token.start], &self.message[token.end..])
            }
            Some(token) => (&self.message[..token.start], &self.message[token.end..]),
            None => (&[], &self.message[slot.span.end..]),
        }
    }

    fn message_with(&self, slot: &Slot, text: &[u8]) -> Vec<u8> {
        let (before, behind) = (&self.message[..slot.span.start], &self.message[slot.span.end..]);
        [before, text, behind].concat()
    }

    fn line_with(&self, slot: &Slot, text: &[u8]) -> Vec<u8> {
        [&self.header, self.message_with(slot, text).as_slice()].concat()
    }
}

impl Slot {
    pub(super) fn new(stretch: Rc<Stretch>, span: std::ops::Range<usize>) -> Self {
        Self { span, stretch }
    }

    /// The text as this slot can hold it: whole, or cut where the alphabet ends, or without the bytes it lacks.
    fn fit(&self, text: &[u8]) -> Vec<Vec<u8>> {
        if self.holds(text) {
            return vec![text.to_vec()];
        }
        let bytes = &self.stretch.bytes;
        let whole = Some(text.to_vec()).filter(|text| self.may_hold(text));
        let strange = text.iter().position(|&byte| !bytes[usize::from(byte)]).unwrap_or(text.len());
        // Where any text may stand, what is left of a text is no attack that the whole of it is not.
        let prefix = Some(&text[..strange]).filter(|prefix| whole.is_none() && self.holds(prefix));
        let filtered: Vec<u8> = text.iter().copied().filter(|&byte| bytes[usize::from(byte)]).collect();
        let filtered = Some(filtered).filter(|filtered| self.holds(filtered));
        prefix.map(<[u8]>::to_vec).into_iter().chain(filtered).chain(whole).collect()
    }

    /// A byte that the stretch does not take, if there is one.
    fn strange(&self) -> u8 {
        *b"A!0a ".iter().find(|&&byte| !self.stretch.bytes[usize::from(byte)]).unwrap_or(&b' ')
    }

    fn holds(&self, text: &[u8]) -> bool {
        self.stretch.alphabet.is_match(text)
    }

    /// Whether the program may print the text here, whatever the pattern takes.
    fn may_hold(&self, text: &[u8]) -> bool {
        self.stretch.belief == Belief::Nothing || self.holds(text)
    }

    /// What was written into the stretch in a message that begins as `honest` and may end as it does.
    pub(super) fn filling<'l>(&self, honest: &Honest, message: &'l [u8]) -> &'l [u8] {
        let behind = &honest.message[self.span.end..];
        let text = message.get(self.span.start..).unwrap_or_default();
        text.strip_suffix(behind).unwrap_or(text)
    }

    /// What to do about a pattern that was fooled through this stretch.
    pub(super) fn remedy(&self, filling: &[u8], is_cut: bool) -> String {
        let (stretch, shown) = (&self.stretch.text, shown(filling));
        let filled = match is_cut {
            true => {
                format!("`{stretch}` was filled with so much that the line was cut and its true end is lost")
            }
            false => format!("`{stretch}` was filled with `{shown}`"),
        };
        match (self.stretch.belief == Belief::Nothing && !self.holds(filling), is_cut) {
            (true, _) => format!(
                "{filled}; if the program never prints that there, state what it prints: \
                 `fields: {{NAME: '{stretch}'}}`, and write `<NAME>`"
            ),
            (false, true) => format!("{filled}; put fixed words before <ADDR>, or a lower `message_limit`"),
            (false, false) => format!(
                "{filled}, which it takes; put an alphabet there that holds less, or fixed words up to the end behind <ADDR>"
            ),
        }
    }
}

/// The text for a sentence.
fn shown(text: &[u8]) -> String {
    let shown: String = String::from_utf8_lossy(text).chars().take(80).collect();
    if shown.len() < text.len() { format!("{shown}…") } else { shown }
}
