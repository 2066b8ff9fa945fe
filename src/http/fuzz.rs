//! Any query at all: typed values within their bounds, or a refusal in few words; and a `next` link
//! that asks the same again.

use axum::extract::Query;
use axum::http::{HeaderMap, Uri};
use proptest::prelude::*;
use proptest::sample::select;

use super::fault::Fault;
use super::link::next_links;
use super::query::{MAX_LIMIT, Parameters};
use super::shape::read_event_id;
use crate::fuzz::{damaged_text, hold};
use crate::store::RestoreColumn;

const QUERIES: [&str; 7] = [
    "limit=10&offset=20&marker=f30fe76e-4715-4cf8-aff3-13deea7170c3",
    "sort=status:asc,project_id,created_at:desc&all_tenants=1",
    "sort_key=id&sort_dir=asc&limit=-1",
    "status=success&project_id=p%20q&provider_id=%C3%A9",
    "status=error,not_begun&status=available&limit=9999999999999999999999",
    "marker=0191d1c0-0000-7000-8000-000000000001:18446744073709551615&limit=+7",
    "all_tenants=perhaps&colour=red&colour=%zz&&=&a",
];

fn queries() -> impl Strategy<Value = String> {
    let value = prop_oneof![any::<String>(), any::<i128>().prop_map(|number| number.to_string())];
    let named = (select(NAMES), value).prop_map(|(name, value)| (name, value));
    let known = (select(NAMES), select(VALUES)).prop_map(|(name, value)| (name, value.to_owned()));
    let long =
        (select(NAMES), 600..2000_usize).prop_map(|(name, length)| (name, "x".repeat(length)));
    let encoded = prop_oneof![4 => named, 8 => known, 1 => long].prop_map(|(name, value)| {
        let all = percent_encoding::NON_ALPHANUMERIC;
        format!("{name}={}", percent_encoding::utf8_percent_encode(&value, all))
    });
    let many = proptest::collection::vec(encoded, 0..8).prop_map(|pairs| pairs.join("&"));
    prop_oneof![damaged_text(&QUERIES, &[]), many]
}

const NAMES: &[&str] = &[
    "limit",
    "offset",
    "marker",
    "sort",
    "sort_key",
    "sort_dir",
    "status",
    "all_tenants",
    "project_id",
    "provider_id",
    "id",
];
const VALUES: &[&str] = &[
    "0",
    "-0",
    "1",
    "1000",
    "1001",
    "4294967296",
    "2147483647",
    "2147483648",
    "status:asc,status:desc",
    "id,created_at:asc,id:desc",
    "id",
    "desc",
    "success",
    "error",
    "true",
    "0191d1c0-0000-7000-8000-000000000001:7",
];

/// As the extractor reads it; `None` where it refuses it.
fn read(query: &str) -> Option<(Uri, Parameters)> {
    let uri: Uri = format!("/v1/p/restores?{query}").parse().ok()?;
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&uri).ok()?;
    Some((uri, Parameters(pairs)))
}

fn is_brief<T>(taken: &Result<T, Fault>) -> bool {
    taken.as_ref().err().is_none_or(|fault| format!("{fault:?}").len() < 600)
}

#[test]
fn parameters_are_within_their_bounds_or_refused() {
    hold(queries(), |query| {
        let Some((_, sent)) = read(&query) else { return Ok(()) };
        let mut parameters = sent.clone();
        let limit = parameters.take_limit();
        prop_assert!(limit.iter().all(|limit| (1..=MAX_LIMIT).contains(limit)) && is_brief(&limit));
        let offset = parameters.take_offset();
        prop_assert!(offset.iter().all(|offset| *offset <= 0x7FFF_FFFF) && is_brief(&offset));
        let sort = parameters.take_sort();
        prop_assert!(is_brief(&sort));
        if let Ok(keys) = &sort {
            // Two keys at least, so that the order is one; each column once, so that it ends.
            prop_assert!((2..=8).contains(&keys.len()));
            prop_assert!((1..keys.len()).all(|n| keys[..n].iter().all(|key| key.0 != keys[n].0)));
        }
        prop_assert!(is_brief(&parameters.take_all_tenants()));
        prop_assert!(is_brief(&sent.clone().take_statuses()));
        for is_admin in [true, false] {
            let filters = parameters.clone().into_filters(is_admin).unwrap_or_default();
            let is_first = |n: usize| filters[..n].iter().all(|one| one.0 != filters[n].0);
            prop_assert!((0..filters.len()).all(is_first));
            let only_status = filters.iter().all(|one| one.0 == RestoreColumn::Status);
            prop_assert!(is_admin || only_status);
        }
        if let Some((publisher, number)) =
            sent.clone().take("marker").as_deref().and_then(read_event_id)
        {
            let again = read_event_id(&format!("{publisher}:{number}"));
            prop_assert_eq!(again, Some((publisher, number)));
        }
        Ok(())
    });
}

#[test]
fn the_next_link_asks_the_same_of_the_next_place() {
    hold(queries(), |query| {
        let Some((uri, sent)) = read(&query) else { return Ok(()) };
        let links = next_links(None, &HeaderMap::new(), &uri, sent.clone(), ("marker", "m"));
        let href = links[0]["href"].as_str().expect("a text");
        let (_, query) = href.split_once('?').expect("a query");
        let (_, mut again) = read(query).expect("a link that can be followed");
        // Once, and not behind the last one's.
        let markers = again.0.iter().filter(|(name, _)| name == "marker").count();
        prop_assert_eq!((again.take("marker"), markers), (Some("m".to_owned()), 1));
        let mut sent = sent;
        for place in ["marker", "offset"] {
            sent.take(place);
        }
        prop_assert_eq!(again, sent);
        Ok(())
    });
}
