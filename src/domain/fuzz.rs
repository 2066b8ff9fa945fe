//! Any text at all around a password: it is hidden, whatever is cut or removed.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{clean_reason, mask_passwords};
use crate::fuzz::{hold, is_plain};

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
    proptest::collection::vec(select(SIGNS), 0..12).prop_map(|signs| signs.concat())
}

/// What reveals a value by itself, with a key for `KEY`; only a key before it, whose value its name
/// would be, takes that away, as it does for oslo.utils.
const REVEALED: &[&str] = &[
    " KEY=PLANTED ",
    " KEY = \"PLANTED\" ",
    " KEY='abcdPLANTED",
    " KEY 'PLANTED' ",
    " 'KEY': 'PLANTED', ",
    " \"x_KEY\": u'PLANTED'}",
    " 'KEY', '--value', 'PLANTED' ",
    " <KEY>PLANTED</KEY> ",
    " --KEY PLANTED ",
    " KEY --value PLANTED ",
    " http://u:PLANTED@h/ ",
    " http://u:abc@PLANTED@h/ ",
    " http://u:abc/PLANTED@h ",
    " rabbit://u:abc@h1:5672,v:PLANTED@h2/ ",
];

/// oslo.utils' `_SANITIZE_KEYS`.
const KEYS: &[&str] = &[
    "adminPass",
    "admin_pass",
    "password",
    "admin_password",
    "auth_token",
    "new_pass",
    "auth_password",
    "secret_uuid",
    "secret",
    "sys_pswd",
    "token",
    "configdrive",
    "CHAPPASSWORD",
    "encrypted_key",
    "private_key",
    "fernetkey",
    "sslkey",
    "passphrase",
    "cephclusterfsid",
    "octaviaheartbeatkey",
    "rabbitcookie",
    "cephmanilaclientkey",
    "pacemakerremoteauthkey",
    "designaterndckey",
    "cephadminkey",
    "heatauthencryptionkey",
    "cephclientkey",
    "keystonecredential",
    "barbicansimplecryptokek",
    "cephrgwkey",
    "swifthashsuffix",
    "migrationsshkey",
    "cephmdskey",
    "cephmonkey",
    "chapsecret",
];

fn revealed() -> impl Strategy<Value = String> {
    (select(REVEALED), select(KEYS)).prop_map(|(form, key)| form.replace("KEY", key))
}

#[test]
fn no_text_around_it_reveals_a_password() {
    hold((signs(), revealed(), mixed()), |(before, secret, after)| {
        let text = format!("{before}{secret}{after}");
        let masked = mask_passwords(&text);
        prop_assert!(!masked.contains("PLANTED"), "{}", text);
        prop_assert_eq!(mask_passwords(&masked), masked.as_ref());
        Ok(())
    });
}

#[test]
fn no_half_of_a_password_is_left_in_a_reason_of_any_length() {
    let hidden = prop_oneof![Just("\u{202e}"), Just("\u{0}"), Just("\u{200f}"), Just("")];
    let inputs = (signs(), revealed(), mixed(), 0..200_usize, any::<Index>(), hidden);
    hold(inputs, |(before, secret, after, limit, at, hidden)| {
        // What is removed before a text is shown must not keep a key from being seen.
        let (left, right) = secret.split_at(at.index(secret.len()));
        let text = format!("{before}{left}{hidden}{right}{after}");
        let shown = clean_reason(&text, limit).unwrap_or_default();
        prop_assert!(!shown.contains("PLA") && is_plain(&shown), "{}", shown);
        prop_assert!(shown.chars().count() <= limit, "{}", shown);
        Ok(())
    });
}

#[test]
fn a_text_of_anything_again_and_again_grows_by_its_masks_alone() {
    // That the time grows as the text does is `long_texts_of_many_keys_take_linear_time`'s.
    hold(mixed(), |piece| {
        let text = piece.repeat(4_000 / piece.len().max(1));
        prop_assert!(mask_passwords(&text).len() <= 4 * text.len() + 3);
        Ok(())
    });
}
