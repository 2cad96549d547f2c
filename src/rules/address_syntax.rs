//! Regexes of the texts that are addresses, that is, which [`address::parse`](crate::address::parse) and
//! [`address::parse_endpoint`](crate::address::parse_endpoint) read; tests of the proof compare them. (A zone may be
//! longer here than there.)

const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])";
const GROUP: &str = "[0-9a-fA-F]{1,4}";
const ZONE: &str = "(?:%[0-9A-Za-z_.-]+)?";
const PORT: &str = "[0-9]{1,5}";

/// What programs print in place of an address: a host name, a number, or `-`.
pub(super) const HOST_NAME: &str = r"[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*";

/// The regex of an address.
pub(super) fn address() -> String {
    format!("(?:{}|{}{ZONE})", v4(), v6())
}

/// The regex of an address with or without a port.
pub(super) fn endpoint() -> String {
    let v4 = v4();
    let v6 = v6();
    format!(r"(?:{v4}(?::{PORT})?|{v6}{ZONE}|\[(?:{v4}|{v6}{ZONE})\](?::{PORT})?)")
}

fn v4() -> String {
    format!(r"{OCTET}(?:\.{OCTET}){{3}}")
}

/// RFC 4291 §2.2: eight groups, where `::` stands for one or more of them, and an IPv4 address may stand for the last
/// two.
fn v6() -> String {
    let v4 = v4();
    let mut forms = vec![format!("{GROUP}(?::{GROUP}){{7}}"), format!("(?:{GROUP}:){{6}}{v4}")];
    for left in 0..=7_usize {
        let head = match left {
            0 => String::new(),
            _ => format!("{GROUP}(?::{GROUP}){{{}}}", left - 1),
        };
        let mut tails = vec![String::new()];
        if left < 7 {
            tails.push(format!("{GROUP}(?::{GROUP}){{0,{}}}", 6 - left));
        }
        if left < 6 {
            tails.push(format!("(?:{GROUP}:){{0,{}}}{v4}", 5 - left));
        }
        forms.push(format!("{head}::(?:{})", tails.join("|")));
    }
    format!("(?:{})", forms.join("|"))
}
