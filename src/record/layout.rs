//! The kinds of header that a line may have, and those that an operator names for a log.

/// Which layouts the lines of a source have. Those that are told apart by the line alone are what the syslog daemons of
/// systems write, rsyslog, syslog-ng and journald; the others look like the own words of any application, so an operator has
/// to name them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layouts {
    /// Any header of a syslog daemon; each line is looked at anew, so all of them may be mixed in one file.
    #[default]
    Syslog,
    /// metalog's `Nov 22 14:38:31 [sshd] text`, and no other.
    Metalog,
    /// What multilog, svlogd and socklog write under a service supervisor's stamp, and nothing else.
    Supervised,
}

/// The kinds of header, told apart as far as somebody must treat their lines differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// No known header: the message is the whole line, all other parts are absent.
    Unknown,
    /// A syslog header. Without a program the text is raw: its writer gave no name, and no rule set may claim it.
    Syslog,
    /// metalog's `Nov 22 14:38:31 [sshd] text`.
    Metalog,
    /// busybox syslogd's `Nov 22 14:38:31 host auth.info sshd[1]: text`, and AIX's, where it is `auth|security:info`.
    Busybox,
    /// `Nov 22 14:38:31 host Message forwarded from other: sshd[1]: text`, as AIX's syslogd writes what it received.
    Forwarded,
    /// `Nov 22 14:38:31 [host] sshd[1]: text`, as loggers with a template of their own write it. metalog's line of the program
    /// `host` looks the same, and there the tag is that program's text, which a peer may have written.
    BracketedHost,
    /// A syslog header with `[ID 800047 auth.info] ` before the message, as Solaris' syslogd writes it, which is not part of the
    /// message. A program may begin a message with a peer's words in brackets, and then the rest is the peer's.
    MessageId,
    /// A stamp, perhaps a facility, and no place for a program (multilog, svlogd, socklog without a tag). The file
    /// belongs to one service, so rule sets of any program may try the message.
    Bare,
    /// A stamp that the writer of such a log does not print: the line is somebody's text.
    Foreign,
}
