//! Cases that other tests show, and those that there is nothing to run for.

use std::fs;
use std::path::Path;

use super::table::{Part, numbers, numbers_in_file};

/// What, where, and which function.
const TESTS: &[(&str, &str, &str, &str)] = &[
    (
        "3.32",
        "a blob without an end",
        "tests/registry/faults.rs",
        "a_blob_that_is_too_long_stops_at_its_size",
    ),
    (
        "3.35, 7.53",
        "the memory that a layer of 1 GiB takes",
        "tests/cli/memory.rs",
        "a_layer_of_1_gib_in_less_than_200_mib",
    ),
    (
        "3.47, 7.56",
        "two processes and one image",
        "tests/cli/concurrency.rs",
        "two_pulls_fetch_each_blob_once",
    ),
    (
        "3.48",
        "links where kernel filesystems are mounted",
        "tests/privileged/escapes/paths.rs",
        "links_in_place_of_kernel_filesystems",
    ),
    (
        "3.48",
        "links on the way to mounts",
        "tests/privileged/escapes/paths.rs",
        "links_on_the_way_to_mounts",
    ),
    (
        "3.49",
        "accounts that are links, devices, or endless",
        "tests/privileged/escapes/identity.rs",
        "accounts_from_strange_files",
    ),
    (
        "7.32",
        "hard links, times and the rest as other tools unpack them",
        "tests/privileged/differential.rs",
        "trees_are_those_of_other_tools",
    ),
    (
        "7.52",
        "a pull that is killed",
        "tests/cli/kills.rs",
        "killed_at_any_moment",
    ),
    (
        "7.57",
        "all layers at once, or one after the other",
        "tests/privileged/trees.rs",
        "together_as_one_by_one",
    ),
];

const NOTHING: &[(&str, &str, &str)] = &[
    (
        "3.46",
        "helpers of the image",
        "ucr starts no program to unpack, and looks up no names of users",
    ),
    (
        "3.50",
        "state of the host inside the tree",
        "ucr keeps none there",
    ),
];

#[test]
fn other_tests() {
    let part = Part::new("shown elsewhere");
    for (numbers, what, file, function) in TESTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let there = text.contains(&format!("#[test]\nfn {function}() {{"));
        assert!(there, "{file} has no test {function}");
        part.row(Some(numbers), what, &format!("`{function}` in `{file}`"));
    }
    for (numbers, what, why) in NOTHING {
        part.row(Some(numbers), what, why);
    }
    part.compare();
}

/// Every known case has a line.
#[test]
fn nothing_is_missing() {
    if super::table::blesses() {
        return;
    }
    let shown = numbers_in_file();
    let all = [
        "1.2.1-58", "1.4.1-10", "1.5.1-3", "3.1-55", "7.1-58", "7.60",
    ];
    let all = all.iter().flat_map(|range| numbers(range));
    let missing: Vec<_> = all.filter(|number| !shown.contains(number)).collect();
    assert!(missing.is_empty(), "no line shows {missing:?}");
}
