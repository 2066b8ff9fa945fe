//! All tests that need a socket or a file, in one binary.

mod store;
mod rest;
mod show;
mod transport;
