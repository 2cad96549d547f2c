//! `pfctl -t TABLE -T COMMAND`.

use std::collections::{BTreeMap, btree_map};

use super::options::usage;
use super::show::print_entry;
use super::state::{Entry, Place, Table};
use super::token::{self, Item};
use super::{Errno, Pf};
use crate::common::address::Key;
use crate::common::{Exit, Step};

/// A table's name must be shorter than this (`PF_TABLE_NAME_SIZE`).
const NAME: usize = 32;
/// 15.1 sends long lists in portions of this many (libpfctl); a failure leaves the portions before it in the table.
const PORTION: usize = 256;

/// What became of an item, as the letters that `-v` prints before the address.
const ADDED: char = 'A';
const DELETED: char = 'D';
const CHANGED: char = 'C';
const CLEARED: char = 'Z';
const TWICE: char = 'X';
const CONFLICT: char = 'Y';
const NOTHING: char = ' ';
const MATCH: char = 'M';

/// Items with their letters.
type Feedback = Vec<(char, Item)>;

/// Runs the command; its exit status is that of pfctl.
pub(crate) fn command(pf: &mut Pf<'_>, name: &str, command: &str) -> Step {
    if name.len() >= NAME {
        return usage(pf.report, pf.mode.is_15());
    }
    let place = (pf.opts.anchor.clone(), name.to_owned());
    let takes_list = matches!(command, "add" | "delete" | "replace" | "test" | "zero" | "expire");
    if !takes_list && (!pf.opts.args.is_empty() || pf.opts.file.is_some()) {
        return usage(pf.report, pf.mode.is_15());
    }
    match command {
        "add" => add(pf, &place),
        "delete" => delete(pf, &place),
        "replace" => replace(pf, &place),
        "expire" => expire(pf, &place),
        "test" => test(pf, &place),
        "show" => super::show::table(pf, &place),
        "flush" => flush(pf, &place),
        "kill" => kill(pf, &place),
        _ => zero(pf, &place),
    }
}

fn add(pf: &mut Pf<'_>, place: &Place) -> Step {
    let items = token::load(pf, false)?;
    if !create(pf, place) {
        return Ok(());
    }
    check_size(pf, items.len())?;
    let mut feedback = Vec::with_capacity(items.len());
    for portion in items.chunks(if pf.mode.is_15() { PORTION } else { items.len().max(1) }) {
        feedback.extend(add_portion(pf, place, portion)?);
    }
    let added = count(&feedback, ADDED);
    done(pf, &format!("{added}/{} addresses added", items.len()));
    print_feedback(pf, &feedback);
    Ok(())
}

/// One request to the kernel: all of it, or nothing.
fn add_portion(pf: &mut Pf<'_>, place: &Place, portion: &[Item]) -> Step<Feedback> {
    refuse(pf, portion)?;
    let now = pf.mode.now();
    let table = writable(pf, place)?;
    let mut fresh = BTreeMap::new();
    let judge = |item: &Item| {
        let letter = match (table.entries.get(&item.key), fresh.entry(item.key)) {
            (_, btree_map::Entry::Occupied(_)) => TWICE,
            (Some(there), btree_map::Entry::Vacant(_)) if there.not != item.not => CONFLICT,
            (Some(_), btree_map::Entry::Vacant(_)) => NOTHING,
            (None, btree_map::Entry::Vacant(slot)) => {
                slot.insert(Entry { not: item.not, cleared: now });
                ADDED
            }
        };
        (letter, *item)
    };
    let feedback = portion.iter().map(judge).collect();
    need_room(pf, fresh.len())?;
    commit(pf, place, |table| table.entries.extend(fresh));
    Ok(feedback)
}

fn delete(pf: &mut Pf<'_>, place: &Place) -> Step {
    let items = token::load(pf, false)?;
    check_size(pf, items.len())?;
    writable(pf, place)?;
    let feedback = remove(pf, place, &items);
    done(pf, &format!("{}/{} addresses deleted", count(&feedback, DELETED), items.len()));
    print_feedback(pf, &feedback);
    Ok(())
}

fn remove(pf: &mut Pf<'_>, place: &Place, items: &[Item]) -> Feedback {
    let mut gone = std::collections::BTreeSet::new();
    let entries = pf.state.tables.get(place).map(|table| &table.entries);
    let mut judge = |item: &Item| match entries.and_then(|entries| entries.get(&item.key)) {
        _ if gone.contains(&item.key) => (TWICE, *item),
        Some(there) if there.not != item.not => (CONFLICT, *item),
        Some(_) => {
            gone.insert(item.key);
            (DELETED, *item)
        }
        None => (NOTHING, *item),
    };
    let feedback = items.iter().map(&mut judge).collect();
    commit(pf, place, |table| table.entries.retain(|key, _| !gone.contains(key)));
    feedback
}

