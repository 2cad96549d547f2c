//! One filter rule: read as pf.conf(5) has it, printed as `pfctl -s rules` prints it.

/// Ports that pfctl prints by name.
const SERVICES: &[(&str, &str)] =
    &[("22", "ssh"), ("25", "smtp"), ("53", "domain"), ("80", "http"), ("443", "https"), ("993", "imaps")];

/// The rules that one line stands for: lists in braces make several. `None`: a syntax error.
pub(crate) fn read(words: &[String]) -> Option<Vec<String>> {
    let (action, rest) = words.split_first()?;
    let (head, rest) = match (action.as_str(), rest.split_first()) {
        ("block", Some((how, rest))) if is_block_option(how) => (format!("block {how}"), rest),
        ("block", _) => ("block drop".to_owned(), rest),
        _ => (action.clone(), rest),
    };
    let mut tails = read_tail(rest)?;
    if action == "pass" {
        tails.iter_mut().for_each(keep_state);
    }
    Some(tails.into_iter().map(|tail| format!("{head}{tail}")).collect())
}

fn is_block_option(word: &str) -> bool {
    matches!(word, "drop" | "return" | "return-rst" | "return-icmp" | "return-icmp6")
}

/// What pfctl adds to every pass rule that says nothing else.
fn keep_state(tail: &mut String) {
    let options = " keep state";
    let said = [" keep state", " no state", " modulate state", " synproxy state"];
    let stateless = said.iter().all(|state| !tail.contains(state));
    let flags = if tail.contains(" flags ") || tail.contains(" proto udp") { "" } else { " flags S/SA" };
    if stateless {
        tail.push_str(&format!("{flags}{options}"));
    } else if let Some(at) = said.iter().find_map(|state| tail.find(state)) {
        tail.insert_str(at, flags);
    }
}

/// Everything behind the action, each of the list's combinations as one text.
pub(crate) fn read_tail(words: &[String]) -> Option<Vec<String>> {
    let mut reader = Reader { words, texts: vec![String::new()] };
    reader.direction()?;
    reader.hosts()?;
    reader.options()?;
    Some(reader.texts)
}

struct Reader<'a> {
    words: &'a [String],
    texts: Vec<String>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&str> {
        self.words.first().map(String::as_str)
    }

    fn next(&mut self) -> Option<String> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first.clone())
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        if found {
            self.words = self.words.get(1..).unwrap_or_default();
        }
        found
    }

    fn push(&mut self, text: &str) {
        self.texts.iter_mut().for_each(|line| line.push_str(text));
    }

    /// Every text so far, once with each of the choices.
    fn multiply(&mut self, before: &str, choices: &[String]) {
        let each = |text: &String| {
            choices.iter().map(|choice| format!("{text}{before}{choice}")).collect::<Vec<_>>()
        };
        self.texts = self.texts.iter().flat_map(each).collect();
    }

    fn direction(&mut self) -> Option<()> {
        for word in ["in", "out"] {
            if self.eat(word) {
                self.push(&format!(" {word}"));
            }
        }
        if self.eat("log") {
            let options = if self.peek() == Some("(") { self.parentheses()? } else { String::new() };
            self.push(" log");
            self.push(&if options.is_empty() { options } else { format!(" {options}") });
        }
        if self.eat("quick") {
            self.push(" quick");
        }
        if self.eat("on") {
            let list = self.list(Self::interface)?;
            self.multiply(" on ", &list);
        }
        for word in ["inet", "inet6"] {
            if self.eat(word) {
                self.push(&format!(" {word}"));
            }
        }
        if self.eat("proto") {
            let list = self.list(Self::name)?;
            self.multiply(" proto ", &list);
        }
        Some(())
    }

    fn hosts(&mut self) -> Option<()> {
        if self.eat("all") || !matches!(self.peek(), Some("from" | "to")) {
            self.push(" all");
            return Some(());
        }
        for word in ["from", "to"] {
            let given = self.eat(word);
            let hosts = match given && self.peek() != Some("port") {
                true => self.list(Self::host)?,
                false => vec!["any".to_owned()],
            };
            self.multiply(&format!(" {word} "), &hosts);
            if given && self.eat("port") {
                let ports = self.list(Self::port)?;
                self.multiply(" port ", &ports);
            }
        }
        for text in self.texts.iter_mut().filter(|text| text.ends_with(" from any to any")) {
            *text = text.replace(" from any to any", " all");
        }
        Some(())
    }

    fn options(&mut self) -> Option<()> {
        while let Some(word) = self.next() {
            match word.as_str() {
                "keep" | "modulate" | "synproxy" | "no" => {
                    self.eat("state").then_some(())?;
                    self.push(&format!(" {word} state"));
                    if self.peek() == Some("(") {
                        let options = self.parentheses()?;
                        self.push(&format!(" {options}"));
                    }
                }
                "flags" | "label" | "tag" | "tagged" | "probability" | "icmp-type" | "icmp6-type"
                | "rtable" => {
                    let value = self.next()?;
                    self.push(&format!(" {word} {value}"));
                }
                "allow-opts" => self.push(" allow-opts"),
                _ => return None,
            }
        }
        Some(())
    }

    fn list(&mut self, one: fn(&mut Self) -> Option<String>) -> Option<Vec<String>> {
        if !self.eat("{") {
            return Some(vec![one(self)?]);
        }
        let mut choices = Vec::new();
        while !self.eat("}") {
            choices.push(one(self)?);
            self.eat(",");
        }
        (!choices.is_empty()).then_some(choices)
    }

    fn name(&mut self) -> Option<String> {
        self.next().filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)))
    }

    fn interface(&mut self) -> Option<String> {
        let not = if self.eat("!") { "! " } else { "" };
        self.name().map(|name| format!("{not}{name}"))
    }

    fn host(&mut self) -> Option<String> {
        let not = if self.eat("!") { "! " } else { "" };
        if self.peek() == Some("(") {
            return self.parentheses().map(|name| format!("{not}{name}"));
        }
        let word = self.next()?;
        let table = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/%".contains(c);
        let known = table.is_some_and(|name| !name.is_empty() && name.len() < 32) || word.chars().all(plain);
        known.then(|| format!("{not}{word}"))
    }

    fn port(&mut self) -> Option<String> {
        let unequal = if self.eat("!") { self.eat("=") } else { false };
        let operator = if unequal { "!=" } else { "=" };
        self.eat("=");
        let word = self.name()?;
        let name =
            SERVICES.iter().find(|(number, _)| **number == word).map_or(word.as_str(), |(_, name)| name);
        Some(format!("{operator} {name}"))
    }

    /// `(max-src-conn 20, overload <x> flush global)`, parentheses included.
    fn parentheses(&mut self) -> Option<String> {
        let end = self.words.iter().position(|word| word == ")")?;
        let inside = self.words.get(1..end)?.join(" ").replace(" ,", ",");
        self.words = self.words.get(end + 1..).unwrap_or_default();
        Some(format!("({inside})"))
    }
}
