//! The example `wordcount`, against a plain count on one thread.

mod run;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use run::{Folder, example};

type Tested = Result<(), Box<dyn Error>>;

/// What the example should print, by another way: character by character, into a sorted map.
fn plain_count(files: &[PathBuf], top: usize) -> Result<String, Box<dyn Error>> {
    let mut counts = BTreeMap::new();
    for file in files {
        let mut word = String::new();
        for c in fs::read_to_string(file)?.chars().chain([' ']) {
            if c.is_alphanumeric() {
                word.extend(c.to_lowercase());
            } else if !word.is_empty() {
                *counts.entry(std::mem::take(&mut word)).or_insert(0_u64) += 1;
            }
        }
    }
    // Stable: words that are equally frequent stay in the order of the map.
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_by_key(|&(_, count)| Reverse(count));
    Ok(words.iter().take(top).map(|(word, count)| format!("{count:>8} {word}\n")).collect())
}

/// Two hundred texts that have words in common, in other letters too.
fn texts(folder: &Folder) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let write = |n: usize| {
        let path = folder.join(format!("{n}.txt"));
        let text: String = (0..n).map(|m| format!("w{} The ÉTÉ, x{n};", m % 17)).collect();
        fs::write(&path, text).map(|()| path)
    };
    Ok((0..200).map(write).collect::<Result<_, _>>()?)
}

fn borrowed(paths: &[PathBuf]) -> Vec<&Path> {
    paths.iter().map(PathBuf::as_path).collect()
}

#[test]
fn it_counts_as_one_thread_does_under_each_policy() -> Tested {
    let folder = Folder::new("wordcount")?;
    let files = texts(&folder)?;
    for policy in ["global", "fine", "lock-free", "all"] {
        let output = example("wordcount", &["--top", "50", "--policy", policy], &borrowed(&files))?;
        assert_eq!(output.status.code(), Some(0), "{policy}");
        assert_eq!(String::from_utf8(output.stdout)?, plain_count(&files, 50)?, "{policy}");
    }
    Ok(())
}

#[test]
fn without_a_file_it_counts_the_docs() -> Tested {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("docs");
    let pages: Result<Vec<_>, _> = fs::read_dir(docs)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let pages: Vec<_> = pages?.into_iter().filter(|page| page.to_string_lossy().ends_with(".md")).collect();
    let output = example("wordcount", &["--threads", "2"], &[])?;
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout)?, plain_count(&pages, 10)?);
    Ok(())
}

#[test]
fn what_it_cannot_read_is_named_and_the_rest_counted() -> Tested {
    let folder = Folder::new("wordcount-unreadable")?;
    let files = texts(&folder)?;
    let (missing, binary) = (folder.join("missing.txt"), folder.join("binary.txt"));
    fs::write(&binary, [b'a', 0xff])?;
    let mut all = borrowed(&files);
    // First, in the middle, and last, in batches of their own and not.
    all.insert(0, &missing);
    all.insert(100, &binary);
    all.push(&missing);
    let output = example("wordcount", &["--top", "50"], &all)?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout)?, plain_count(&files, 50)?);
    let errors = String::from_utf8(output.stderr)?;
    assert_eq!(errors.matches("missing.txt: ").count(), 2, "{errors}");
    assert_eq!(errors.matches("binary.txt: ").count(), 1, "{errors}");
    // Nothing but unreadable files: a batch that is empty is not the end of the input.
    let many = vec![missing.as_path(); 150];
    let output = example("wordcount", &[], &many)?;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert_eq!(String::from_utf8(output.stderr)?.matches("missing.txt: ").count(), 150);
    Ok(())
}
