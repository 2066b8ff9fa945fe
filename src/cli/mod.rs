//! What the commands do: takes settings and a store, prints for a reader. One file a command.

pub mod show;
