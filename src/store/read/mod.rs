//! What REST, `get_restore` and `show` read: restores, their resources, their timeline.
//!
//! Takes queries, gives plain values, changes nothing. What is ours is read from our rows, since
//! Karbor's dictionaries follow them; a restore that only Karbor's table has is shown by its
//! columns. Deleted restores are not there. A page is bounded by its limit, and what it shows is
//! one moment's state.

mod restore;
mod list;
mod resource;
mod event;
mod selection;

use crate::domain::{Counts, ResourceKey, ResourceStatus};

/// What a restore's dictionaries show of one resource.
type Shown = (ResourceKey, ResourceStatus, Option<String>);

/// Counts what is shown.
fn count(shown: &[Shown], expected: u64) -> Counts {
    let mut counts = Counts { expected, ..Counts::default() };
    for (_, status, _) in shown {
        *counts.of_mut(*status) += 1;
    }
    counts
}
