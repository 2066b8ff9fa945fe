//! Which resources are hidden: what was reported under its source's id, before the new one was
//! known, once another of its type carries that source. What carries another source itself was not
//! reported under its source's id, and stays: of a chain, a pair or a ring nothing is hidden.

use std::collections::HashSet;
use std::hash::Hash;

/// The types and ids that are hidden among all these: type, id, and source where there is one.
pub(super) fn hidden<'r, Type, Id>(
    resources: impl Iterator<Item = (&'r Type, &'r Id, Option<&'r Id>)> + Clone,
) -> HashSet<(&'r Type, &'r Id)>
where
    Type: Eq + Hash + ?Sized,
    Id: Eq + Hash + ?Sized,
{
    let others = resources.filter_map(|(kind, id, source)| {
        let source = source.filter(|source| *source != id)?;
        Some((kind, id, source))
    });
    let mut hidden: HashSet<_> = others.clone().map(|(kind, _, source)| (kind, source)).collect();
    for (kind, id, _) in others {
        hidden.remove(&(kind, id));
    }
    hidden
}

/// The same as a condition in SQL, on the row `r` of `restore_resources`. A macro, so that `concat`
/// takes it.
macro_rules! is_hidden {
    () => {
        "((r.source_id IS NULL OR r.source_id = r.resource_id) \
         AND EXISTS (SELECT 1 FROM restore_resources o \
         WHERE o.restore_id = r.restore_id AND o.resource_type = r.resource_type \
         AND o.source_id = r.resource_id AND o.resource_id <> r.resource_id))"
    };
}
pub(super) use is_hidden;