fn replace(pf: &mut Pf<'_>, place: &Place) -> Step {
    let items = token::load(pf, false)?;
    if !create(pf, place) {
        return Ok(());
    }
    // pfctl sends its whole buffer, which doubles as it grows: 32,769 addresses need room for 65,536.
    let buffer = if items.is_empty() { 0 } else { items.len().next_power_of_two().max(64) };
    if buffer > pf.request_maxcount() {
        return fail(pf, if pf.mode.is_15() { Errno::Invalid } else { Errno::Unknown });
    }
    refuse(pf, &items)?;
    let now = pf.mode.now();
    let table = writable(pf, place)?;
    let mut wanted = BTreeMap::new();
    let mut feedback = Vec::new();
    for item in items {
        let there = table.entries.get(&item.key);
        let letter = match there {
            _ if wanted.contains_key(&item.key) => TWICE,
            Some(there) if there.not != item.not => CHANGED,
            Some(_) => NOTHING,
            None => ADDED,
        };
        let cleared = there.map_or(now, |there| there.cleared);
        wanted.entry(item.key).or_insert(Entry { not: item.not, cleared });
        feedback.push((letter, item));
    }
    for (key, entry) in table.entries.iter().filter(|(key, _)| !wanted.contains_key(key)) {
        feedback.push((DELETED, Item { not: entry.not, key: *key }));
    }
    need_room(pf, count(&feedback, ADDED))?;
    commit(pf, place, |table| table.entries = wanted);
    tell_replaced(pf, &feedback);
    print_feedback(pf, &feedback);
    Ok(())
}

fn tell_replaced(pf: &mut Pf<'_>, feedback: &Feedback) {
    let counts = [(ADDED, "added"), (DELETED, "deleted"), (CHANGED, "changed")].map(|(letter, word)| {
        let number = count(feedback, letter);
        (number > 0).then(|| format!("{number} addresses {word}"))
    });
    counts.iter().flatten().for_each(|text| done(pf, text));
    if counts.iter().all(Option::is_none) {
        done(pf, "no changes");
    }
}

fn expire(pf: &mut Pf<'_>, place: &Place) -> Step {
    let [seconds] = pf.opts.args.as_slice() else { return usage(pf.report, pf.mode.is_15()) };
    if pf.opts.file.is_some() {
        return usage(pf.report, pf.mode.is_15());
    }
    let lifetime = match seconds.trim_start().parse::<i64>() {
        Ok(number) if number < 0 => return pf.report.leave(1, "pfctl: expiry time: too small"),
        Ok(number) if number > i64::from(u32::MAX) => {
            return pf.report.leave(1, "pfctl: expiry time: too large");
        }
        Ok(number) => number,
        Err(_) => return pf.report.leave(1, "pfctl: expiry time: invalid"),
    };
    let limit = pf.request_maxcount();
    let now = pf.mode.now();
    let Some(table) = pf.state.tables.get(place) else { return fail(pf, Errno::NoTable) };
    if table.entries.len() > limit {
        return fail(pf, Errno::Invalid);
    }
    let old = table.entries.iter().filter(|(_, entry)| now - entry.cleared > lifetime);
    let items: Vec<Item> = old.map(|(key, entry)| Item { not: entry.not, key: *key }).collect();
    writable(pf, place)?;
    let feedback = remove(pf, place, &items);
    done(pf, &format!("{}/{} addresses expired", count(&feedback, DELETED), items.len()));
    print_feedback(pf, &feedback);
    Ok(())
}

fn test(pf: &mut Pf<'_>, place: &Place) -> Step {
    let items = token::load(pf, true)?;
    // One request on both releases, unlike an addition.
    if items.len() > pf.request_maxcount() {
        return fail(pf, Errno::Invalid);
    }
    let Some(table) = pf.state.tables.get(place) else { return fail(pf, Errno::NoTable) };
    let found: Vec<(Item, Option<(Key, Entry)>)> =
        items.iter().map(|item| (*item, table.lookup(item.key))).collect();
    let matched = found.iter().filter(|(_, hit)| hit.is_some_and(|(_, entry)| !entry.not)).count();
    done(pf, &format!("{matched}/{} addresses match", items.len()));
    for (item, hit) in &found {
        let letter = if hit.is_some_and(|(_, entry)| !entry.not) { MATCH } else { NOTHING };
        let line = print_entry(letter, item.not, item.key);
        match hit {
            _ if pf.opts.verbose == 0 => {}
            Some(_) if pf.opts.verbose == 1 && letter == MATCH => pf.report.out(line),
            _ if pf.opts.verbose == 1 => {}
            Some((key, entry)) => {
                pf.report.out(format!("{line}\t{}{key}", if entry.not { '!' } else { ' ' }));
            }
            None => pf.report.out(format!("{line}\t nomatch")),
        }
    }
    if matched < items.len() { Err(Exit(2)) } else { Ok(()) }
}

fn flush(pf: &mut Pf<'_>, place: &Place) -> Step {
    let number = writable(pf, place)?.entries.len();
    commit(pf, place, |table| table.entries.clear());
    done(pf, &format!("{number} addresses deleted"));
    Ok(())
}

