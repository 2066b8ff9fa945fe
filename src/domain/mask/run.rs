//! Steps over a text: white space, quotes, and runs of characters up to one that ends them.

/// Python's `\s`.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

pub(super) fn is_quote(character: char) -> bool {
    matches!(character, '\'' | '"')
}

pub(super) fn end_of_run(text: &str, start: usize, ends: impl Fn(char) -> bool) -> usize {
    text[start..].find(ends).map_or(text.len(), |length| start + length)
}

pub(super) fn skip_space(text: &str, start: usize) -> usize {
    end_of_run(text, start, |c| !is_space(c))
}

/// Skips `sign`, if it stands there, and the white space after it.
pub(super) fn skip_space_after(text: &str, start: usize, sign: char) -> Option<usize> {
    text[start..].starts_with(sign).then(|| skip_space(text, start + sign.len_utf8()))
}

/// The end of the run in which a position lies, remembered: many keys in one long word must not
/// each walk to its end.
#[derive(Debug, Default)]
pub(super) struct Run {
    start: usize,
    end: usize,
    /// The last `@` in it.
    pub last_at: Option<usize>,
}

impl Run {
    pub fn end(&mut self, text: &str, start: usize, ends: impl Fn(char) -> bool) -> usize {
        self.end_by(text, start, |start| end_of_run(text, start, ends))
    }

    pub fn end_by(&mut self, text: &str, start: usize, end: impl FnOnce(usize) -> usize) -> usize {
        if !(self.start..self.end).contains(&start) {
            self.start = start;
            self.end = end(start);
            self.last_at = text[start..self.end].rfind('@').map(|at| start + at);
        }
        self.end
    }
}
