//! x
/// x
pub fn clean_name() {}
/// x
pub fn clean_reason() {}
/// x
pub fn mask_passwords() {}
