//! oslo.config's grammar of files (`oslo_config/iniparser.py` and `ConfigParser` in
//! `oslo_config/cfg.py`, 10.7): takes text, gives assignments in their order, or the first line that
//! oslo.config would refuse too. Never repeats a line: it may hold a secret.
//!
//! ```text
//! [section]            a name of any text, to the end of the line
//! # comment            only at a line's start; `;` too
//! name = value         or `name: value`; one pair of quotes around the value is taken off
//!     more             an indented line goes on with the value, up to a blank line or a comment
//! ```

/// One value, as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The section as oslo.config compares it: in lower case, but for `DEFAULT`.
    pub section: String,
    /// The option; its case counts.
    pub option: String,
    /// The value, lines joined by line feeds, before substitution.
    pub value: String,
    /// Where it begins, counted from 1.
    pub line: usize,
}

/// What oslo.config refuses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Counted from 1.
    pub line: usize,
    /// What is accepted there.
    pub reason: &'static str,
}

/// Reads the text of a file.
pub(super) fn parse(text: &str) -> Result<Vec<Assignment>, Mistake> {
    // As Python reads text files.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut assignments: Vec<Assignment> = Vec::new();
    let mut section = None;
    let mut goes_on = false;
    for (index, line) in text.split('\n').enumerate() {
        let mistake = |reason| Mistake { line: index + 1, reason };
        let line = line.trim_end_matches(is_space);
        if line.starts_with([' ', '\t']) {
            let last = assignments.last_mut().filter(|_| goes_on).ok_or_else(|| {
                mistake("an indented line goes on with a value, and there is none before it")
            })?;
            last.value.push('\n');
            last.value.push_str(line.trim_start_matches(is_space));
            continue;
        }
        goes_on = false;
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.strip_suffix(']').filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| mistake("a section is `[NAME]` and nothing after it"))?;
            section = Some(normalize(name));
            continue;
        }
        let (option, value) =
            line.split_once([':', '=']).ok_or_else(|| mistake("a value is `NAME = VALUE`"))?;
        let option = option.trim_matches(is_space);
        if option.is_empty() {
            return Err(mistake("there is no name before the `=`"));
        }
        let section = section
            .clone()
            .ok_or_else(|| mistake("a section such as `[DEFAULT]` comes before the first value"))?;
        let value = without_quotes(value.trim_matches(is_space)).to_owned();
        assignments.push(Assignment { section, option: option.to_owned(), value, line: index + 1 });
        goes_on = true;
    }
    Ok(assignments)
}

/// A section's name as it is compared.
pub(super) fn normalize(section: &str) -> String {
    if section == "DEFAULT" { section.to_owned() } else { section.to_lowercase() }
}

/// Python's `str.isspace`, which knows four control characters more.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// One pair around all of it; a lonely quote is its own pair, as in oslo.config.
fn without_quotes(value: &str) -> &str {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    match quote {
        Some(quote) if value.ends_with(quote) => {
            value.get(1..value.len().max(2) - 1).unwrap_or_default()
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, String, usize)> {
        let assignments = parse(text).unwrap();
        assignments.into_iter().map(|a| (a.section, a.option, a.value, a.line)).collect()
    }

    fn one(text: &str) -> String {
        let mut all = parse(&format!("[DEFAULT]\n{text}")).unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0).value
    }

    #[test]
    fn sections_are_compared_without_case_but_for_default() {
        let text = "[DEFAULT]\na = 1\n[Oslo_Messaging_Rabbit]\r\nB: 2\r[default]\nc=3";
        let line = |s: &str, o: &str, v: &str, l| (s.to_owned(), o.to_owned(), v.to_owned(), l);
        assert_eq!(
            read(text),
            [
                line("DEFAULT", "a", "1", 2),
                line("oslo_messaging_rabbit", "B", "2", 4),
                line("default", "c", "3", 6)
            ]
        );
    }

    #[test]
    fn values_are_read_as_oslo_config_reads_them() {
        for (text, value) in [
            ("a =", ""),
            ("a:=b", "=b"),
            ("a = b # no comment", "b # no comment"),
            ("a = rabbit://u:p@h", "rabbit://u:p@h"),
            ("a : b=c", "b=c"),
            ("a = ' b '", " b "),
            ("a = \"b'", "\"b'"),
            ("a = \"\"", ""),
            ("a = '", ""),
            ("a = \u{e4}", "\u{e4}"),
            ("a = b\n  c\n\t d \n# e", "b\nc\nd"),
            ("a = 'b'\n 'c'", "b\n'c'"),
            ("a =\n  # in it", "\n# in it"),
            ("a = b\u{a0}\u{1f}", "b"),
        ] {
            assert_eq!(one(text), value, "{text:?}");
        }
    }

    #[test]
    fn what_oslo_config_refuses_is_refused_with_its_line() {
        for (text, line) in [
            ("a = secret", 1),
            ("[DEFAULT]\nsecret", 2),
            ("[DEFAULT]\n= secret", 2),
            ("[DEFAULT", 1),
            ("[]", 1),
            ("[DEFAULT] # secret", 1),
            (" secret", 1),
            ("[DEFAULT]\na = b\n\n  secret", 4),
            ("[DEFAULT]\na = b\n# c\n  secret", 4),
            ("\u{feff}[DEFAULT]\na = secret", 1),
        ] {
            let mistake = parse(text).unwrap_err();
            assert_eq!(mistake.line, line, "{text:?}");
            assert!(!mistake.reason.contains("secret"));
        }
    }
}
