//! Any text at all around a password: it is hidden, whatever is cut, in time that grows as the text.

use proptest::prelude::*;

use super::{clean_reason, mask_passwords};
use crate::fuzz::hold;

/// Texts in which passwords, quotes and flags meet in every way.
pub(super) fn mixed() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("password"),
            Just("admin_pass"),
            Just("token"),
            Just("secret"),
            Just("--"),
            Just("-"),
            Just("="),
            Just(" "),
            Just("'"),
            Just("\""),
            Just(":"),
            Just(","),
            Just("<"),
            Just(">"),
            Just("</"),
            Just("://"),
            Just("@"),
            Just("u"),
            Just("abc"),
            Just("1"),
            Just("***"),
            Just("\n"),
            Just("é"),
            Just("\u{202e}"),
            Just("\\"),
            Just("/"),
            Just("}"),
            Just("^"),
        ],
        0..40,
    )
    .prop_map(|words| words.concat())
}

/// What stands between words.
fn signs() -> impl Strategy<Value = String> {
    const SIGNS: &[&str] =
        &["=", " ", "'", "\"", ":", ",", "<", ">", "://", "@", "abc", "é", "\\", "/", "}"];
    proptest::collection::vec(proptest::sample::select(SIGNS), 0..12)
        .prop_map(|signs| signs.concat())
}

/// What reveals a value by itself; only a key before it, whose value its name would be, takes that
/// away, as it does for oslo.utils.
const REVEALED: &[&str] = &[
    " password=PLANTED ",
    " 'auth_token': 'PLANTED', ",
    " http://u:PLANTED@h/ ",
    " <secret>PLANTED</secret> ",
    " --token PLANTED ",
    " admin_pass = \"PLANTED\" ",
];

#[test]
fn no_text_around_it_reveals_a_password() {
    let revealed = proptest::sample::select(REVEALED);
    hold((signs(), revealed, mixed()), |(before, secret, after)| {
        let text = format!("{before}{secret}{after}");
        prop_assert!(!mask_passwords(&text).contains("PLANTED"), "{}", text);
        let shown = clean_reason(&text, 100).unwrap_or_default();
        prop_assert!(!shown.contains("PLANTED") && shown.chars().count() <= 100, "{}", shown);
        Ok(())
    });
}

#[test]
fn a_long_text_of_anything_again_and_again_is_masked_in_time() {
    // Quadratic time would be minutes: the runner ends a test that long.
    hold(mixed(), |piece| {
        let text = piece.repeat(4_000 / piece.len().max(1));
        prop_assert!(mask_passwords(&text).len() <= 4 * text.len() + 3);
        Ok(())
    });
}
