//! Lists the rule files in `rules/`, so that a new one ships without being named anywhere in the code.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::{env, fs};

/// The sets in force where the configuration names none. All others wait until `rule_sets` or a source names them.
const BY_DEFAULT: [&str; 2] = ["freebsd-tcp", "sshd"];

fn main() -> Result<(), Box<dyn Error>> {
    writeln!(io::stdout(), "cargo::rerun-if-changed=build.rs\ncargo::rerun-if-changed=rules")?;
    let directory = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("rules");
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let file = entry?.file_name();
        names.extend(file.to_str().and_then(|file| file.strip_suffix(".yaml")).map(str::to_owned));
    }
    names.sort();
    Ok(fs::write(Path::new(&env::var("OUT_DIR")?).join("shipped.rs"), list(&names))?)
}

/// A Rust expression: an array of `Shipped`, in the order of the names. The compiler says where the files are, since a tree may
/// be moved together with what was built in it.
fn list(names: &[String]) -> String {
    let shipped = names.iter().map(|name| {
        let path = format!("rules/{name}.yaml");
        let by_default = BY_DEFAULT.contains(&name.as_str());
        format!(
            "Shipped {{ path: \"{path}\", text: include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{path}\")), by_default: \
             {by_default} }},\n"
        )
    });
    format!("[\n{}]", shipped.collect::<String>())
}
