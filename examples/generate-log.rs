//! Writes the log that `benches/compare-rg.sh` measures on: `cargo run --release --example generate-log -- BYTES [SEED]`.

#[path = "../benches/common/generate.rs"]
mod generate;

use std::io::{self, BufWriter, Write};

fn main() -> io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(bytes)), Ok(seed)) = (numbers.next(), numbers.next().unwrap_or(Ok(1))) else {
        return Err(io::Error::other("usage: generate-log BYTES [SEED]; both are numbers"));
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let lines = generate::log(bytes, seed, &mut out)?;
    out.flush()?;
    let _ = writeln!(io::stderr(), "{lines} lines");
    Ok(())
}
