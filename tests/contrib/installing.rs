//! contrib/install.sh into a temporary folder, for both systems.

use tempfile::TempDir;

use super::*;

const CONFIG: &str = "usr/local/etc/portcullis/portcullis.yaml";

/// A DESTDIR, and a program to install that prints something as its completions.
struct Stage {
    home: TempDir,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { home: TempDir::new().unwrap() };
        script(&stage.home.path().join("program"), "#!/bin/sh\necho \"completions of $*\"\n");
        stage
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("root")
    }

    fn command(&self, system: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.arg(project("contrib/install.sh")).args(arguments);
        command.env_remove("PREFIX").env("SYSTEM", system).env("BINARY", self.home.path().join("program"));
        command
    }

    #[track_caller]
    fn install(&self, system: &str, arguments: &[&str]) -> String {
        let ran = run(self.command(system, arguments).arg(self.root()));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
        ran.stdout
    }
}

/// The tree without what is listed by name elsewhere.
fn without_rules(tree: &[String]) -> String {
    tree.iter()
        .filter(|line| !line.contains("/rules/") || line.ends_with('/'))
        .fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn every_file_has_its_place_and_mode_on_freebsd() {
    let stage = Stage::new();
    stage.install("freebsd", &[]);
    insta::assert_snapshot!("freebsd", without_rules(&files(&stage.root())));
}

#[test]
fn every_file_has_its_place_and_mode_on_linux() {
    let stage = Stage::new();
    stage.install("linux", &[]);
    insta::assert_snapshot!("linux", without_rules(&files(&stage.root())));
}

/// What is in the tree, manual pages and folders that everybody shares left out.
fn files(root: &Path) -> Vec<String> {
    let ours = |line: &String| {
        let shared = line.ends_with('/') && !line.contains("portcullis");
        !shared && !line.contains("/share/man/")
    };
    tree(root).into_iter().filter(ours).collect()
}

#[test]
fn installing_twice_changes_nothing() {
    for system in ["freebsd", "linux"] {
        let stage = Stage::new();
        stage.install(system, &[]);
        let first = tree(&stage.root());
        stage.install(system, &[]);
        assert_eq!(tree(&stage.root()), first);
    }
}

#[test]
fn an_update_says_restart_and_a_removal_says_what_still_blocks() {
    for (system, start, restart, free) in [
        ("freebsd", "service portcullis start", "service portcullis restart", "pfctl -t portcullis -T flush"),
        (
            "linux",
            "enable --now portcullis",
            "systemctl restart portcullis",
            "nft delete table inet portcullis",
        ),
    ] {
        let stage = Stage::new();
        let first = stage.install(system, &[]);
        assert!(first.contains(start) && !first.contains(restart), "{first}");
        let second = stage.install(system, &[]);
        assert!(second.contains(restart) && !second.contains(start), "{second}");
        assert!(second.contains("The bans stay"), "{second}");
        let removed = stage.install(system, &["--uninstall"]);
        assert!(removed.contains(free) && removed.contains("stay in the firewall"), "{removed}");
        assert!(removed.lines().all(|line| line.chars().count() <= 120), "{removed}");
    }
}

#[test]
fn the_file_of_bans_that_pf_conf_names_is_there_from_the_start_and_blocks_nobody_at_the_end() {
    let stage = Stage::new();
    stage.install("freebsd", &[]);
    let bans = stage.root().join("var/db/portcullis/pf.table");
    assert_eq!(read(&bans), "");
    fs::write(&bans, "192.0.2.7\n").unwrap();
    stage.install("freebsd", &[]);
    assert_eq!(read(&bans), "192.0.2.7\n", "an update frees nobody");
    stage.install("freebsd", &["--uninstall"]);
    assert_eq!(read(&bans), "", "pf.conf still loads");
    let stage = Stage::new();
    stage.install("linux", &[]);
    let bans = stage.root().join("var/lib/portcullis/table.nft");
    fs::write(&bans, "add table inet portcullis\n").unwrap();
    stage.install("linux", &["--uninstall"]);
    assert!(!bans.exists());
}

#[test]
fn an_operators_files_are_never_overwritten_and_their_samples_are_renewed() {
    let stage = Stage::new();
    stage.install("freebsd", &[]);
    let names =
        [CONFIG, "usr/local/etc/newsyslog.conf.d/portcullis.conf", "usr/local/etc/syslog.d/portcullis.conf"];
    for name in names {
        fs::write(stage.root().join(name), "mine\n").unwrap();
        fs::write(stage.root().join(format!("{name}.sample")), "old\n").unwrap();
    }
    stage.install("freebsd", &[]);
    for name in names {
        assert_eq!(read(stage.root().join(name)), "mine\n");
        assert_ne!(read(stage.root().join(format!("{name}.sample"))), "old\n");
    }
}

#[test]
fn a_configuration_that_is_a_dangling_link_is_left_alone() {
    let stage = Stage::new();
    let config = stage.root().join(CONFIG);
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/nonexistent/portcullis.yaml", &config).unwrap();
    stage.install("freebsd", &["--samples-only"]);
    stage.install("freebsd", &[]);
    assert!(fs::symlink_metadata(&config).unwrap().is_symlink());
}

#[test]
fn samples_only_leaves_the_real_files_to_the_package_manager() {
    let stage = Stage::new();
    stage.install("freebsd", &["--samples-only"]);
    assert!(!stage.root().join(CONFIG).exists());
    assert!(stage.root().join(format!("{CONFIG}.sample")).exists());
}

#[test]
fn uninstall_removes_everything_but_what_the_operator_changed() {
    for system in ["freebsd", "linux"] {
        let stage = Stage::new();
        stage.install(system, &[]);
        stage.install(system, &["--uninstall"]);
        let left: Vec<_> =
            tree(&stage.root()).into_iter().filter(|line| line.contains("portcullis")).collect();
        // pf.conf may name the empty file, and would not load without it.
        let kept = ["0711 /var/db/portcullis/", "0600 /var/db/portcullis/pf.table"];
        assert_eq!(left, if system == "freebsd" { kept.as_slice() } else { &[] }, "{system}");

        stage.install(system, &[]);
        fs::write(stage.root().join(CONFIG), "mine\n").unwrap();
        fs::write(stage.root().join("usr/local/etc/portcullis/rules.d/mine.yaml"), "").unwrap();
        stage.install(system, &["--uninstall"]);
        let left: Vec<_> = tree(&stage.root())
            .into_iter()
            .filter(|l| l.contains("portcullis") && !l.ends_with('/') && !l.contains("pf.table"))
            .collect();
        let kept = [
            "0644 /usr/local/etc/portcullis/portcullis.yaml",
            "0644 /usr/local/etc/portcullis/rules.d/mine.yaml",
        ];
        assert_eq!(left, kept);
    }
}

#[test]
fn no_placeholder_is_left_and_another_prefix_reaches_every_file() {
    for (system, prefix, config) in [
        ("freebsd", "/opt/fw", "opt/fw/etc/portcullis/portcullis.yaml"),
        ("linux", "/usr", "etc/portcullis/portcullis.yaml"),
    ] {
        let stage = Stage::new();
        let ran = run(stage.command(system, &[]).arg(stage.root()).env("PREFIX", prefix));
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(stage.root().join(config).exists(), "{ran:?}");
        for line in tree(&stage.root()).iter().filter(|line| !line.ends_with('/')) {
            let text = read(stage.root().join(&line[6..]));
            assert!(!text.contains("@PREFIX@") && !text.contains("@ETCDIR@"), "{line}");
            assert!(
                !text.contains("/usr/local/etc/portcullis") && !text.contains("/usr/local/sbin"),
                "{line}"
            );
        }
    }
}

#[test]
fn the_linux_configuration_names_nftables_and_the_units_folders() {
    let stage = Stage::new();
    stage.install("linux", &[]);
    let config = read(stage.root().join(CONFIG));
    assert!(config.contains("backend: nftables") && !config.contains("backend: pf\n"), "{config}");
    assert!(config.contains("state: /var/lib/portcullis/state.db"), "{config}");
    let unit = read(stage.root().join("usr/local/lib/systemd/system/portcullis.service"));
    assert!(
        unit.contains("StateDirectory=portcullis\n") && unit.contains("RuntimeDirectory=portcullis\n"),
        "{unit}"
    );
    for needed in ["CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH", "AF_NETLINK", "NoNewPrivileges=yes"] {
        assert!(unit.contains(needed), "{needed}");
    }
}

#[test]
fn the_ports_list_is_what_is_installed() {
    let stage = Stage::new();
    stage.install("freebsd", &["--samples-only"]);
    let installed: Vec<String> = tree(&stage.root())
        .iter()
        .filter(|line| !line.ends_with('/') && !line.contains("/rules/"))
        .map(|line| line[6..].trim_start_matches("usr/local/").to_owned())
        .collect();
    let plist = read(project("contrib/freebsd/port/pkg-plist"));
    let mut listed: Vec<String> = plist
        .lines()
        .filter(|line| !["@dir", "@postexec", "@preunexec"].iter().any(|word| line.starts_with(word)))
        .filter(|line| !line.contains("/rules/"))
        .map(|line| {
            line.trim_start_matches("@sample ")
                .trim_end_matches(".gz")
                .replace("%%ETCDIR%%", "etc/portcullis")
                .replace("%%EXAMPLESDIR%%", "share/examples/portcullis")
                .replace("%%DATADIR%%", "share/portcullis")
        })
        .collect();
    listed.sort();
    assert_eq!(
        listed, installed,
        "contrib/freebsd/port/pkg-plist (left) and what install.sh installs (right)"
    );
}

#[test]
fn the_ports_list_names_every_rule_set() {
    let stage = Stage::new();
    stage.install("freebsd", &["--samples-only"]);
    let plist = read(project("contrib/freebsd/port/pkg-plist"));
    for line in tree(&stage.root()).iter().filter(|line| line.contains("/rules/") && !line.ends_with('/')) {
        let name = line.rsplit('/').next().unwrap();
        assert!(plist.contains(&format!("%%DATADIR%%/rules/{name}\n")), "{name} is missing in pkg-plist");
        assert!(line.starts_with("0444"), "{line}");
    }
}

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let refuse = |change: &dyn Fn(&mut Command), words: &str| {
        let stage = Stage::new();
        let mut command = stage.command("freebsd", &[]);
        command.arg(stage.root());
        change(&mut command);
        let ran = run(&mut command);
        assert_ne!(ran.code, 0, "{words}");
        assert!(ran.stderr.contains(words), "{ran:?}");
        assert!(!stage.root().exists(), "{words}");
    };
    refuse(&|c| _ = c.env("BINARY", "/nonexistent/portcullis"), "build it first");
    refuse(&|c| _ = c.env("SYSTEM", "plan9"), "set it to freebsd or linux");
    refuse(&|c| _ = c.env("PREFIX", "/usr/local|e touch /tmp/x"), "absolute path");
    refuse(&|c| _ = c.env("PREFIX", "usr/local"), "absolute path");
    refuse(&|c| _ = c.arg("--unistall"), "unknown option --unistall");
    refuse(&|c| _ = c.arg("/elsewhere"), "one DESTDIR is enough");
}

#[test]
fn the_next_steps_name_the_firewall_and_the_way_out() {
    for (system, words) in
        [("freebsd", "before any rule that lets them in"), ("linux", "systemctl enable --now")]
    {
        let said = Stage::new().install(system, &[]);
        assert!(said.contains(words) && said.contains("unban --offline"), "{said}");
    }
}
