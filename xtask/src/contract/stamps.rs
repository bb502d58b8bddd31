//! The list of the cases that are stamped for every policy and number of workers.

use std::collections::HashSet;

/// `module::case` for each in `stamp! { module: case, case; module: case; }`; none if there is no such list.
pub(super) fn parse(source: &str) -> Option<HashSet<String>> {
    let (_, list) = source.split_once("\nstamp! {\n")?;
    let (list, _) = list.split_once("\n}")?;
    let code: Vec<&str> = list.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut stamped = HashSet::new();
    for modules in code.concat().split(';').filter(|rest| !rest.trim().is_empty()) {
        let (module, cases) = modules.split_once(':')?;
        let cases = cases.split(',').map(str::trim).filter(|case| !case.is_empty());
        stamped.extend(cases.map(|case| format!("{}::{case}", module.trim())));
    }
    Some(stamped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let source = "macro_rules! stamp { () => {} }\n\nstamp! {\n    a:\n        x,\n        // y,\n        z;\n    b: x;\n}\n";
        let names = ["a::x", "a::z", "b::x"].map(str::to_owned);
        assert_eq!(parse(source), Some(HashSet::from(names)));
        assert_eq!(parse("fn main() {}"), None);
    }
}
