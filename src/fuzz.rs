//! Bad input in bulk, for tests: what every room that reads what strangers wrote is fed with.
//!
//! Takes sound samples, gives them damaged, and JSON that no sane sender writes. A target lies
//! beside what it feeds (`wire/fuzz.rs` and so on), and says what must hold of any input at all.
//! Each is short unless `FUZZ_SECONDS` says how long it goes on: `scripts/fuzz`.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

/// Put where a secret stands, and looked for in whatever comes out.
pub(crate) const PLANTED: &str = "PLANTED";

/// Inputs of a short run.
const CASES: u32 = 400;

/// Feeds `property` with inputs, for as long as was asked.
pub(crate) fn hold<S>(inputs: S, property: impl Fn(S::Value) -> TestCaseResult)
where
    S: Strategy,
    S::Value: Debug,
{
    let seconds = std::env::var("FUZZ_SECONDS").map_or(0, |text| text.parse().expect("a number"));
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        // Each with a seed of its own, which a failure names with the smallest input that fails.
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        if let Err(failure) = TestRunner::new(config).run(&inputs, &property) {
            panic!("{failure}");
        }
        if Instant::now() >= until {
            return;
        }
    }
}

/// What is put into a sample: signs with a meaning somewhere, and what is hard to read.
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "'",
    "/",
    "//",
    "@",
    "#",
    "?",
    "&",
    "=",
    "%",
    "%2",
    "%00",
    "$",
    "${",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\0",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{feff}",
    "é",
    "😀",
    "null",
    "NaN",
    "1e999",
    "99999999999999999999",
    "-1",
    "\\ud800",
    "\\u0000",
    "--",
    "***",
];

/// One change of a text.
#[derive(Debug, Clone)]
enum Damage {
    Put(Index, &'static str),
    Flood(Index, &'static str, usize),
    Cut(Index, Index),
    Repeat(Index, Index),
    End(Index),
    Byte(Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), select(PIECES)).prop_map(|(at, piece)| Damage::Put(at, piece)),
        2 => (at(), at()).prop_map(|(from, to)| Damage::Cut(from, to)),
        2 => (at(), at()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        1 => at().prop_map(Damage::End),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
    ]
}

/// The same sign again and again.
fn flood() -> impl Strategy<Value = Damage> {
    (any::<Index>(), select(PIECES), 100..2000_usize)
        .prop_map(|(at, piece, count)| Damage::Flood(at, piece, count))
}

impl Damage {
    fn apply(&self, body: &mut Vec<u8>) {
        let length = body.len() + 1;
        let range = |from: &Index, to: &Index| {
            let (from, to) = (from.index(length), to.index(length));
            // Mostly little of it, so that the rest is still worth reading.
            from.min(to)..from.max(to).min(from.min(to) + 40)
        };
        match self {
            Self::Put(at, piece) => {
                let at = at.index(length);
                body.splice(at..at, piece.bytes());
            }
            Self::Flood(at, piece, count) => {
                let at = at.index(length);
                body.splice(at..at, piece.repeat(*count).bytes());
            }
            Self::Cut(from, to) => drop(body.drain(range(from, to))),
            Self::Repeat(from, to) => {
                let range = range(from, to);
                let piece = body[range.clone()].to_vec();
                body.splice(range.end..range.end, piece);
            }
            Self::End(at) => body.truncate(at.index(length)),
            Self::Byte(at, byte) => {
                if let Some(place) = body.get_mut(at.index(length)) {
                    *place = *byte;
                }
            }
        }
    }
}

/// One of `samples` with up to four changes; none of them may touch what `kept` names, but the end of
/// a body may go with all of it that stood there.
pub(crate) fn damaged(
    samples: Vec<Vec<u8>>,
    kept: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    damaged_by(prop_oneof![9 => damage(), 1 => flood()].boxed(), samples, kept)
}

/// The same of texts that an operator writes: none of them is flooded.
pub(crate) fn damaged_text(
    samples: &[&str],
    kept: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let samples = samples.iter().map(|sample| sample.as_bytes().to_vec()).collect();
    damaged_by(damage().boxed(), samples, kept)
        .prop_map(|body| String::from_utf8_lossy(&body).into_owned())
}

fn damaged_by(
    damage: BoxedStrategy<Damage>,
    samples: Vec<Vec<u8>>,
    kept: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    (select(samples), proptest::collection::vec(damage, 0..=4)).prop_map(move |(body, damages)| {
        damages.iter().fold(body, |body, damage| {
            let mut changed = body.clone();
            damage.apply(&mut changed);
            let is_sound = kept.iter().all(|word| match damage {
                // Half of what reveals a secret reveals nothing.
                Damage::End(_) => !is_split(&body, word, changed.len()),
                _ => places(&changed, word).count() == places(&body, word).count(),
            });
            if is_sound { changed } else { body }
        })
    })
}

/// Where a word stands.
fn places(body: &[u8], word: &str) -> impl Iterator<Item = usize> {
    body.windows(word.len())
        .enumerate()
        .filter(|(_, window)| *window == word.as_bytes())
        .map(|(at, _)| at)
}

fn is_split(body: &[u8], word: &str, at: usize) -> bool {
    places(body, word).any(|start| start < at && at < start + word.len())
}

/// JSON text that is sound but odd: keys of `keys` and others, twice at times; texts that are JSON
/// themselves; Python's extras; numbers of any size. Of an entry whose key is in `secret` the value
/// holds [`PLANTED`].
pub(crate) fn json(
    keys: &'static [&'static str],
    secret: &'static [&'static str],
) -> impl Strategy<Value = String> {
    json_of(keys, secret, odd_texts().boxed())
}

