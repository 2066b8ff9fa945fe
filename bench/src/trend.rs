//! Whether what was seen again and again stayed as it was: the median of the last third against
//! that of the first, after a warm-up.

use std::fmt::Write as _;
use std::time::Duration;

/// The part of all looks, the first ones, that is not judged: pools, caches and the allocator fill.
const WARM_UP: f64 = 0.15;

/// Something that is counted at each look.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    pub name: &'static str,
    /// By which part of its beginning it may be more at the end,
    pub share: f64,
    /// and by how much besides.
    pub more: u64,
}

/// All looks until now.
pub struct Trend {
    quantities: Vec<Quantity>,
    looks: Vec<Vec<u64>>,
}

impl Trend {
    pub fn new(quantities: &[Quantity]) -> Self {
        let names: Vec<&str> = quantities.iter().map(|quantity| quantity.name).collect();
        println!("seconds: {}", names.join(", "));
        Self { quantities: quantities.to_vec(), looks: Vec::new() }
    }

    /// Adds a look, a number a quantity.
    pub fn look(&mut self, at: Duration, seen: Vec<u64>) {
        let numbers: Vec<String> = seen.iter().map(u64::to_string).collect();
        println!("{}: {}", at.as_secs(), numbers.join(", "));
        self.looks.push(seen);
    }

    /// Whether nothing grew beyond its bound.
    pub fn is_flat(&self) -> bool {
        self.judge().iter().all(|(_, first, last, bound)| first.is_some() && last <= bound)
    }

    /// A table, one line a quantity.
    pub fn spell(&self) -> String {
        let mut table =
            "| | first third | last third | at most | |\n| --- | --- | --- | --- | --- |\n"
                .to_owned();
        for (name, first, last, bound) in self.judge() {
            let verdict = if first.is_some() && last <= bound { "flat" } else { "GROWS" };
            let first = first.unwrap_or_default();
            let _ = writeln!(table, "| {name} | {first} | {last} | {bound} | {verdict} |");
        }
        table
    }

    /// Of each quantity its name, both medians, and what the second may be; no first median where there
    /// were too few looks.
    fn judge(&self) -> Vec<(&'static str, Option<u64>, u64, u64)> {
        let warm_up = (self.looks.len() as f64 * WARM_UP).ceil() as usize;
        let looks = &self.looks[warm_up.min(self.looks.len())..];
        let third = looks.len() / 3;
        let (first, last) = (&looks[..third], &looks[looks.len() - third..]);
        let judge = |(index, quantity): (usize, &Quantity)| {
            let before = median(first, index);
            let start = before.unwrap_or_default();
            let bound = start + (start as f64 * quantity.share) as u64 + quantity.more;
            (quantity.name, before, median(last, index).unwrap_or_default(), bound)
        };
        self.quantities.iter().enumerate().map(judge).collect()
    }
}

fn median(looks: &[Vec<u64>], index: usize) -> Option<u64> {
    let mut values: Vec<u64> = looks.iter().map(|look| look[index]).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
