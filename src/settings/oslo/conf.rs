//! Several files as oslo.config sees them together (`_Namespace` and `ConfigOpts._substitute` in
//! `oslo_config/cfg.py`, 10.7): takes assignments, gives an option's value with its place, its `$`
//! references replaced.
//!
//! Of a later file, and within it of a later line, the value counts; an option that may be given
//! several times has them all.

use std::path::{Path, PathBuf};

use super::ini::{Assignment, parse};
use crate::settings::error::{OsloPlace, SettingsError, Source};
use crate::settings::file::read_file;

/// A section and an option.
pub(super) type Name = (&'static str, &'static str);

/// The files that were given, in their order.
#[derive(Default)]
pub(super) struct OsloConf {
    files: Vec<(PathBuf, Vec<Assignment>)>,
}

/// A value and the file it stands in.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    /// The file.
    pub path: &'a Path,
    /// What stands there.
    pub assignment: &'a Assignment,
}

/// A `$` reference names what no file sets, or itself. Which one is not said: in a URL it may be a
/// part of a password.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadReference;

impl OsloConf {
    /// Reads `files`.
    pub fn read(files: &[PathBuf]) -> Result<Self, SettingsError> {
        let read = |path: &PathBuf| -> Result<_, SettingsError> {
            let text = read_file(path, "--oslo-config")?;
            let assignments = parse(&text).map_err(|mistake| SettingsError::NotOsloConfig {
                path: path.clone(),
                line: mistake.line,
                reason: mistake.reason,
            })?;
            Ok((path.clone(), assignments))
        };
        Ok(Self { files: files.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Every value there is.
    pub fn all(&self) -> impl Iterator<Item = Found<'_>> {
        self.files.iter().flat_map(|(path, assignments)| {
            assignments.iter().map(move |assignment| Found { path, assignment })
        })
    }

    /// All values of an option that goes by these names, as of a `MultiOpt`.
    pub fn values(&self, names: &[Name]) -> Vec<Found<'_>> {
        self.all().filter(|found| names.iter().any(|name| found.is(*name))).collect()
    }

    /// The value of an option; in one file an earlier name wins over a later one.
    pub fn value(&self, names: &[Name]) -> Option<Found<'_>> {
        self.files.iter().rev().find_map(|(path, assignments)| {
            let last = |name: &Name| {
                let mut found = assignments.iter().map(|assignment| Found { path, assignment });
                found.rfind(|found| found.is(*name))
            };
            names.iter().find_map(last)
        })
    }

    /// A value with its references replaced by what they name: `$NAME` and `${NAME}` in its own
    /// section or else in `[DEFAULT]`, `$SECTION.NAME`; `$$` and `\$` are a `$`.
    pub fn substitute(&self, found: Found<'_>) -> Result<String, BadReference> {
        self.substitute_below(found, &mut Vec::new())
    }

    fn substitute_below<'a>(
        &'a self,
        found: Found<'a>,
        under_way: &mut Vec<*const Assignment>,
    ) -> Result<String, BadReference> {
        let own = std::ptr::from_ref(found.assignment);
        if under_way.contains(&own) {
            return Err(BadReference);
        }
        under_way.push(own);
        let value = found.assignment.value.replace("\\$", "$$");
        let mut rest = value.as_str();
        let mut replaced = String::with_capacity(rest.len());
        while let Some((before, after)) = rest.split_once('$') {
            replaced.push_str(before);
            rest = match read_reference(after) {
                Reference::Dollar(after) => {
                    replaced.push('$');
                    after
                }
                Reference::Named(name, after) => {
                    let named =
                        self.resolve(&found.assignment.section, name).ok_or(BadReference)?;
                    replaced.push_str(&self.substitute_below(named, under_way)?);
                    after
                }
            };
        }
        replaced.push_str(rest);
        under_way.pop();
        Ok(replaced)
    }

    fn resolve(&self, section: &str, name: &str) -> Option<Found<'_>> {
        let last = |section: &str, option: &str| {
            let is = |found: &Found<'_>| {
                found.assignment.section == section && found.assignment.option == option
            };
            self.all().filter(is).last()
        };
        let elsewhere = name.split_once('.').and_then(|(section, option)| last(section, option));
        elsewhere.or_else(|| last(section, name)).or_else(|| last("DEFAULT", name))
    }
}

