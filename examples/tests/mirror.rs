//! The example `mirror` against its server, which drops requests, keeps them waiting, and has files that it can't give.

mod run;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use run::{Folder, example};
use walkdir::WalkDir;

type Tested = Result<(), Box<dyn Error>>;

/// Long enough for any machine, in milliseconds: then it is the server alone that makes requests fail.
const AN_HOUR: &str = "3600000";

/// All files under a folder, with what is in them.
fn files(root: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, Box<dyn Error>> {
    let mut files = BTreeMap::new();
    for entry in WalkDir::new(root) {
        let entry = entry?;
        if entry.file_type().is_file() {
            files.insert(entry.path().strip_prefix(root)?.to_owned(), fs::read(entry.path())?);
        }
    }
    Ok(files)
}

/// Files of odd names and of sizes from nothing to more than a socket holds.
fn fill(source: &Path, count: usize) -> Tested {
    fs::create_dir_all(source.join("inner/deeper"))?;
    for n in 0..count {
        let folder = ["", "inner", "inner/deeper"][n % 3];
        fs::write(source.join(folder).join(format!("{n:03} 50% é?#&.bin")), vec![n as u8; n * n * 13])?;
    }
    fs::write(source.join("large"), vec![7; 12_000_000])?;
    fs::write(source.join("empty"), "")?;
    Ok(())
}

fn mirror(arguments: &[&str], source: &Path, target: &Path) -> Result<(Option<i32>, String, String), Box<dyn Error>> {
    let Output { status, stdout, stderr } = example("mirror", arguments, &[source, target])?;
    Ok((status.code(), String::from_utf8(stdout)?, String::from_utf8(stderr)?))
}

#[test]
fn the_mirror_is_equal_although_requests_are_dropped() -> Tested {
    let folder = Folder::new("mirror")?;
    let (source, target) = (folder.join("source"), folder.join("target"));
    fill(&source, 198)?;
    let expected = files(&source)?;
    assert_eq!(expected.len(), 200);
    for (clients, threads) in [("64", "2"), ("1", "1"), ("8", "8")] {
        let arguments = ["--clients", clients, "--threads", threads, "--timeout", AN_HOUR, "--retries", "50"];
        let (code, said, errors) = mirror(&arguments, &source, &target)?;
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{clients} clients");
        assert!(said.starts_with("fetched 200 files, "), "{said}");
        // The index and the files make 201 good answers, after every six of which comes a drop.
        assert!(said.contains("\n33 retried, 0 failed, 0 cancelled\n234 requests, "), "{said}");
        let peak: usize =
            said.rsplit("at most ").next().and_then(|rest| rest.split(' ').next()).unwrap_or("").parse()?;
        assert!(peak <= clients.parse()?, "{said}");
        assert!(files(&target)? == expected, "{clients} clients: the mirror differs");
        fs::remove_dir_all(&target)?;
    }
    Ok(())
}

#[test]
fn a_request_that_takes_too_long_is_made_again() -> Tested {
    let folder = Folder::new("mirror-stalled")?;
    let (source, target) = (folder.join("source"), folder.join("target"));
    fill(&source, 28)?;
    let arguments = ["--timeout", "2000", "--retries", "50", "--drop-every", "0", "--stall-every", "5"];
    let (code, said, errors) = mirror(&arguments, &source, &target)?;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    // 31 good answers, after every four of which comes none; more, where the machine is slower than the time-out.
    let retried: usize = said.lines().nth(1).and_then(|line| line.split(' ').next()).unwrap_or("").parse()?;
    assert!(retried >= 7, "{said}");
    assert!(files(&target)? == files(&source)?, "the mirror differs");
    Ok(())
}

#[test]
fn without_retries_a_dropped_file_is_named_and_the_rest_fetched() -> Tested {
    let folder = Folder::new("mirror-no-retries")?;
    let (source, target) = (folder.join("source"), folder.join("target"));
    fill(&source, 38)?;
    let (code, said, errors) = mirror(&["--retries", "0", "--timeout", AN_HOUR], &source, &target)?;
    assert_eq!(code, Some(1));
    // The index is the first of 41 requests, and the 7th, 14th, 21st, 28th and 35th are dropped.
    assert!(said.contains("fetched 35 files, ") && said.contains("\n0 retried, 5 failed, 0 cancelled\n"), "{said}");
    assert_eq!(errors.lines().filter(|line| line.starts_with("mirror: ")).count(), 5, "{errors}");
    let (all, there) = (files(&source)?, files(&target)?);
    // None is there by half.
    assert!(there.len() == 35 && there.iter().all(|(path, content)| all.get(path) == Some(content)));
    Ok(())
}

/// A link to nothing: there is a name, and no file.
#[cfg(unix)]
#[test]
fn a_final_failure_is_named_and_cancels_the_rest_if_asked() -> Tested {
    let folder = Folder::new("mirror-final")?;
    let (source, target) = (folder.join("source"), folder.join("target"));
    fs::create_dir(&source)?;
    for n in 0..39 {
        fs::write(source.join(format!("{n:02}")), vec![b'x'; n])?;
    }
    std::os::unix::fs::symlink("nothing", source.join("last"))?;
    let (code, said, errors) = mirror(&["--timeout", AN_HOUR, "--retries", "50"], &source, &target)?;
    assert_eq!((code, errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.starts_with("mirror: last: ") && errors.contains("404"), "{errors}");
    assert!(said.contains("fetched 39 files, ") && said.contains(" 1 failed, 0 cancelled\n"), "{said}");
    assert_eq!(files(&target)?, files(&source)?);

    // One client takes the files in their order: the last is request 41. Before it five were dropped, and wait for an hour.
    let arguments = ["--clients", "1", "--timeout", AN_HOUR, "--retry-delay", AN_HOUR, "--fail-fast"];
    let (code, said, errors) = mirror(&arguments, &source, &folder.join("other"))?;
    assert_eq!((code, errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(said.contains("fetched 34 files, ") && said.contains("\n5 retried, 1 failed, 5 cancelled\n"), "{said}");
    Ok(())
}
