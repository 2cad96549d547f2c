//! The account of the process that decides: one that owns nothing else.

use nix::unistd::User;

/// The account that install.sh and the port make, as FreeBSD and OpenBSD name those of their daemons.
const OWN: &str = "_portcullis";

/// An account that is on every system, for where that one is missing. Other services may use it too.
const SHARED: &str = "nobody";

/// An account, by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// The account that the brain runs as; `None` where the system has neither.
    pub(crate) fn find() -> Option<Self> {
        [OWN, SHARED].into_iter().find_map(|name| {
            let user = User::from_name(name).ok()??;
            let account = Self { name, uid: user.uid.as_raw(), gid: user.gid.as_raw() };
            // An account with root's number would separate nothing.
            (account.uid != 0).then_some(account)
        })
    }

    /// Whether other services may run under it.
    pub(crate) fn is_shared(&self) -> bool {
        self.name == SHARED
    }
}
