//! x
/// x
#[derive(Debug, Clone)]
pub struct AliasTable;
/// x
#[derive(Debug)]
pub struct BadAlias;
