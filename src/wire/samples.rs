//! The captured messages of `tests/fixtures/wire`, for tests.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// One captured message.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Sample {
    /// The file's name without its ending.
    #[serde(skip)]
    pub(crate) name: String,
    /// The body as sent.
    pub(crate) body: String,
    /// The inner message, decoded.
    pub(crate) message: Value,
    /// The exchange it was sent to.
    pub(crate) exchange: String,
    /// Its routing key, alone in a list.
    pub(crate) routing_keys: Vec<String>,
    /// Its AMQP properties.
    pub(crate) properties: Value,
}

/// The sample of this name.
pub(crate) fn named(name: &str) -> Sample {
    all().into_iter().find(|sample| sample.name == name).unwrap()
}

/// Every sample, by name.
pub(crate) fn all() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire");
    let mut samples: Vec<Sample> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            Sample { name, ..serde_json::from_str(&text).unwrap() }
        })
        .collect();
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(samples.len(), 27);
    samples
}
