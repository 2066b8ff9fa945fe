//! Query parameters by the rules and in the words of Karbor's API (`karbor/api/common.py`,
//! `karbor/utils.py`, `process_sort_params` in `karbor/db/sqlalchemy/api.py`).
//!
//! Takes the pairs of a query, gives typed values or Karbor's 400. Differences: of a repeated
//! parameter the last counts, and a sort key that is no column is a 400 (Karbor fails with 500).

use crate::domain::ResourceStatus;
use crate::store::{Direction, RestoreColumn};

use super::fault::Fault;

/// Karbor's `osapi_max_limit`: a page never holds more.
pub(super) const MAX_LIMIT: u32 = 1000;

/// Karbor's `db.MAX_INT`.
const MAX_OFFSET: u64 = 0x7FFF_FFFF;

/// The columns that lists are sorted and filtered by, as clients name them.
const COLUMNS: [(&str, RestoreColumn); 8] = [
    ("id", RestoreColumn::Id),
    ("project_id", RestoreColumn::ProjectId),
    ("provider_id", RestoreColumn::ProviderId),
    ("checkpoint_id", RestoreColumn::CheckpointId),
    ("restore_target", RestoreColumn::RestoreTarget),
    ("status", RestoreColumn::Status),
    ("created_at", RestoreColumn::CreatedAt),
    ("updated_at", RestoreColumn::UpdatedAt),
];

/// The parameters of one request, in the order sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters(pub(super) Vec<(String, String)>);

impl Parameters {
    /// Removes a parameter, however often it was sent; the last value counts.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.take_all(name).pop()
    }

    /// Removes a parameter and gives all its values.
    fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, kept) = self.0.drain(..).partition(|(key, _)| key == name);
        self.0 = kept;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// `limit`: positive; at most, and by default, [`MAX_LIMIT`].
    pub(super) fn take_limit(&mut self) -> Result<u32, Fault> {
        let Some(text) = self.take("limit") else { return Ok(MAX_LIMIT) };
        let limit = read_integer(&text)
            .ok_or_else(|| Fault::bad_request("limit param must be an integer"))?;
        if limit <= 0 {
            return Err(Fault::bad_request("limit param must be positive"));
        }
        Ok(u32::try_from(limit).map_or(MAX_LIMIT, |limit| limit.min(MAX_LIMIT)))
    }

    /// `offset`: 0 unless sent.
    pub(super) fn take_offset(&mut self) -> Result<u64, Fault> {
        let Some(text) = self.take("offset") else { return Ok(0) };
        let offset =
            read_integer(&text).ok_or_else(|| Fault::bad_request("offset must be an integer."))?;
        let offset =
            u64::try_from(offset).map_err(|_| Fault::bad_request("offset must be >= 0"))?;
        if offset > MAX_OFFSET {
            return Err(Fault::bad_request(format!("offset must be <= {MAX_OFFSET}")));
        }
        Ok(offset)
    }

    /// `sort`, or `sort_key` and `sort_dir`; then `created_at` and `id` in the direction of the
    /// first, as Karbor adds them.
    pub(super) fn take_sort(&mut self) -> Result<Vec<(RestoreColumn, Direction)>, Fault> {
        let both = self.holds("sort_key") || self.holds("sort_dir");
        if self.holds("sort") && both {
            return Err(Fault::bad_request(
                "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with \
                 the 'sort' parameter.",
            ));
        }
        let mut sort = Vec::new();
        if let Some(text) = self.take("sort") {
            for part in text.trim().split(',') {
                let (key, direction) = part.split_once(':').unwrap_or((part, ""));
                sort.push((read_sort_key(key)?, read_direction(direction)?));
            }
        } else {
            let key = self.take("sort_key").unwrap_or_else(|| "created_at".to_owned());
            let direction = self.take("sort_dir").unwrap_or_default();
            sort.push((read_sort_key(&key)?, read_direction(&direction)?));
        }
        let mut seen = Vec::new();
        sort.retain(|(column, _)| {
            let first = !seen.contains(column);
            seen.push(*column);
            first
        });
        let direction = sort[0].1;
        for column in [RestoreColumn::CreatedAt, RestoreColumn::Id] {
            if !seen.contains(&column) {
                sort.push((column, direction));
            }
        }
        Ok(sort)
    }

    /// `all_tenants`, in any spelling of a boolean.
    pub(super) fn take_all_tenants(&mut self) -> Result<bool, Fault> {
        let Some(text) = self.take("all_tenants") else { return Ok(false) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "1" => Ok(true),
            "false" | "no" | "n" | "0" => Ok(false),
            _ => {
                let shown: String = text.chars().take(64).collect();
                let message = format!("Value {shown} for all_tenants is not a boolean.");
                Err(Fault::bad_request(message))
            }
        }
    }

    /// What is left are filters: an admin's on any column, everyone else's on `status`, others
    /// are ignored. `None` where an admin names no column: then nothing matches.
    pub(super) fn into_filters(self, is_admin: bool) -> Option<Vec<(RestoreColumn, String)>> {
        let mut filters = Vec::new();
        for (key, value) in self.0 {
            match read_column(&key) {
                Some(column) if is_admin || column == RestoreColumn::Status => {
                    filters.retain(|(earlier, _)| *earlier != column);
                    filters.push((column, value));
                }
                None if is_admin => return None,
                _ => {}
            }
        }
        Some(filters)
    }

    /// `status` of our own resource lists: repeatable, or separated by commas; `not_begun` asks
    /// for expected resources. Without any, all are shown.
    pub(super) fn take_statuses(&mut self) -> Result<(Vec<ResourceStatus>, bool), Fault> {
        let values = self.take_all("status");
        let words: Vec<&str> =
            values.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
        if words.is_empty() {
            return Ok((ResourceStatus::ALL.to_vec(), true));
        }
        let mut statuses = Vec::new();
        let mut not_begun = false;
        for word in words {
            if word == super::shape::NOT_BEGUN {
                not_begun = true;
            } else {
                let status = word.parse().map_err(|error| {
                    Fault::invalid_input(&format!("{error}, `{}`", super::shape::NOT_BEGUN))
                })?;
                statuses.push(status);
            }
        }
        Ok((statuses, not_begun))
    }
}

