pub mod contract;
pub use contract::*;
