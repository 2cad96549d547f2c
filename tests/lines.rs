//! Lines for other tests: chosen and spoilt by chance, the same on every run.

/// Steele's `SplitMix64`.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).expect("below a usize")
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// Bytes that mean something in patterns and messages.
const BYTES: &[u8] = b" :.[]%0189afx-_\\\xff\0";

/// A line with a few bytes changed, left out or doubled, or with a piece of another line in it.
pub(crate) fn mutated(line: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut line = line.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(line.len() + 1);
        match dice.below(5) {
            0 => line.insert(at, *dice.pick(BYTES)),
            1 if at < line.len() => line[at] = *dice.pick(BYTES),
            2 if at < line.len() => drop(line.remove(at)),
            3 => line.truncate(at),
            _ => {
                let start = dice.below(other.len() + 1);
                let end = start + dice.below(other.len() - start + 1);
                line.splice(at..at, other[start..end].iter().copied());
            }
        }
    }
    line
}
