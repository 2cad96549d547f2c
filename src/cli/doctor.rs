//! `portcullis doctor`: what the examination found, for people and as JSON.

use std::io::Write;

use serde_json::json;

use super::args::DoctorArgs;
use super::exit::{Exit, Failure};
use super::text::{count, printable, write_json};
use crate::doctor::{Finding, Grade, Surroundings, examine};

/// Prints the findings; the exit status says whether one of them is a problem.
pub(super) fn run(arguments: &DoctorArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let session = ["SSH_CONNECTION", "SSH_CLIENT"].into_iter().find_map(|name| std::env::var(name).ok());
    let findings = examine(arguments.config.config.as_deref(), &Surroundings::here(session))?;
    let of = |grade: Grade| findings.iter().filter(|finding| finding.grade == grade).count() as u64;
    let problems = of(Grade::Problem);
    let notes = of(Grade::Note);
    if arguments.json {
        write_json(out, json!({ "problems": problems, "notes": notes, "findings": findings }))?;
    } else {
        for finding in &findings {
            print(out, finding)?;
        }
        writeln!(out, "\n{}, {}", count(problems, "problem"), count(notes, "note"))?;
    }
    Ok(if problems == 0 { Exit::Ok } else { Exit::Nothing })
}

fn print(out: &mut dyn Write, finding: &Finding) -> std::io::Result<()> {
    let grade = match finding.grade {
        Grade::Ok => "ok     ",
        Grade::Note => "note   ",
        Grade::Problem => "PROBLEM",
    };
    writeln!(out, "{grade}  {:<10}  {}", finding.about, printable(finding.text.as_bytes()))?;
    if let Some(advice) = &finding.advice {
        writeln!(out, "                     -> {}", printable(advice.as_bytes()))?;
    }
    Ok(())
}
