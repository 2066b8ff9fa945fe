//! Shows the restore going on: a live bar a resource type on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::listener::Seen;
use crate::cli::print;
use crate::domain::ResourceStatus;

/// The bars, or what stands in for them.
pub(super) struct Progress {
    bars: Option<(MultiProgress, BTreeMap<&'static str, ProgressBar>)>,
    known: BTreeMap<(String, String), ResourceStatus>,
}

impl Progress {
    /// A bar for each type, as long as its resources are many.
    pub(super) fn new(totals: &[(&'static str, usize)]) -> Self {
        let bars = std::io::stdout().is_terminal().then(|| {
            let all = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::stdout());
            let style = ProgressStyle::with_template(
                "  {prefix:<22} {bar:30.green/dim} {pos:>2}/{len} {msg}",
            )
            .expect("the template is well-formed")
            .progress_chars("━━─");
            let bars = totals
                .iter()
                .map(|&(resource_type, total)| {
                    let bar = all.add(ProgressBar::new(total as u64).with_style(style.clone()));
                    bar.set_prefix(resource_type);
                    bar.tick();
                    (resource_type, bar)
                })
                .collect();
            (all, bars)
        });
        Self { bars, known: BTreeMap::new() }
    }

    /// Shows one notification of a resource.
    pub(super) fn show(&mut self, seen: &Seen) -> anyhow::Result<()> {
        let payload = &seen.payload;
        let (Some(resource_type), Some(resource_id)) =
            (&payload.resource_type, &payload.resource_id)
        else {
            return self.say(&format!("restore {}", payload.status));
        };
        let Ok(status) = payload.status.parse() else { return Ok(()) };
        self.known.insert((resource_type.clone(), resource_id.clone()), status);
        let Some((_, bars)) = &self.bars else {
            let old = payload.old_status.as_deref().unwrap_or("-");
            let why = payload.reason.as_deref().map_or_else(String::new, |why| format!(" ({why})"));
            return self.say(&format!("{resource_type} {resource_id}: {old} -> {status}{why}"));
        };
        let Some(bar) = bars.get(resource_type.as_str()) else { return Ok(()) };
        let of = |wanted: &[ResourceStatus]| {
            let counted = self.known.iter().filter(|((known_type, _), known)| {
                known_type == resource_type && wanted.contains(known)
            });
            counted.count()
        };
        let failed = of(&[ResourceStatus::Error]);
        let under_way = of(&[ResourceStatus::Started, ResourceStatus::Restoring]);
        bar.set_position((of(&[ResourceStatus::Available]) + failed) as u64);
        let mut words = Vec::new();
        if under_way > 0 {
            words.push(format!("{under_way} under way"));
        }
        if failed > 0 {
            words.push(format!("{failed} failed"));
        }
        bar.set_message(words.join(", "));
        Ok(())
    }

    /// Leaves the bars as they are.
    pub(super) fn end(&self) {
        for bar in self.bars.iter().flat_map(|(_, bars)| bars.values()) {
            bar.abandon();
        }
    }

    /// A line of its own, above the bars.
    fn say(&self, line: &str) -> anyhow::Result<()> {
        match &self.bars {
            Some((all, _)) => Ok(all.println(format!("  {line}"))?),
            None => print(&format!("{line}\n")),
        }
    }
}
