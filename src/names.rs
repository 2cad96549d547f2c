//! What firewalls take for the name of a table or an anchor.
//!
//! The configuration asks, so that a bad name is shown where it stands, and each backend asks again, so that no tool can
//! read a name as an option, a second word or a second command.

/// pf's `PF_TABLE_NAME_SIZE` is 32 with the closing zero (FreeBSD, `sys/netpfil/pf/pf.h`).
const MAX_PF_TABLE: usize = 31;

/// The name field of ipfw's `ipfw_obj_ntlv` has 64 bytes with the closing zero (FreeBSD, `sys/netinet/ip_fw.h`).
const MAX_IPFW_TABLE: usize = 63;

/// nft(8) takes 255; nobody needs more than ipfw has.
const MAX_NFTABLES_TABLE: usize = 63;

/// pf's `PF_ANCHOR_NAME_SIZE` is 64 with the closing zero, for each part of a path, and a path has `MAXPATHLEN`.
const MAX_ANCHOR: usize = 63;
const MAX_ANCHOR_PATH: usize = 255;

/// Why a name cannot be that of a pf table, if it cannot.
pub(crate) fn bad_pf_table(name: &str) -> Option<&'static str> {
    let is_good = is_plain(name, "_.-", MAX_PF_TABLE);
    if is_good {
        return None;
    }
    Some(
        "a pf table's name must be 1 to 31 letters, digits, `_`, `-` and `.`, and must not begin with `-` or `.`",
    )
}

/// Why a name cannot be that of an ipfw table, if it cannot: `all` means every table to ipfw(8).
pub(crate) fn bad_ipfw_table(name: &str) -> Option<&'static str> {
    let is_good = is_plain(name, "_.-", MAX_IPFW_TABLE) && name != "all";
    if is_good {
        return None;
    }
    Some(
        "an ipfw table's name must be 1 to 63 letters, digits, `_`, `-` and `.`, must not begin with `-` or `.`, and must not be `all`",
    )
}

/// Why a name cannot be that of an nftables table, if it cannot: nft(8) takes a digit at the beginning for a number.
pub(crate) fn bad_nftables_table(name: &str) -> Option<&'static str> {
    let is_good =
        is_plain(name, "_", MAX_NFTABLES_TABLE) && name.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_good {
        return None;
    }
    Some("an nftables name must be 1 to 63 letters, digits and `_`, and must begin with a letter")
}

/// Why no firewall takes this for the name of a table, if none does: a dry run stands in for any of them.
pub(crate) fn bad_table_everywhere(name: &str) -> Option<&'static str> {
    let all = [bad_pf_table, bad_ipfw_table, bad_nftables_table];
    if all.iter().any(|bad| bad(name).is_none()) {
        return None;
    }
    Some(
        "no firewall takes this as a table's name, which must be 1 to 63 letters, digits, `_`, `-` and `.`, and must not \
         begin with `-` or `.`",
    )
}

/// Why a path cannot be that of a pf anchor, if it cannot: parts that begin with `_` are pf's own (pf.conf(5)).
pub(crate) fn bad_anchor(path: &str) -> Option<&'static str> {
    let part = |part: &str| is_plain(part, "_.-", MAX_ANCHOR) && !part.starts_with('_');
    let is_good = path.len() <= MAX_ANCHOR_PATH && path.split('/').all(part);
    if is_good {
        return None;
    }
    Some(
        "an anchor must be names of 1 to 63 letters, digits, `_`, `-` and `.`, joined by `/`, and each must begin with a letter or digit",
    )
}

/// Letters, digits and these signs; neither an option nor a hidden name.
fn is_plain(name: &str, signs: &str, max: usize) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(first) && name.len() <= max && name.chars().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_tool_would_take_for_something_else_is_refused() {
        for name in ["", "-T", ".a", "a b", "a;b", "a/b", "a{", "ä", &"x".repeat(64)] {
            for bad in [bad_pf_table, bad_ipfw_table, bad_nftables_table, bad_table_everywhere] {
                assert!(bad(name).is_some(), "{name}");
            }
        }
        assert!(bad_ipfw_table("all").is_some() && bad_ipfw_table("22").is_none());
        assert!(bad_nftables_table("a-b").is_some() && bad_nftables_table("1a").is_some());
        for path in ["", "/a", "a/", "a//b", "_a", "a/_b", "-a", ".a", "a b", "a/*", &"x".repeat(64)] {
            assert!(bad_anchor(path).is_some(), "{path}");
        }
    }

    #[test]
    fn the_longest_name_that_each_tool_takes_is_taken() {
        for (bad, longest) in
            [(bad_pf_table as fn(&str) -> _, 31), (bad_ipfw_table, 63), (bad_nftables_table, 63)]
        {
            assert_eq!((bad("portcullis"), bad(&"x".repeat(longest))), (None, None));
            assert!(bad(&"x".repeat(longest + 1)).is_some());
        }
        assert_eq!((bad_table_everywhere("all"), bad_table_everywhere(&"x".repeat(63))), (None, None));
        let part = "x".repeat(63);
        assert_eq!((bad_anchor("portcullis/sshd"), bad_anchor(&format!("{part}/{part}"))), (None, None));
        assert!(bad_anchor(&[part.as_str(); 4].join("/")).is_none());
        assert!(bad_anchor(&[part.as_str(); 5].join("/")).is_some());
    }
}