/// The same with texts and keys that tell one of `secret` without being JSON objects.
pub(crate) fn json_that_tells(
    keys: &'static [&'static str],
    secret: &'static [&'static str],
) -> impl Strategy<Value = String> {
    json_of(keys, secret, prop_oneof![odd_texts(), told(secret)].boxed())
}

fn odd_texts() -> impl Strategy<Value = String> {
    let texts = ODD_SCALARS.iter().filter(|scalar| scalar.starts_with('"'));
    select(texts.map(|text| (*text).to_owned()).collect::<Vec<_>>())
}

/// A text of JSON that holds what a program prints of a secret, escaped up to three times more.
fn told(secret: &'static [&'static str]) -> impl Strategy<Value = String> {
    const FORMS: &[(&str, &str)] = &[
        ("{'", "': 'PLANTED'}"),
        ("{\"", "\": \"PLANTED\"}"),
        ("", "=PLANTED"),
        ("why: ", " = 'PLANTED'"),
        ("<", ">PLANTED"),
        ("x.", ":\n PLANTED"),
    ];
    (name_of(secret), select(FORMS), 1..=4).prop_map(|(name, (before, after), times)| {
        let text = format!("{before}{name}{after}");
        (0..times).fold(text, |text, _| serde_json::to_string(&text).expect("a text"))
    })
}

/// One of `names`, any letter of which may be escaped.
fn name_of(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    (select(names), any::<Index>(), any::<bool>()).prop_map(|(name, at, is_escaped)| {
        let at = at.index(name.len());
        let letter = name.as_bytes()[at];
        let escaped = format!("{}\\u{letter:04x}{}", &name[..at], &name[at + 1..]);
        if is_escaped { escaped } else { name.to_owned() }
    })
}

fn json_of(
    keys: &'static [&'static str],
    secret: &'static [&'static str],
    texts: BoxedStrategy<String>,
) -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        select(ODD_SCALARS).prop_map(str::to_owned),
        texts.clone(),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a text")),
    ];
    scalar.prop_recursive(5, 60, 6, move |inner| {
        let key = prop_oneof![
            9 => select(keys).prop_map(|key| format!("\"{key}\"")),
            3 => "[a-z_]{0,8}".prop_map(|key| format!("\"{key}\"")),
            1 => texts.clone(),
        ];
        let entry = (key, inner.clone()).prop_map(|(key, value)| format!("{key}: {value}"));
        let planted = prop_oneof![
            Just(format!("\"{PLANTED}\"")),
            Just("null".to_owned()),
            inner.clone().prop_map(|value| format!("[{value}, {{\"x\": \"{PLANTED}\"}}]")),
        ];
        let hidden =
            (name_of(secret), planted).prop_map(|(name, value)| format!("\"{name}\": {value}"));
        let entries = prop_oneof![4 => entry, 1 => hidden];
        prop_oneof![
            4 => proptest::collection::vec(entries, 0..6)
                .prop_map(|entries| format!("{{{}}}", entries.join(", "))),
            1 => proptest::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            1 => inner.prop_map(|text| serde_json::to_string(&text).expect("a text")),
        ]
    })
}

const ODD_SCALARS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1.5",
    "1e400",
    "NaN",
    "Infinity",
    "-Infinity",
    "9223372036854775808",
    "1180591620717411303424",
    "\"\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud83d\"",
    "\"\\u202e\\u001b[2J\"",
    "\"\\u0000\"",
    "\"NaN\"",
    "\"1.0\"",
    "\"1.1\"",
    "\"2.0\"",
    "\"restore\"",
    "\"in_progress\"",
    "\"available\"",
    "\"http://u:p@h\"",
    "\"f30fe76e-4715-4cf8-aff3-13deea7170c3\"",
    "\"OS::Cinder::Volume\"",
];

/// Whether a text would move a cursor or turn what is around it.
pub(crate) fn is_plain(text: &str) -> bool {
    text.chars().all(|c| {
        matches!(c, '\n' | '\t')
            || !(c.is_control()
                || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
                    | '\u{2066}'..='\u{2069}'))
    })
}
