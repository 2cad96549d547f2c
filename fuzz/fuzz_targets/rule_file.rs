//! Any bytes are a rule file or a list of what is wrong with it; what can be read can be checked.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portcullis::config::{ConfigFile, RuleFile};
use portcullis::rules;

fuzz_target!(|bytes: &[u8]| {
    // Longer files only repeat themselves, and the time goes into YAML.
    let bytes = &bytes[..bytes.len().min(4096)];
    let (file, told) = RuleFile::read(Path::new("fuzzed.yaml"), bytes);
    told.iter().for_each(|diagnostic| assert!(!diagnostic.to_string().is_empty()));
    if let Some(file) = file {
        for fault in rules::check(&file.set, &[]) {
            assert!(!file.diagnose(&fault).to_string().is_empty());
        }
    }
    let (_, told) = ConfigFile::read(Path::new("fuzzed.yaml"), bytes);
    told.iter().for_each(|diagnostic| assert!(!diagnostic.to_string().is_empty()));
});
