//! The settings in force, as `config show` prints them: TOML that could be given back as a
//! `--config` file but for its secrets, which are hidden.

use std::fmt::Write as _;

use super::check::{SECRETS, is_set};
use super::rule::RULES;
use super::source::Gathered;
use crate::domain::mask_passwords;

/// All settings, a section after the other.
pub(super) fn to_toml(settings: &Gathered) -> String {
    let mut shown = String::new();
    let mut last_section = "";
    for (section, key, _) in RULES {
        let name = format!("{section}.{key}");
        let Some(value) = settings.value(&name) else { continue };
        if *section != last_section {
            let gap = if last_section.is_empty() { "" } else { "\n" };
            push(&mut shown, format_args!("{gap}[{section}]\n"));
            last_section = section;
        }
        let value = match value.as_str() {
            Some(url) if SECRETS.contains(&name.as_str()) => hide_password(url).into(),
            _ => value.clone(),
        };
        push(&mut shown, format_args!("{key} = {value}"));
        let source = settings.source(&name);
        if is_set(&source) {
            push(&mut shown, format_args!("  # {source}"));
        }
        shown.push('\n');
    }
    shown
}

fn push(shown: &mut String, text: std::fmt::Arguments<'_>) {
    shown.write_fmt(text).expect("a String takes any text");
}

/// All between the first `:` of the authority and the last `@` is hidden: a text that was meant as
/// a URL may hold a password anywhere there.
fn hide_password(url: &str) -> String {
    if url.is_empty() {
        return String::new();
    }
    let Some((scheme, rest)) = url.split_once("://") else { return "***".to_owned() };
    let hidden = match rest.rsplit_once('@') {
        Some((credentials, address)) => {
            let user = credentials.split_once(':').map_or(credentials, |(user, _)| user);
            let user = if user.contains(['/', '@']) { "" } else { user };
            format!("{scheme}://{user}:***@{address}")
        }
        None => url.to_owned(),
    };
    mask_passwords(&hidden).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_urls_are_hidden() {
        for (url, shown) in [
            ("", ""),
            ("rabbit://u:p@h:5672/v", "rabbit://u:***@h:5672/v"),
            ("rabbit://u:1/2@h", "rabbit://u:***@h"),
            ("rabbit://u:p@h1,v:q@h2/", "rabbit://u:***@h2/"),
            ("postgres://u@h/db?password=s", "postgres://u:***@h/db?password=***"),
            ("mysql://h/db", "mysql://h/db"),
            ("u:p@h", "***"),
        ] {
            assert_eq!(hide_password(url), shown);
        }
    }
}
