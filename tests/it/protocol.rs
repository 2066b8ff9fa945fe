//! docs/PROTOCOL.md names the test that holds each promise: every one of them exists.

use std::collections::BTreeSet;
use std::path::Path;

/// Every name in a `[test: a, b]`, by its last part: the function's.
fn named(text: &str) -> BTreeSet<String> {
    let lists = text.split("[test: ").skip(1).filter_map(|rest| rest.split(']').next());
    lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        // How the page explains the form, and what has no test.
        .filter(|name| !matches!(*name, "module::name" | "none yet"))
        .map(|name| name.rsplit("::").next().unwrap_or(name).to_owned())
        .collect()
}

fn collect_functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect_functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(|name| name.trim().to_owned()));
        }
    }
}

#[test]
fn every_test_that_the_protocol_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let protocol = std::fs::read_to_string(root.join("docs/PROTOCOL.md")).unwrap();
    let named = named(&protocol);
    assert!(named.len() > 100, "only {} tests are named", named.len());
    let mut functions = BTreeSet::new();
    collect_functions(&root.join("src"), &mut functions);
    collect_functions(&root.join("tests/it"), &mut functions);
    let missing: Vec<_> = named.difference(&functions).collect();
    assert!(missing.is_empty(), "docs/PROTOCOL.md names tests that are not there: {missing:?}");
}
