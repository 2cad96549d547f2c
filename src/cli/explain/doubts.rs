//! Whose address it is in a line of which it is not certain who wrote it.

/// Whose address it is in a line with a supervisor's timestamp.
pub(super) fn unsigned(who: &str) -> String {
    format!(
        "{who}, according to the line, and nobody vouches for the line: its timestamp is that of a supervisor such as multilog, which \
         timestamps each line that its service writes. A service that writes newlines which a peer sent, as `sshd -e` does, \
         lets the peer write whole lines. {AS_FORGEABLE} Let sshd log through syslog."
    )
}

/// Whose address it is in a line whose header has the host in brackets.
pub(super) fn bracketed(who: &str) -> String {
    format!(
        "{who}, according to the line, and it is not certain that its program wrote it: metalog puts the name of a program into \
         such brackets, and behind them stands that program's text, which a peer may have chosen. {AS_FORGEABLE} Let the \
         logger write the host without brackets."
    )
}

/// Whose address it is in a message that Solaris' syslogd seems to have numbered.
pub(super) fn behind_message_id(who: &str) -> String {
    format!(
        "{who}, according to the line, and it is not certain that the message begins there: a program that puts a peer's words into \
         brackets may print `[ID 1 auth.info]` as well, and then the rest is the peer's. {AS_FORGEABLE} Switch such ids off \
         in the kernel's log.conf (`msgid=0`)."
    )
}

const AS_FORGEABLE: &str = "So this counts as evidence that may be forged: a ban is short, never longer the next time, and few are \
                            made at a time.";

/// Whose address it is in a log that a program writes itself.
pub(super) fn unclaimed(who: &str) -> String {
    format!(
        "{who}, according to the line. The program writes this log by itself, and nobody claims that it never writes a newline \
         which a peer sent: whole lines may be a peer's. {AS_FORGEABLE} If the program encodes newlines, say `newlines: encoded` in the \
         rule file."
    )
}
