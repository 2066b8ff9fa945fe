//! Gathers settings from the compiled-in defaults, `--config` files and the environment: later
//! wins, key by key. Takes texts, gives every key of [`RULES`] in its proper type with where it
//! comes from. Error texts never hold a line of a file: it may hold a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::{ConfigError, Map, Value, ValueKind};

use super::error::{SettingsError, Source};
use super::file::read_file;
use super::misspelt;
use super::rule::{RULES, Rule};
use crate::domain::mask_passwords;

/// What the environment variables of settings begin with.
pub(super) const PREFIX: &str = "KARBOR_RESTORE__";
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The environment variable of a setting.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// All settings in their types, by `section.key`, and where each comes from.
#[derive(Default)]
pub(super) struct Gathered {
    values: BTreeMap<String, (toml::Value, Source)>,
    warnings: Vec<String>,
    details: Vec<String>,
}

impl Gathered {
    /// Where a setting comes from.
    pub fn source(&self, key: &str) -> Source {
        self.values.get(key).map_or(Source::Default, |(_, source)| source.clone())
    }

    /// A setting that is a text.
    pub fn text(&self, key: &str) -> &str {
        self.values.get(key).and_then(|(value, _)| value.as_str()).unwrap_or_default()
    }

    /// A setting's value.
    pub fn value(&self, key: &str) -> Option<&toml::Value> {
        self.values.get(key).map(|(value, _)| value)
    }

    /// What the operator should know, though nothing is wrong with what is set.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What is not read.
    pub fn details(&self) -> &[String] {
        &self.details
    }

    /// Adds a warning; it must hold no value that may be secret. Names in it are anybody's.
    pub fn warn(&mut self, text: &str) {
        self.warnings.push(mask_passwords(text).into_owned());
    }

    /// Adds a detail, under the same rule.
    pub fn note(&mut self, text: &str) {
        self.details.push(mask_passwords(text).into_owned());
    }

    /// Sets a value, with where it comes from.
    pub fn set(&mut self, key: &str, value: toml::Value, source: Source) {
        self.values.insert(key.to_owned(), (value, source));
    }

    /// Replaces a setting's text; where it was set stays.
    pub fn set_text(&mut self, key: &str, text: String) {
        self.set_text_from(key, text, self.source(key));
    }

    /// Replaces a setting's text by one of another source.
    pub fn set_text_from(&mut self, key: &str, text: String, source: Source) {
        self.values.insert(key.to_owned(), (text.into(), source));
    }

    /// A bad value's error.
    pub fn bad(&self, key: &str, accepted: impl Into<String>) -> SettingsError {
        SettingsError::BadValue {
            key: key.to_owned(),
            source_name: self.source(key),
            accepted: accepted.into(),
        }
    }

    /// As one table of sections.
    pub fn to_table(&self) -> toml::Table {
        let mut sections = toml::Table::new();
        for (section, key, _) in RULES {
            let table = sections
                .entry(*section)
                .or_insert_with(|| toml::Table::new().into())
                .as_table_mut()
                .expect("sections are tables");
            if let Some(value) = self.value(&format!("{section}.{key}")) {
                table.insert((*key).to_owned(), value.clone());
            }
        }
        sections
    }
}

/// Reads the defaults, then `files`, then `environment`.
pub(super) fn gather(
    files: &[PathBuf],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Gathered, SettingsError> {
    let mut builder =
        config::Config::builder().add_source(Layer::parse(&Source::Default, DEFAULTS)?);
    for path in files {
        let text = read_file(path, "--config")?;
        builder = builder.add_source(Layer::parse(&Source::File(path.clone()), &text)?);
    }
    let mut misspelt = Vec::new();
    for (name, text) in environment {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            builder = builder.add_source(Layer::of_variable(&name, rest, &text)?);
        }
        misspelt.extend(misspelt::warning(&name));
    }
    let merged = builder.build().expect("layers are tables in memory").cache;
    let mut gathered = check(merged)?;
    for warning in &misspelt {
        gathered.warn(warning);
    }
    Ok(gathered)
}

/// What one source says.
#[derive(Debug, Clone)]
struct Layer {
    sections: Map<String, Value>,
}

impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.sections.clone())
    }
}

