//! The comment lines by which tests say what they show: `// Contract: 12, 34.` above a function, or in the docs of anything.

use anyhow::{Context, Result, bail, ensure};

/// Such lines and what they stand above.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) item: String,
    pub(super) cases: Vec<usize>,
    /// Whether something in the file itself runs it: a `#[test]` of its own, somebody who names it, or the docs that it stands in.
    pub(super) runs: bool,
    pub(super) policies: String,
}

pub(super) fn parse(source: &str) -> Result<Vec<Tag>> {
    let lines: Vec<&str> = source.lines().collect();
    let mut tags = Vec::new();
    let mut first = None;
    for (at, line) in lines.iter().enumerate() {
        let is_tag = cases(line).is_some();
        if is_tag {
            first.get_or_insert(at);
        }
        let above_code = !line.trim_start().starts_with(['/', '#']);
        let Some(from) = first.filter(|_| above_code) else { continue };
        first = None;
        tags.push(tag(source, &lines, from, at).with_context(|| format!("line {}", from + 1))?);
    }
    ensure!(first.is_none(), "a tag at the end stands above nothing");
    Ok(tags)
}

/// The numbers, if the line is a tag.
fn cases(line: &str) -> Option<Result<Vec<usize>>> {
    let comment = ["///", "//!", "//"].iter().find_map(|slashes| line.trim_start().strip_prefix(slashes))?.trim_start();
    // In an example, where a line can be hidden.
    let comment = comment.strip_prefix("# ").unwrap_or(comment);
    let numbers = comment.strip_prefix("// ").unwrap_or(comment).strip_prefix("Contract:")?;
    let numbers = numbers.trim().strip_suffix('.').unwrap_or(numbers).split(',');
    Some(numbers.map(|number| number.trim().parse().with_context(|| format!("`{number}` is no case"))).collect())
}

/// What stands between `from`, the first tag, and the end of the item whose code begins at line `at`.
fn tag(source: &str, lines: &[&str], from: usize, at: usize) -> Result<Tag> {
    let above = &lines[from..at];
    let cases = above.iter().filter_map(|line| cases(line)).collect::<Result<Vec<_>>>()?.concat();
    let in_docs = lines[from].trim_start().starts_with("///") || lines[from].trim_start().starts_with("//!");
    let kinds: &[&str] =
        if in_docs { &["fn", "struct", "enum", "trait", "mod", "macro_rules!", "use"] } else { &["fn"] };
    let code = lines[at];
    let mut words = code.split([' ', '(', '<', '{', ';', ':']).filter(|word| !word.is_empty());
    let Some(item) = words.by_ref().find(|word| kinds.contains(word)).and_then(|_| words.next()) else {
        bail!("a tag stands above no function, but above `{}`", code.trim());
    };
    let indent = &code[..code.len() - code.trim_start().len()];
    let end = lines[at..].iter().position(|line| line.strip_prefix(indent) == Some("}"));
    let own = lines[from..=end.map_or(at, |end| at + end)].join("\n");
    let tested = above.iter().any(|line| line.trim() == "#[test]");
    let named = source.match_indices(item).filter(|(start, _)| is_word(source, *start, item.len())).count() > 1;
    Ok(Tag { item: item.to_owned(), cases, runs: in_docs || tested || named, policies: policies(&own, source) })
}

fn is_word(source: &str, start: usize, length: usize) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    !source[..start].ends_with(part) && !source[start + length..].starts_with(part)
}

/// The policies that the test names itself, else those of its file.
fn policies(own: &str, file: &str) -> String {
    let named = |text: &str| -> Vec<&str> {
        let names = ["GlobalLock", "FineGrained", "LockFree"];
        names.into_iter().filter(|name| text.match_indices(name).any(|(at, _)| is_word(text, at, name.len()))).collect()
    };
    let names = named(own);
    if !names.is_empty() {
        return names.join(", ");
    }
    if own.contains("ThreadPool::new(") || own.contains("ThreadPool::builder(") {
        return "LockFree".to_owned();
    }
    let names = named(file);
    if names.is_empty() { "any".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(source: &str) -> Tag {
        let mut tags = parse(source).unwrap();
        assert_eq!(tags.len(), 1, "{tags:?}");
        tags.remove(0)
    }

    #[test]
    fn a_tag_belongs_to_the_function_below() {
        let source = "use a::LockFree;\n\n// Contract: 12, 3.\n// Contract: 4.\n/// Some words.\n#[test]\nfn it_works() {\n    \
                      on::<GlobalLock>();\n}\n\n// Contract is another word.\nfn on() {}\n";
        let tag = one(source);
        assert_eq!((tag.item.as_str(), &*tag.cases, tag.runs), ("it_works", &[12, 3, 4][..], true));
        assert_eq!(tag.policies, "GlobalLock");
    }

    #[test]
    fn a_case_of_the_suite_is_run_by_others() {
        let tag = one("// Contract: 7\npub(crate) fn a_case<P: LockPolicy>(pool: &ThreadPool<P>) {\n}\n");
        assert_eq!((tag.item.as_str(), &*tag.cases, tag.runs), ("a_case", &[7][..], false));
        let named = "stamp!(a_case);\n// Contract: 7.\nfn a_case() {}\nfn a_case_more() {}\n";
        assert!(one(named).runs);
    }

    #[test]
    fn an_example_in_the_docs_can_have_one() {
        let tag = one(
            "/// Sums.\n///\n/// ```\n/// # // Contract: 5.\n/// sum(ThreadPool::new()?);\n/// ```\npub struct Sum;\n",
        );
        assert_eq!((tag.item.as_str(), &*tag.cases, tag.runs), ("Sum", &[5][..], true));
        assert_eq!(tag.policies, "LockFree");
    }

    #[test]
    fn what_is_no_number_or_stands_above_no_function_is_an_error() {
        for source in [
            "// Contract: 1-3.\nfn f() {}",
            "// Contract: 1 and 3.\nfn f() {}",
            "// Contract: .\nfn f() {}",
            "// Contract: 1.\n\nfn f() {}",
            "// Contract: 1.\nlet x = 1;",
            "// Contract: 1.\n",
        ] {
            assert!(parse(source).is_err(), "{source}");
        }
    }
}
