//! Characters that a terminal or a page obeys instead of showing them: in text of others they could
//! move the cursor, or turn what stands beside them round.

/// Control characters, and Unicode's Bidi_Control: marks, embeddings and overrides, isolates.
pub(crate) fn is_formatting(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
