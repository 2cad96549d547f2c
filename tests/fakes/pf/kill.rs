//! `pfctl -k HOST [-k HOST]` and `-K`: by the end that opened the connection, and the other one.

use super::Pf;
use super::token::numeric;
use crate::common::Step;
use crate::common::address::{Key, width};

/// What only `-k` asks of a prefix.
impl Key {
    /// Whether the other lies inside.
    fn holds(self, other: Self) -> bool {
        self.len() <= other.len() && Self::new(other.address(), self.len()) == self
    }
}

/// Everything that `-k` and `-K` ask for; both come before the table command of the same call.
pub(crate) fn kill(pf: &mut Pf<'_>) -> Step {
    if let Some((source, target)) = ends(pf, &pf.opts.kill_states)? {
        kill_states(pf, source, target)?;
    }
    if let Some((source, target)) = ends(pf, &pf.opts.kill_sources)? {
        pf.need_securelevel("DIOCKILLSRCNODES")?;
        let before = pf.state.sources.len();
        pf.state.sources.retain(|line| !line.parse().is_ok_and(|address| source.holds(Key::host(address))));
        let killed = before - pf.state.sources.len();
        tell(pf, killed, "src nodes", source, target);
    }
    Ok(())
}

fn kill_states(pf: &mut Pf<'_>, source: Key, target: Option<Key>) -> Step {
    pf.need_securelevel("DIOCKILLSTATES")?;
    let before = pf.state.states.len();
    pf.state.states.retain(|line| {
        let Some((from, to)) = state_ends(line) else { return true };
        !(source.holds(from) && target.is_none_or(|target| target.holds(to)))
    });
    let killed = before - pf.state.states.len();
    tell(pf, killed, "states", source, target);
    Ok(())
}

/// A second host of the other family is not counted, and nothing matches it.
fn tell(pf: &mut Pf<'_>, killed: usize, what: &str, source: Key, target: Option<Key>) {
    let targets = usize::from(target.is_some_and(|target| target.is_six() == source.is_six()));
    pf.say(&format!("killed {killed} {what} from 1 sources and {targets} destinations"));
}

fn ends(pf: &mut Pf<'_>, given: &[String]) -> Step<Option<(Key, Option<Key>)>> {
    let Some(first) = given.first() else { return Ok(None) };
    let source = host(pf, first)?;
    let target = given.get(1).map(|text| host(pf, text)).transpose()?;
    Ok(Some((source, target)))
}

fn host(pf: &mut Pf<'_>, text: &str) -> Step<Key> {
    let (address, len) = text.split_once('/').map_or((text, None), |(address, len)| (address, Some(len)));
    let Some(address) = numeric(address) else {
        return pf.report.leave(1, "pfctl: getaddrinfo: Name does not resolve");
    };
    let len = match len.map(str::parse::<u32>) {
        None => width(address),
        Some(Err(_)) => {
            let text = len.unwrap_or_default();
            return pf.report.leave(1, format!("pfctl: prefix is invalid: {text}"));
        }
        Some(Ok(len)) => match u8::try_from(len).ok().filter(|len| *len <= width(address)) {
            Some(len) => len,
            None => return pf.report.leave(1, format!("pfctl: prefix is too large: {len}")),
        },
    };
    Ok(Key::new(address, len))
}

/// Who opened the connection and to whom, from a line of `pfctl -s states`:
/// `all tcp 192.0.2.7:39390 -> 192.0.2.1:2222 …` or `… 2001:db8::1[2222] <- 2001:db8:7::7[58761] …`.
fn state_ends(line: &str) -> Option<(Key, Key)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let arrow = words.iter().position(|word| matches!(*word, "->" | "<-"))?;
    let left = end(words.get(arrow.checked_sub(1)?)?)?;
    let right = end(words.get(arrow + 1)?)?;
    Some(if words.get(arrow) == Some(&"->") { (left, right) } else { (right, left) })
}

fn end(word: &str) -> Option<Key> {
    let address = word.split_once('[').map(|(address, _)| address);
    address.or_else(|| word.split_once(':').map(|(address, _)| address))?.parse().ok().map(Key::host)
}
