//! What a store promises, checked on each of the three databases: each test has a database of its
//! own on a real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod adoption;
mod batches;
pub mod database;
mod dictionaries;
mod early;
mod karbor;
mod migrations;
mod publishers;
mod random;
mod restores;
mod retention;
mod words;
