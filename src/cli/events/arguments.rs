//! The command line of `events`.

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, Subcommand};

use crate::cli::BadUsage;
use crate::cli::age::parse_age;
use crate::cli::arguments::ConfigFiles;
use crate::cli::show::Output;
use crate::domain::{PublisherId, RestoreId};
use crate::http::shape::show_time;
use crate::store::EventSelection;

/// What can be done with committed events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Publish the notifications of committed events again, oldest first, each under the
    /// `message_id` that it had
    #[command(group = ArgGroup::new("which").required(true).multiple(true)
        .args(["restore", "publisher", "since", "until"]))]
    Republish {
        /// Which
        #[command(flatten)]
        selection: Selection,
        /// Only count
        #[arg(long)]
        dry_run: bool,
        /// How to print it
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// Settings
        #[command(flatten)]
        files: ConfigFiles,
    },
}

/// Which events: those that all of this holds of.
#[derive(Debug, Default, Clone, Args)]
pub struct Selection {
    /// Of this restore
    #[arg(long, value_name = "ID")]
    pub restore: Option<RestoreId>,

    /// Written by this publisher: a UUID, the `publisher_id` of rows of `restore_events`
    #[arg(long, value_name = "ID", value_parser = parse_publisher)]
    pub publisher: Option<PublisherId>,

    /// Committed at this time or later: RFC 3339 (`2026-11-24T12:00:00Z`), or how long ago (`2h`)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub since: Option<DateTime<Utc>>,

    /// Committed before this time; else until now
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub until: Option<DateTime<Utc>>,
}

impl Selection {
    /// What the store is asked for at `now`.
    ///
    /// # Errors
    /// Nothing can have been committed in that interval.
    pub(super) fn at(&self, now: DateTime<Utc>) -> Result<EventSelection, BadUsage> {
        let until = self.until.unwrap_or(now);
        if let Some(since) = self.since.filter(|since| *since >= until) {
            let (since, until) = (show_time(since), show_time(until));
            return Err(BadUsage(format!(
                "no event can be selected: `--since` is {since}, and `--until` (now, unless given) \
                 is {until}; `--since` must be the earlier one"
            )));
        }
        let Self { restore, publisher, since, .. } = *self;
        Ok(EventSelection { restore, publisher, since, until })
    }
}

impl EventsCommand {
    /// The files with settings that stand behind the command.
    pub(in crate::cli) fn files(&self) -> &ConfigFiles {
        match self {
            Self::Republish { files, .. } => files,
        }
    }
}

fn parse_publisher(text: &str) -> Result<PublisherId, String> {
    let accepted = "a UUID such as `f30fe76e-4715-4cf8-aff3-13deea7170c3`: what `restore_events` has \
                    in `publisher_id`, not the `publisher_id` of a notification";
    text.parse().map(PublisherId).map_err(|_: uuid::Error| accepted.to_owned())
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(age) = parse_age(text) {
        return Ok(Utc::now() - age);
    }
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|_| "RFC 3339 such as `2026-11-24T12:00:00Z`, or how long ago: `2h`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_a_length() {
        let now = Utc::now();
        let selection = |since, until| Selection { since, until, ..Selection::default() };
        let earlier = Some(now - chrono::TimeDelta::hours(1));
        assert!(selection(earlier, None).at(now).is_ok());
        assert!(selection(None, earlier).at(now).is_ok());
        for (since, until) in [(Some(now), None), (Some(now), earlier), (earlier, earlier)] {
            let said = selection(since, until).at(now).unwrap_err().to_string();
            assert!(said.contains("`--since` must be the earlier one"), "{said}");
        }
    }

    #[test]
    fn a_time_is_absolute_or_ago() {
        let noon = parse_time("2026-11-24T13:00:00+01:00").unwrap();
        assert_eq!(noon.to_rfc3339(), "2026-11-24T12:00:00+00:00");
        let then = parse_time("2h").unwrap();
        assert!((Utc::now() - then).num_minutes() >= 120);
        assert!(parse_time("yesterday").is_err() && parse_time("2026-11-24").is_err());
    }
}
