//! What the demonstration's plugins do: some forty resources of seven types, with failures,
//! retries, duplicates, late and early messages, raw statuses and bad requests. Always the same.

use std::time::Duration;

/// One plugin: a type of resource and what it does to each.
pub(super) struct Plugin {
    /// The resources' type.
    pub resource_type: &'static str,
    /// How many of each course, in this order.
    pub courses: &'static [(usize, Course)],
    /// The pause between two of its messages.
    pub pace: Duration,
}

/// The course of one resource's restoration: the updates its plugin sends, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// Started, restoring, available.
    Smooth,
    /// The same in the words of Trove: `BUILD`, `ACTIVE`.
    RawStatuses,
    /// Only the outcome is reported.
    OutcomeOnly,
    /// Every message is delivered twice.
    Duplicated,
    /// A `restoring` comes after the `available`.
    Late,
    /// It fails, with a reason.
    Fails,
    /// It fails, is tried again with a higher sequence, and succeeds.
    Retried,
    /// Its first message comes before the restore is recorded.
    Early,
    /// Expected, and never begun.
    NeverBegun,
}

/// One update as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The word that is sent.
    pub status: &'static str,
    /// Why.
    pub reason: Option<&'static str>,
    /// The attempt.
    pub sequence: Option<u64>,
    /// How often it is sent.
    pub copies: usize,
}

impl Step {
    const fn new(status: &'static str) -> Self {
        Self { status, reason: None, sequence: None, copies: 1 }
    }

    const fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    const fn attempt(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    const fn copies(mut self, copies: usize) -> Self {
        self.copies = copies;
        self
    }
}

impl Course {
    /// What its plugin sends.
    pub(super) fn steps(self) -> Vec<Step> {
        const STARTED: Step = Step::new("started");
        const RESTORING: Step = Step::new("restoring");
        const AVAILABLE: Step = Step::new("available");
        match self {
            Self::Smooth | Self::Early => vec![STARTED, RESTORING, AVAILABLE],
            Self::RawStatuses => vec![Step::new("BUILD"), Step::new("ACTIVE")],
            Self::OutcomeOnly => vec![AVAILABLE],
            Self::Duplicated => vec![STARTED.copies(2), RESTORING.copies(2), AVAILABLE.copies(2)],
            Self::Late => vec![STARTED, AVAILABLE, RESTORING],
            Self::Fails => vec![
                STARTED,
                Step::new("error")
                    .because("the backup's chunk 17 cannot be read: checksum differs"),
            ],
            Self::Retried => vec![
                STARTED.attempt(1),
                Step::new("error").because("no valid host was found").attempt(1),
                RESTORING.attempt(2),
                AVAILABLE.attempt(2),
            ],
            Self::NeverBegun => Vec::new(),
        }
    }
}

/// The plugins, as they run side by side.
pub(super) const PLUGINS: [Plugin; 7] = [
    Plugin {
        resource_type: "OS::Cinder::Volume",
        courses: &[
            (6, Course::Smooth),
            (2, Course::Duplicated),
            (1, Course::Fails),
            (2, Course::Retried),
            (1, Course::Early),
        ],
        pace: Duration::from_millis(110),
    },
    Plugin {
        resource_type: "OS::Cinder::Snapshot",
        courses: &[(3, Course::OutcomeOnly), (1, Course::Late)],
        pace: Duration::from_millis(500),
    },
    Plugin {
        resource_type: "OS::Nova::Server",
        courses: &[
            (5, Course::Smooth),
            (1, Course::Retried),
            (1, Course::Late),
            (1, Course::Early),
        ],
        pace: Duration::from_millis(150),
    },
    Plugin {
        resource_type: "OS::Glance::Image",
        courses: &[(4, Course::Smooth), (1, Course::Fails)],
        pace: Duration::from_millis(200),
    },
    Plugin {
        resource_type: "OS::Neutron::Topology",
        courses: &[(2, Course::Smooth)],
        pace: Duration::from_millis(300),
    },
    Plugin {
        resource_type: "OS::Manila::Share",
        courses: &[
            (3, Course::Smooth),
            (1, Course::Duplicated),
            (1, Course::Late),
            (1, Course::NeverBegun),
        ],
        pace: Duration::from_millis(180),
    },
    Plugin {
        resource_type: "OS::Trove::Instance",
        courses: &[(4, Course::RawStatuses), (1, Course::Fails)],
        pace: Duration::from_millis(350),
    },
];

/// One resource of the demonstration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    /// Its type.
    pub kind: &'static str,
    /// Its new id.
    pub id: String,
    /// The resource in the checkpoint.
    pub source_id: String,
    /// Its name.
    pub name: String,
    /// What happens to it.
    pub course: Course,
}

impl Plugin {
    /// Its resources, in the order in which it takes them up.
    pub(super) fn resources(&self) -> Vec<Resource> {
        let short = self.resource_type.rsplit("::").next().unwrap_or_default().to_lowercase();
        let courses =
            self.courses.iter().flat_map(|&(count, course)| std::iter::repeat_n(course, count));
        courses
            .enumerate()
            .map(|(index, course)| Resource {
                kind: self.resource_type,
                id: format!("new-{short}-{:02}", index + 1),
                source_id: format!("{short}-{:02}", index + 1),
                name: format!("{short} {}", index + 1),
                course,
            })
            .collect()
    }
}
