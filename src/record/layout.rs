//! The kinds of header that a line may have, and the layouts that an operator states for a log.

/// The layouts that the lines of a source may have. Only those of the systems' syslog daemons, rsyslog, syslog-ng and
/// journald can be recognised from a line; the others look like text of any application, so an operator has to state
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layouts {
    /// Any header of a syslog daemon; they may be mixed in one file.
    #[default]
    Syslog,
    /// Only metalog's `Nov 22 14:38:31 [sshd] text`.
    Metalog,
    /// Only what multilog, svlogd and socklog write behind a service supervisor's timestamp.
    Supervised,
}

/// The kinds of header, as far as they have to be treated differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// No known header: the message is the whole line, and all other parts are absent.
    Unknown,
    /// A syslog header. Without a program the message is raw text: its writer gave no name, and no rule set may claim it.
    Syslog,
    /// metalog's `Nov 22 14:38:31 [sshd] text`.
    Metalog,
    /// busybox syslogd's `Nov 22 14:38:31 host auth.info sshd[1]: text`, and AIX's, where it is `auth|security:info`.
    Busybox,
    /// `Nov 22 14:38:31 host Message forwarded from other: sshd[1]: text`, as AIX's syslogd writes what it received.
    Forwarded,
    /// `Nov 22 14:38:31 [host] sshd[1]: text`, as loggers with a custom template write it. metalog's line of the program
    /// `host` looks the same, and its tag would be that program's text, which a peer may have written.
    BracketedHost,
    /// A syslog header with `[ID 800047 auth.info] ` before the message, as Solaris' syslogd writes it; it is not part of
    /// the message. A program may begin a message with a peer's words in brackets, and then the rest is the peer's.
    MessageId,
    /// A timestamp, perhaps a facility, and no place for a program (multilog, svlogd, socklog without a tag). The file
    /// belongs to one service, so that rule sets of any program may try the message.
    Bare,
    /// A timestamp that the writer of such a log does not print: the whole line is text of unknown origin.
    Foreign,
}
