//! What the operator decides about the firewall, in plain values; the configuration maps onto it.

use std::path::PathBuf;
use std::time::Duration;

use super::Unusable;

/// Everything a backend and the worker need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A name from [`super::BACKENDS`].
    pub backend: String,
    /// The firewall's table: a name that `names.rs` has nothing against.
    pub table: String,
    /// pf only: the anchor that holds the table; `None` for the main rule set.
    pub anchor: Option<String>,
    /// pf only: whether connections of a newly added prefix are cut.
    pub kill_states: bool,
    /// What happens to entries that somebody else put into the table.
    pub foreign: Foreign,
    /// How often the table is compared with what it should hold.
    pub converge_every: Duration,
    /// How long one run of a tool may take before it is killed.
    pub timeout: Duration,
    /// The `command` backend's programs.
    pub command: CommandTemplates,
    /// Where the tools are.
    pub tools: Tools,
}

impl Default for Settings {
    /// `dry-run` with table `portcullis`: adopt what others added, compare every minute, wait ten seconds for a tool.
    fn default() -> Self {
        Self {
            backend: "dry-run".to_owned(),
            table: "portcullis".to_owned(),
            anchor: None,
            kill_states: true,
            foreign: Foreign::Adopt,
            converge_every: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            command: CommandTemplates::default(),
            tools: Tools::default(),
        }
    }
}

/// What happens to entries of the table that Portcullis did not put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// They are reported and from then on treated as bans of our own.
    Adopt,
    /// They stay and are not touched.
    Keep,
    /// They are taken out.
    Remove,
}

/// The operator's own programs, as argument vectors that start with an absolute path; no shell reads them.
///
/// `{prefix}` in an argument of `add` or `remove` is replaced, one run for each prefix; without it, the program runs
/// once for a batch and reads prefixes from standard input, one a line. Doing a thing twice must succeed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandTemplates {
    /// Adds prefixes.
    pub add: Vec<String>,
    /// Removes prefixes.
    pub remove: Vec<String>,
    /// Prints all prefixes, one a line; empty where that is impossible: then everything is added again instead.
    pub list: Vec<String>,
    /// Reads all prefixes from standard input and makes the table hold exactly them; empty for none.
    pub replace: Vec<String>,
}

/// Where the firewalls' own tools are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// pfctl(8).
    pub pfctl: PathBuf,
    /// ipfw(8).
    pub ipfw: PathBuf,
    /// nft(8); the first that exists is taken.
    pub nft: Vec<PathBuf>,
    /// sysctl(8), which is only asked.
    pub sysctl: PathBuf,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            pfctl: "/sbin/pfctl".into(),
            ipfw: "/sbin/ipfw".into(),
            nft: ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft"].map(PathBuf::from).into(),
            sysctl: "/sbin/sysctl".into(),
        }
    }
}

/// Refuses a name for the reason that [`crate::names`] gave, if there is one.
pub(super) fn check_name(name: &str, why: Option<&str>) -> Result<(), Unusable> {
    let refused =
        |why| Unusable(format!("the firewall cannot use the name `{}`: {why}", name.escape_default()));
    why.map_or(Ok(()), |why| Err(refused(why)))
}
