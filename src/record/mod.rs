//! Records: what a syslog line says about time, host, program, pid and message.

/// One parsed log line; every text is borrowed from the line and may hold any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The host name as printed; empty where the layout has none.
    pub host: &'a [u8],
    /// The program's tag: `None` where the layout has none (multilog, socklog without a tag).
    pub program: Option<&'a [u8]>,
    /// The process id, where printed.
    pub pid: Option<u32>,
    /// What the program said, without header.
    pub message: &'a [u8],
}
