//! CPU time of whole process trees from `/proc/PID/stat`, children that ended included. Best
//! effort: what cannot be read counts as zero.

use std::collections::HashMap;
use std::fs;
use std::ops::Sub;

/// `USER_HZ`, the same on every Linux that runs this.
const TICKS_PER_SECOND: f64 = 100.0;

/// Who is watched: the driving process, the broker, the database; `None` where not started here.
#[derive(Debug, Clone, Copy)]
pub struct Processes(pub [Option<u32>; 3]);

/// CPU seconds of the driving process, the broker, the database.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu(pub [f64; 3]);

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n] - before.0[n]))
    }
}

impl Processes {
    /// The same servers, driven by another process.
    pub fn driven_by(mut self, pid: u32) -> Self {
        self.0[0] = Some(pid);
        self
    }

    /// What each has used until now.
    pub fn read(self) -> Cpu {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let stats: HashMap<u32, _> = pids.filter_map(|pid| Some((pid, read_stat(pid)?))).collect();
        let is_below = |mut pid: u32, root: u32| {
            while pid != root {
                let Some((parent, _)) = stats.get(&pid) else { return false };
                pid = *parent;
            }
            true
        };
        Cpu(self.0.map(|root| {
            let tree =
                stats.iter().filter(|(pid, _)| root.is_some_and(|root| is_below(**pid, root)));
            tree.map(|(_, (_, seconds))| seconds).sum()
        }))
    }
}

/// A process's parent and CPU seconds.
fn read_stat(pid: u32) -> Option<(u32, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; `proc(5)` counts the fields after it from 3.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: Option<f64> =
        fields.get(14 - 3..=17 - 3)?.iter().map(|f| f.parse::<f64>().ok()).sum();
    Some((fields.get(4 - 3)?.parse().ok()?, ticks? / TICKS_PER_SECOND))
}