/// A table that is not there is not an error here.
fn kill(pf: &mut Pf<'_>, place: &Place) -> Step {
    if pf.mode.number("securelevel", 0) > 2 {
        return fail(pf, Errno::NotPermitted);
    }
    let there = pf.state.tables.contains_key(place);
    if !pf.opts.no_action {
        pf.state.tables.remove(place);
    }
    done(pf, &format!("{} table deleted", u8::from(there)));
    Ok(())
}

fn zero(pf: &mut Pf<'_>, place: &Place) -> Step {
    let listed = !pf.opts.args.is_empty() || pf.opts.file.is_some();
    let items = token::load(pf, false)?;
    if pf.mode.number("securelevel", 0) > 2 {
        return fail(pf, Errno::NotPermitted);
    }
    let now = pf.mode.now();
    let Some(table) = pf.state.tables.get(place) else { return fail(pf, Errno::NoTable) };
    let judge = |item: &Item| if table.entries.contains_key(&item.key) { CLEARED } else { NOTHING };
    let feedback: Feedback = items.iter().map(|item| (judge(item), *item)).collect();
    let hit: std::collections::BTreeSet<Key> = feedback.iter().map(|(_, item)| item.key).collect();
    commit(pf, place, |table| {
        if !listed {
            table.cleared = now;
        }
        let named = table.entries.iter_mut().filter(|(key, _)| !listed || hit.contains(key));
        named.for_each(|(_, entry)| entry.cleared = now);
    });
    match listed {
        true => done(pf, &format!("{}/{} addresses cleared", count(&feedback, CLEARED), items.len())),
        false => done(pf, "1 table/stats cleared"),
    }
    print_feedback(pf, &feedback);
    Ok(())
}

/// `add` and `replace` make a missing table, with persist. False: it would be made, but `-n` says to go no further.
fn create(pf: &mut Pf<'_>, place: &Place) -> bool {
    let main = (String::new(), place.1.clone());
    if !place.0.is_empty() && pf.state.tables.contains_key(&main) {
        pf.report.err(format!("pfctl: warning: namespace collision with <{}> global table.", place.1));
    }
    if pf.state.tables.contains_key(place) || pf.mode.number("securelevel", 0) > 2 {
        return true;
    }
    done(pf, "1 table created");
    if pf.opts.no_action {
        return false;
    }
    let table = Table { persist: true, cleared: pf.mode.now(), ..Table::default() };
    pf.state.tables.insert(place.clone(), table);
    true
}

/// The table, if its content may be changed; ESRCH and EPERM are all-or-nothing.
fn writable<'a>(pf: &'a mut Pf<'_>, place: &Place) -> Step<&'a Table> {
    let errno = match pf.state.tables.get(place) {
        _ if pf.mode.number("securelevel", 0) > 2 => Errno::NotPermitted,
        None => Errno::NoTable,
        Some(table) if table.constant => Errno::NotPermitted,
        Some(_) => return pf.state.tables.get(place).ok_or(Exit(255)),
    };
    fail(pf, errno)
}

/// 13.2 sends the list in one request, which has a limit; 15.1 in portions.
fn check_size(pf: &mut Pf<'_>, number: usize) -> Step {
    if pf.mode.is_15() || number <= pf.request_maxcount() { Ok(()) } else { fail(pf, Errno::Invalid) }
}

/// The mode's `refuse` lines.
fn refuse(pf: &mut Pf<'_>, items: &[Item]) -> Step {
    let refused: Vec<Key> = pf.mode.all("refuse").filter_map(Key::read).collect();
    let hit = items.iter().any(|item| refused.contains(&item.key));
    if hit { fail(pf, Errno::Invalid) } else { Ok(()) }
}

/// New entries are made before old ones are dropped, so a replacement needs room for both.
pub(crate) fn need_room(pf: &mut Pf<'_>, fresh: usize) -> Step {
    let full = pf.state.count() + fresh as u64 > pf.state.table_entries;
    if full { fail(pf, Errno::NoMemory) } else { Ok(()) }
}

fn commit(pf: &mut Pf<'_>, place: &Place, change: impl FnOnce(&mut Table)) {
    if let Some(table) = pf.state.tables.get_mut(place).filter(|_| !pf.opts.no_action) {
        change(table);
    }
}

/// The kernel said no: its text, and exit 255.
pub(crate) fn fail<T>(pf: &mut Pf<'_>, errno: Errno) -> Step<T> {
    pf.report.leave(255, format!("pfctl: {}.", errno.text(pf.mode)))
}

fn done(pf: &mut Pf<'_>, text: &str) {
    let tail = if pf.opts.no_action { " (syntax only)." } else { "." };
    pf.say(&format!("{text}{tail}"));
}

fn count(feedback: &Feedback, letter: char) -> usize {
    feedback.iter().filter(|(found, _)| *found == letter).count()
}

fn print_feedback(pf: &mut Pf<'_>, feedback: &Feedback) {
    let shown = feedback.iter().filter(|(letter, _)| pf.opts.verbose > 1 || *letter != NOTHING);
    for (letter, item) in shown.filter(|_| pf.opts.verbose > 0) {
        let line = print_entry(*letter, item.not, item.key);
        pf.report.out(line);
    }
}
