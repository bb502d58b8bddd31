//! The contract's cases against the tests that say which of them they show.

mod cases;
mod stamps;
mod tags;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use cases::{Case, Note};

const CASES: &str = "docs/contract.md";
const STAMPS: &str = "tests/contract.rs";
const SUITE: &str = "tests/suite";

/// A test, or an example in the docs, and the cases that it says it shows.
struct Test {
    name: String,
    policies: String,
    cases: Vec<usize>,
}

/// Prints which tests show each case, and fails if list and tests do not fit together.
pub(crate) fn check() -> Result<()> {
    let cases = cases::parse(&fs::read_to_string(CASES)?)?;
    let tests = tests()?;
    println!("\n| case | promise | shown by | policies |\n|---|---|---|---|");
    for (number, case) in (1..).zip(&cases) {
        print(number, case, &tests);
    }
    println!("\n{}", summary(&cases, &tests));
    let faults = faults(&cases, &tests);
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    ensure!(faults.is_empty(), "list and tests do not fit together in {} places", faults.len());
    Ok(())
}

fn tests() -> Result<Vec<Test>> {
    let stamps = fs::read_to_string(STAMPS)?;
    let stamps = stamps::parse(&stamps).with_context(|| format!("{STAMPS} has no list of stamped cases"))?;
    let mut files = Vec::new();
    sources(Path::new("tests"), &mut files)?;
    sources(Path::new("programs/tests"), &mut files)?;
    sources(Path::new("src"), &mut files)?;
    files.sort();
    let mut tests = Vec::new();
    for file in files {
        let module = module(&file);
        for tag in tags::parse(&fs::read_to_string(&file)?).with_context(|| file.display().to_string())? {
            let name = format!("{module}::{}", tag.item);
            let stamped = file.starts_with(SUITE) && stamps.contains(&name);
            ensure!(stamped || tag.runs, "`{name}` is never run: no list of stamped cases and no `#[test]` names it");
            let policies = if stamped { "all".to_owned() } else { tag.policies };
            tests.push(Test { name, policies, cases: tag.cases });
        }
    }
    Ok(tests)
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The module that a file is, as the tests name it: `global_lock` for `tests/global_lock.rs`, `tasks` for `tests/suite/tasks.rs`.
fn module(file: &Path) -> String {
    let file = file.with_extension("");
    let inside =
        ["tests/suite", "tests", "programs/tests", "src"].iter().find_map(|folder| file.strip_prefix(folder).ok());
    inside.unwrap_or(&file).display().to_string().replace('/', "::")
}

fn print(number: usize, case: &Case, tests: &[Test]) {
    let mut label = format!("| {number} | {} ", case.promise);
    for test in tests.iter().filter(|test| test.cases.contains(&number)) {
        println!("{label}| `{}` | {} |", test.name, test.policies);
        "| | ".clone_into(&mut label);
    }
    if let Note::NotShown(why) = &case.note {
        println!("{label}| no test: {why} | |");
    }
}

fn summary(cases: &[Case], tests: &[Test]) -> String {
    let count = |of: fn(&Note) -> bool| cases.iter().filter(|case| of(&case.note)).count();
    let shown = (1..=cases.len()).filter(|number| tests.iter().any(|test| test.cases.contains(number))).count();
    format!(
        "{} cases: {shown} shown by {} tests, {} of them in part; {} not shown, {} of them not built yet",
        cases.len(),
        tests.len(),
        count(|note| *note == Note::InPart),
        cases.len() - shown,
        count(|note| matches!(note, Note::NotShown(why) if why.starts_with("not built yet"))),
    )
}

/// What does not fit together.
fn faults(cases: &[Case], tests: &[Test]) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, case) in (1..).zip(cases) {
        let shown = tests.iter().find(|test| test.cases.contains(&number));
        match (&case.note, shown) {
            (Note::NotShown(_), Some(test)) => {
                faults.push(format!("case {number} is listed as not shown, but `{}` shows it", test.name));
            }
            (Note::NotShown(_), None) | (_, Some(_)) => {}
            (_, None) => faults.push(format!("no test shows case {number}, and {CASES} does not say why")),
        }
    }
    for test in tests {
        for number in test.cases.iter().filter(|&&number| number == 0 || number > cases.len()) {
            faults.push(format!("there is no case {number}, which `{}` says it shows", test.name));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(note: Note) -> Case {
        Case { promise: "it works".to_owned(), note }
    }

    fn test(cases: &[usize]) -> Test {
        Test { name: "a::b".to_owned(), policies: "all".to_owned(), cases: cases.to_vec() }
    }

    #[test]
    fn each_case_has_a_test_or_a_reason() {
        let cases = [case(Note::Other), case(Note::InPart), case(Note::NotShown("not built yet".to_owned()))];
        assert_eq!(faults(&cases, &[test(&[1]), test(&[2, 1])]), [""; 0]);
        let found = faults(&cases, &[test(&[1, 3, 4, 0])]);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(summary(&cases, &[test(&[1, 2])]).contains("2 shown by 1 tests, 1 of them in part; 1 not shown, 1 of"));
    }

    #[test]
    fn a_file_is_its_module() {
        assert_eq!(module(Path::new("tests/suite/tasks.rs")), "tasks");
        assert_eq!(module(Path::new("tests/global_lock.rs")), "global_lock");
        assert_eq!(module(Path::new("src/task/models.rs")), "task::models");
    }
}