impl Found<'_> {
    /// Whether it is a value of this option.
    pub fn is(&self, (section, option): Name) -> bool {
        self.assignment.section == section && self.assignment.option == option
    }

    /// Where it stands, as a source of a setting.
    pub fn source(&self) -> Source {
        Source::OsloFile(Box::new(OsloPlace {
            path: self.path.to_owned(),
            line: self.assignment.line,
            section: self.assignment.section.clone(),
            option: self.assignment.option.clone(),
        }))
    }
}

enum Reference<'a> {
    /// A `$` that is one, and what follows.
    Dollar(&'a str),
    /// A name, and what follows.
    Named(&'a str, &'a str),
}

/// What stands behind a `$` (`ConfigOpts.Template`: `[_a-z][\._a-z0-9]*`, in any case).
fn read_reference(after: &str) -> Reference<'_> {
    if let Some(after) = after.strip_prefix('$') {
        return Reference::Dollar(after);
    }
    let (braced, text) = match after.strip_prefix('{') {
        Some(text) => (true, text),
        None => (false, after),
    };
    let begins = text.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
    let goes_on = |c: char| matches!(c, '_' | '.') || c.is_ascii_alphanumeric();
    let (name, rest) = text.split_at(text.find(|c| !goes_on(c)).unwrap_or(text.len()));
    match (begins, braced) {
        (true, false) => Reference::Named(name, rest),
        (true, true) if rest.starts_with('}') => Reference::Named(name, &rest[1..]),
        _ => Reference::Dollar(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(texts: &[&str]) -> OsloConf {
        let files = texts.iter().map(|text| (PathBuf::from("f"), parse(text).unwrap()));
        OsloConf { files: files.collect() }
    }

    #[test]
    fn the_last_value_counts_and_many_are_kept_in_order() {
        let conf = conf(&[
            "[DEFAULT]\ndriver = one\nold = two\n[a]\ndriver = three\n[A]\ndriver = four",
            "[DEFAULT]\nold = five",
        ]);
        let names = [("a", "driver"), ("DEFAULT", "old")];
        let values: Vec<_> =
            conf.values(&names).iter().map(|f| f.assignment.value.as_str()).collect();
        assert_eq!(values, ["two", "three", "four", "five"]);
        assert_eq!(conf.value(&names).unwrap().assignment.value, "five");
        assert_eq!(conf.value(&names[..1]).unwrap().assignment.value, "four");
        assert!(conf.value(&[("b", "driver")]).is_none());
    }

    #[test]
    fn references_are_replaced_as_oslo_config_does() {
        for (value, replaced) in [
            ("x${b}y", Some("x1y")),
            ("$b$b", Some("11")),
            ("$s.c and $s.d", Some("2 and 1")),
            ("$$b \\$b ${b $ 5$ $5", Some("$b $b ${b $ 5$ $5")),
            ("$e", Some("a dollar: $")),
            ("$b.", None),
            ("$nothing", None),
            ("$B", None),
            ("$a", None),
            ("$f", None),
        ] {
            let conf = conf(&[&format!(
                "[DEFAULT]\na = {value}\nb = 1\ne = a dollar: $$\nf = $g\ng = $f\n[s]\nb = 0\nc = 2\nd = $DEFAULT.b"
            )]);
            let found = conf.value(&[("DEFAULT", "a")]).unwrap();
            assert_eq!(conf.substitute(found).ok().as_deref(), replaced, "{value}");
        }
        let conf = conf(&["[DEFAULT]\nb = 1\nc = 2\n[s]\na = $b$c\nb = 0"]);
        let found = conf.value(&[("s", "a")]).unwrap();
        assert_eq!(conf.substitute(found).unwrap(), "02");
    }
}