/// Reads as Python's `int()` does, near enough; what is too great for an `i64` is cut to it.
fn read_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let cut = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(cut))
}

fn read_column(name: &str) -> Option<RestoreColumn> {
    COLUMNS.iter().find(|(known, _)| *known == name).map(|(_, column)| *column)
}

fn read_sort_key(name: &str) -> Result<RestoreColumn, Fault> {
    read_column(name.trim()).ok_or_else(|| {
        let names = COLUMNS.map(|(name, _)| name).join(", ");
        Fault::invalid_input(&format!("Unknown sort key, must be one of {names}."))
    })
}

fn read_direction(text: &str) -> Result<Direction, Fault> {
    match text.trim() {
        "" | "desc" => Ok(Direction::Descending),
        "asc" => Ok(Direction::Ascending),
        _ => Err(Fault::invalid_input("Unknown sort direction, must be 'desc' or 'asc'.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Ascending, Descending};
    use RestoreColumn::{CreatedAt, Id, ProjectId, Status};

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn limits_are_karbors() {
        let limit = |text| parameters(&[("limit", text)]).take_limit();
        assert_eq!(limit("7"), Ok(7));
        assert_eq!(limit("5000"), Ok(1000));
        assert_eq!(limit("99999999999999999999999"), Ok(1000));
        assert_eq!(parameters(&[]).take_limit(), Ok(1000));
        assert_eq!(limit("x"), Err(Fault::bad_request("limit param must be an integer")));
        assert_eq!(limit(""), Err(Fault::bad_request("limit param must be an integer")));
        assert_eq!(limit("0"), Err(Fault::bad_request("limit param must be positive")));
        assert_eq!(limit("-3"), Err(Fault::bad_request("limit param must be positive")));
    }

    #[test]
    fn offsets_are_karbors() {
        let offset = |text| parameters(&[("offset", text)]).take_offset();
        assert_eq!(offset("7"), Ok(7));
        assert_eq!(offset("-1"), Err(Fault::bad_request("offset must be >= 0")));
        assert_eq!(offset("1.5"), Err(Fault::bad_request("offset must be an integer.")));
        assert_eq!(offset("2147483648"), Err(Fault::bad_request("offset must be <= 2147483647")));
    }

    #[test]
    fn sorting_ends_with_the_default_keys_in_the_first_direction() {
        let sort = |pairs: &[_]| parameters(pairs).take_sort();
        assert_eq!(sort(&[]), Ok(vec![(CreatedAt, Descending), (Id, Descending)]));
        assert_eq!(
            sort(&[("sort", "status:asc, project_id")]),
            Ok(vec![
                (Status, Ascending),
                (ProjectId, Descending),
                (CreatedAt, Ascending),
                (Id, Ascending)
            ])
        );
        assert_eq!(
            sort(&[("sort_key", "id"), ("sort_dir", "asc")]),
            Ok(vec![(Id, Ascending), (CreatedAt, Ascending)])
        );
        for bad in [
            &[("sort", "id"), ("sort_key", "id")][..],
            &[("sort", "id:up")],
            &[("sort", "parameters")],
            &[("sort", "")],
        ] {
            assert!(sort(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_admins_filter_by_more_than_status() {
        let sent = parameters(&[("status", "fail"), ("project_id", "p"), ("status", "success")]);
        let status = (Status, "success".to_owned());
        assert_eq!(sent.clone().into_filters(false), Some(vec![status.clone()]));
        assert_eq!(sent.into_filters(true), Some(vec![(ProjectId, "p".to_owned()), status]));
        assert_eq!(parameters(&[("colour", "red")]).into_filters(false), Some(vec![]));
        assert_eq!(parameters(&[("colour", "red")]).into_filters(true), None);
    }

    #[test]
    fn statuses_are_words_or_lists_of_words() {
        let statuses = |pairs: &[_]| parameters(pairs).take_statuses();
        assert_eq!(statuses(&[]), Ok((ResourceStatus::ALL.to_vec(), true)));
        assert_eq!(statuses(&[("status", "not_begun")]), Ok((vec![], true)));
        assert_eq!(
            statuses(&[("status", "error,started"), ("status", "not_begun")]),
            Ok((vec![ResourceStatus::Error, ResourceStatus::Started], true))
        );
        assert_eq!(
            statuses(&[("status", "available")]),
            Ok((vec![ResourceStatus::Available], false))
        );
        assert!(statuses(&[("status", "gone")]).is_err());
    }
}
