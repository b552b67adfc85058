//! The app definitions in `tests/data/apps`: INDEX.md says what each is; `normal/` is what the
//! reader makes of the valid ones, rewritten by `UCR_BLESS=1 cargo test --test cli app_samples`
//! after a change that is meant.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ucr::frontend::marathon::{App, Finding, Findings, Settings, read};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/apps")
}

/// Rows of a table of INDEX.md: the file, and the rest of the row.
fn rows(heading: &str) -> BTreeMap<String, String> {
    let index = fs::read_to_string(directory().join("INDEX.md")).unwrap();
    let (_, part) = index.split_once(heading).unwrap();
    let part = part.split("\n## ").next().unwrap();
    let row = |line: &str| {
        let (file, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
        file.ends_with(".json")
            .then(|| (file.to_owned(), rest.to_owned()))
    };
    part.lines().filter_map(row).collect()
}

/// Identifiers between backquotes that begin like this.
fn ids<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| word.starts_with(prefix)).collect()
}

fn sample(file: &str) -> Result<(App, Findings), Findings> {
    let settings = Settings::default();
    read(&fs::read(directory().join(file)).unwrap(), &settings)
}

fn lines(findings: &Findings) -> String {
    let line = |finding: &Finding| match &finding.hint {
        Some(hint) => format!("{finding} ({hint})\n"),
        None => format!("{finding}\n"),
    };
    findings.0.iter().map(line).collect()
}

#[test]
fn every_sample_is_in_the_index() {
    let mut files: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    files.sort();
    let mut listed: Vec<String> = rows("## Valid").into_keys().collect();
    listed.extend(rows("## Invalid").into_keys());
    assert_eq!(files, listed);
}

#[test]
fn valid_samples_become_their_normal_form() {
    let is_blessing = std::env::var_os("UCR_BLESS").is_some();
    for (file, row) in rows("## Valid") {
        let (app, warnings) = sample(&file)
            .unwrap_or_else(|findings| panic!("{file} is refused:\n{}", lines(&findings)));
        for id in ids(&row, "W:") {
            assert!(warnings.has(id), "{file}: no {id} in\n{}", lines(&warnings));
        }
        let normal = serde_json::to_string_pretty(&app).unwrap() + "\n";
        let normal = normal.replace("s3same", "LEAKED");
        assert!(!normal.contains("LEAKED"), "{file}: the password");
        let path = directory().join("normal").join(&file);
        if is_blessing {
            fs::write(&path, &normal).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(normal, expected, "{file}: UCR_BLESS=1 if this is meant");
    }
}

/// Nothing beyond what INDEX.md names: samples are quiet.
#[test]
fn valid_samples_warn_of_nothing_else() {
    for (file, row) in rows("## Valid") {
        let (_, warnings) = sample(&file).unwrap();
        // The strategy for upgrades of a file that INDEX.md says nothing of.
        let allowed = match file.as_str() {
            "11-ucr-persistent-db.json" => vec!["W:no-effect"],
            _ => ids(&row, "W:"),
        };
        for warning in &warnings.0 {
            assert!(allowed.contains(&warning.id), "{file}: {warning}");
        }
    }
}

#[test]
fn invalid_samples_are_refused_for_every_reason() {
    for (file, row) in rows("## Invalid") {
        let findings = sample(&file).expect_err(&file);
        for id in ids(&row, "E:") {
            // It may be left out.
            let optional = row.contains(&format!("`{id}` allowed"));
            let found = findings.has(id) || optional;
            assert!(found, "{file}: no {id} in\n{}", lines(&findings));
        }
        for finding in findings.0.iter().filter(|finding| finding.is_error()) {
            let expected = ids(&row, "E:").contains(&finding.id);
            assert!(expected, "{file}: {finding}");
        }
    }
}

#[test]
fn findings_of_samples_are_at_their_place() {
    for (file, place) in [
        ("51-bad-syntax.json", "line 9, column 3"),
        ("59-bad-secret-refs.json", "/env/A: "),
        ("59-bad-secret-refs.json", "/secrets/blank/source: "),
        ("59-bad-secret-refs.json", "/container/volumes(0): "),
        ("62-bad-misc-values.json", "/cpus: "),
        ("62-bad-misc-values.json", "/gpus: "),
        ("62-bad-misc-values.json", "/backoffFactor: "),
        ("62-bad-misc-values.json", "/instances: "),
        ("62-bad-misc-values.json", "/env/N: "),
    ] {
        let text = lines(&sample(file).expect_err(file));
        let found = text.lines().any(|line| line.starts_with(place));
        assert!(found, "{file}: nothing at {place} in\n{text}");
    }
}
