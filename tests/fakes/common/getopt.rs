//! getopt(3) as FreeBSD has it: options end at the first word that is not one.

/// The options of one command line, left to right.
pub(crate) struct Options<'a> {
    args: &'a [String],
    spec: &'a str,
    word: usize,
    letters: Vec<char>,
}

/// One option: its letter and, if it takes one, its argument. Or what getopt would complain of.
pub(crate) type Found = Result<(char, Option<String>), String>;

impl<'a> Options<'a> {
    /// `spec` as for getopt(3): letters, a colon behind those that take an argument.
    pub(crate) fn new(args: &'a [String], spec: &'a str) -> Self {
        Self { args, spec, word: 0, letters: Vec::new() }
    }

    /// What stands behind the options.
    pub(crate) fn rest(&self) -> &'a [String] {
        self.args.get(self.word..).unwrap_or_default()
    }

    fn next_cluster(&mut self) -> Option<()> {
        let word = self.args.get(self.word)?;
        let cluster = word.strip_prefix('-').filter(|cluster| !cluster.is_empty())?;
        self.word += 1;
        self.letters = if cluster == "-" { Vec::new() } else { cluster.chars().rev().collect() };
        (cluster != "-").then_some(())
    }

    fn takes_argument(&self, letter: char) -> Option<bool> {
        let at = self.spec.find(letter).filter(|_| letter != ':')?;
        Some(self.spec.get(at + 1..).is_some_and(|tail| tail.starts_with(':')))
    }

    fn argument(&mut self) -> Option<String> {
        if !self.letters.is_empty() {
            return Some(self.letters.drain(..).rev().collect());
        }
        let word = self.args.get(self.word)?;
        self.word += 1;
        Some(word.clone())
    }
}

impl Iterator for Options<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if self.letters.is_empty() {
            self.next_cluster()?;
        }
        let letter = self.letters.pop()?;
        Some(match self.takes_argument(letter) {
            None => Err(format!("illegal option -- {letter}")),
            Some(false) => Ok((letter, None)),
            Some(true) => match self.argument() {
                Some(argument) => Ok((letter, Some(argument))),
                None => Err(format!("option requires an argument -- {letter}")),
            },
        })
    }
}
