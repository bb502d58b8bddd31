//! The list of the cases: rows of a table, numbered from 1, each with its promise and a note.

use anyhow::{Context, Result, ensure};

pub(super) struct Case {
    pub(super) promise: String,
    pub(super) note: Note,
}

#[derive(Debug, PartialEq)]
pub(super) enum Note {
    /// No test shows it, for this reason.
    NotShown(String),
    /// Tests show less than all of it.
    InPart,
    /// Whatever else there is to say, or nothing.
    Other,
}

impl Note {
    fn parse(note: &str) -> Self {
        match note.strip_prefix("not shown by a test:") {
            Some(why) => Self::NotShown(why.trim().to_owned()),
            None if note.starts_with("in part:") => Self::InPart,
            None => Self::Other,
        }
    }
}

pub(super) fn parse(list: &str) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for line in list.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(Ok(number)) = cells.get(1).map(|cell| cell.parse::<usize>()) else { continue };
        ensure!(number == cases.len() + 1, "case {number} of the list comes where {} should", cases.len() + 1);
        let [_, _, promise, note, _] = cells[..] else { Err(anyhow::anyhow!("three cells")).context(number)? };
        let note = Note::parse(note);
        ensure!(!promise.is_empty() && note != Note::NotShown(String::new()), "case {number} says too little");
        cases.push(Case { promise: promise.to_owned(), note });
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_a_number_are_cases() {
        let list = "Words.\n\n| case | promise | note |\n|---|---|---|\n| 1 | works | |\n| 2 | waits | in part: not long |\n\
                    \n| 3 | sings | not shown by a test: not built yet, it has no voice |\n| 4 | runs | far |\n";
        let cases = parse(list).unwrap();
        assert_eq!(cases.iter().map(|case| &*case.promise).collect::<Vec<_>>(), ["works", "waits", "sings", "runs"]);
        let notes: Vec<Note> = cases.into_iter().map(|case| case.note).collect();
        let why = "not built yet, it has no voice".to_owned();
        assert_eq!(notes, [Note::Other, Note::InPart, Note::NotShown(why), Note::Other]);
    }

    #[test]
    fn gaps_and_rows_that_say_too_little_are_errors() {
        for list in
            ["| 2 | a | |", "| 1 | a | |\n| 1 | b | |", "| 1 | | |", "| 1 | a |", "| 1 | a | not shown by a test: |"]
        {
            assert!(parse(list).is_err(), "{list}");
        }
    }
}
