//! Which flags a pattern may set.

use regex_syntax::ast::{Ast, Flag, FlagsItemKind, GroupKind, Visitor};

/// Refuses flags that change what a pattern's bytes or ends are; the error says why, and at which byte.
pub(in crate::rules) struct KnownFlags;

impl Visitor for KnownFlags {
    type Output = ();
    type Err = (String, usize);

    fn finish(self) -> Result<(), Self::Err> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        let flags = match ast {
            Ast::Flags(set) => &set.flags,
            Ast::Group(group) => match &group.kind {
                GroupKind::NonCapturing(flags) => flags,
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        for item in &flags.items {
            let FlagsItemKind::Flag(flag) = &item.kind else { break };
            let why = match flag {
                Flag::Unicode => "`u` is not supported: patterns match bytes, and logs are not always UTF-8",
                Flag::MultiLine => {
                    "`m` is not supported: a message is one line, and `^` and `$` are its ends"
                }
                Flag::CRLF => "`R` is not supported: a message is one line, without its end",
                Flag::CaseInsensitive
                | Flag::DotMatchesNewLine
                | Flag::SwapGreed
                | Flag::IgnoreWhitespace => {
                    continue;
                }
            };
            return Err((
                format!("the flag {why}; leave it out (`i`, `s`, `U` and `x` are taken)"),
                item.span.start.offset,
            ));
        }
        Ok(())
    }
}
