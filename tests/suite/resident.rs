//! For tests that measure their process, each a program of its own.

use std::fs;

/// Bytes of this process that are resident and its own.
pub(crate) fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("this kernel tells");
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}