impl Layer {
    fn parse(source: &Source, text: &str) -> Result<Self, SettingsError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let offset = error.span().map_or(0, |span| span.start).min(text.len());
            let line = 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
            let path = match source {
                Source::File(path) => path.clone(),
                _ => PathBuf::from("default.toml"),
            };
            SettingsError::NotToml { path, line, reason: first_line(error.message()) }
        })?;
        let origin = to_origin(source);
        let sections = table
            .into_iter()
            .map(|(key, value)| match to_value(&origin, value) {
                section if is_plain(&key) => Ok((key, section)),
                _ => Err(unknown_section(&key, source.clone())),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { sections })
    }

    fn of_variable(name: &str, rest: &str, text: &str) -> Result<Self, SettingsError> {
        let source = Source::Variable(name.to_owned());
        let origin = to_origin(&source);
        let path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        let [section, keys @ ..] = path.as_slice() else {
            unreachable!("a split text has a first part");
        };
        if keys.is_empty() || !is_plain(section) {
            return Err(unknown_section(section, source));
        }
        let mut value = Value::new(Some(&origin), text);
        for key in keys.iter().rev() {
            value = Value::new(Some(&origin), Map::from_iter([(key.clone(), value)]));
        }
        Ok(Self { sections: Map::from_iter([(section.clone(), value)]) })
    }
}

/// What `config` takes for a key and not for a path.
fn is_plain(section: &str) -> bool {
    !section.is_empty() && section.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Checks every key and value, whichever source it came from.
fn check(merged: Value) -> Result<Gathered, SettingsError> {
    let mut gathered = Gathered::default();
    let ValueKind::Table(sections) = merged.kind else { return Ok(gathered) };
    // Sorted, so that of several mistakes the same is named each time.
    for (section, value) in BTreeMap::from_iter(sections) {
        let source = from_origin(&value);
        if !RULES.iter().any(|(known, ..)| *known == section) {
            return Err(unknown_section(&section, source));
        }
        let ValueKind::Table(keys) = value.kind else {
            return Err(SettingsError::BadValue {
                key: section,
                source_name: source,
                accepted: "a table".to_owned(),
            });
        };
        for (key, value) in BTreeMap::from_iter(keys) {
            let rule = find_rule(&section, &key, &value)?;
            let name = format!("{section}.{key}");
            let source = from_origin(&value);
            let Some(value) = rule.read(&value) else {
                let accepted = rule.accepted();
                return Err(SettingsError::BadValue { key: name, source_name: source, accepted });
            };
            gathered.values.insert(name, (value, source));
        }
    }
    Ok(gathered)
}

fn find_rule(section: &str, key: &str, value: &Value) -> Result<&'static Rule, SettingsError> {
    let mut in_section = RULES.iter().filter(|(known, ..)| *known == section);
    if let Some((.., rule)) = in_section.clone().find(|(_, known, _)| *known == key) {
        return Ok(rule);
    }
    let first = in_section.next().map_or("", |(_, key, _)| *key);
    let accepted =
        in_section.fold(format!("`{section}` has `{first}`"), |mut list, (_, key, _)| {
            list.push_str(", `");
            list.push_str(key);
            list.push('`');
            list
        });
    Err(unknown_key(&format!("{section}.{key}"), from_origin(value), accepted))
}

fn unknown_section(section: &str, source_name: Source) -> SettingsError {
    let mut sections: Vec<&str> = RULES.iter().map(|(section, ..)| *section).collect();
    sections.dedup();
    let accepted = format!("sections are `{}`", sections.join("`, `"));
    unknown_key(section, source_name, accepted)
}

/// What was given as a key may be a value that came before its key.
fn unknown_key(key: &str, source_name: Source, accepted: String) -> SettingsError {
    SettingsError::UnknownKey { key: mask_passwords(key).into_owned(), source_name, accepted }
}

/// `config` keeps where a value comes from as a text.
fn to_origin(source: &Source) -> String {
    match source {
        Source::Default => String::new(),
        Source::File(path) => format!("file {}", path.display()),
        Source::Variable(name) => format!("variable {name}"),
        Source::OsloFile(_) => unreachable!("those fill in what the layers leave open"),
    }
}

fn from_origin(value: &Value) -> Source {
    // A table is as old as its oldest key; the newest says more.
    let origin = match &value.kind {
        ValueKind::Table(table) => {
            table.values().filter_map(Value::origin).max().or(value.origin()).unwrap_or_default()
        }
        _ => value.origin().unwrap_or_default(),
    };
    match origin.split_once(' ') {
        Some(("file", path)) => Source::File(path.into()),
        Some(("variable", name)) => Source::Variable(name.to_owned()),
        _ => Source::Default,
    }
}

fn to_value(origin: &String, value: toml::Value) -> Value {
    let kind = match value {
        toml::Value::String(text) => ValueKind::from(text),
        toml::Value::Integer(number) => ValueKind::from(number),
        toml::Value::Float(number) => ValueKind::from(number),
        toml::Value::Boolean(flag) => ValueKind::from(flag),
        toml::Value::Datetime(time) => ValueKind::from(time.to_string()),
        toml::Value::Array(items) => {
            ValueKind::Array(items.into_iter().map(|item| to_value(origin, item)).collect())
        }
        toml::Value::Table(table) => ValueKind::Table(
            table.into_iter().map(|(key, value)| (key, to_value(origin, value))).collect(),
        ),
    };
    Value::new(Some(origin), kind)
}
