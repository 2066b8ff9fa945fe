//! All that the protocol's parts remember: the broker, the database, the workers' memories.
//! Workers, messages and publishers are named by their index.

/// Workers that share the queue and the database.
pub const WORKERS: usize = 2;
/// Most messages.
pub const MESSAGES: usize = 3;
/// Most publishers: one a worker, and one more a fault.
pub const PUBLISHERS: usize = 5;
/// Most events: the right protocol makes one a message, wrong ones make more.
pub const EVENTS: usize = 6;
/// Where a transaction waits whose worker does not await it any more.
pub const ORPHAN: usize = WORKERS;

/// A set of messages.
pub type Set = u8;

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// In the queue.
    Queue,
    /// In this worker's batch, delivered in its present session.
    Worker(u8),
    /// Gone.
    Acknowledged,
}

/// A worker's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Life {
    /// Not there.
    Down,
    /// Takes messages.
    Running,
    /// Had a SIGTERM: finishes what it took.
    Draining,
    /// The same, and waits for its database no more: commits nothing.
    GivenUp,
}

/// What intake does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Intake {
    /// Waits for messages.
    Idle,
    /// Tries to commit its batch.
    Committing,
    /// The commit was answered; the batch is to be acknowledged.
    Settling,
}

/// What the keeper's take-over does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keeper {
    /// Nothing.
    Idle,
    /// Saw this publisher's lease run out, when so many events of it were committed.
    SawExpired { publisher: u8, seen: u8 },
    /// Publishes the events after `from`, up to `through`.
    Publishing { publisher: u8, from: u8, through: u8 },
    /// Wants to forget this publisher; so many events of it were committed when it looked.
    SawToForget { publisher: u8, seen: u8 },
}

impl Keeper {
    /// The publisher it is at work on.
    pub fn publisher(mut self) -> Option<u8> {
        self.publisher_mut().copied()
    }

    /// The same, to be changed.
    pub fn publisher_mut(&mut self) -> Option<&mut u8> {
        match self {
            Self::Idle => None,
            Self::SawExpired { publisher, .. }
            | Self::Publishing { publisher, .. }
            | Self::SawToForget { publisher, .. } => Some(publisher),
        }
    }
}

/// A worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worker {
    pub life: Life,
    pub intake: Intake,
    /// What is being committed or settled.
    pub batch: Set,
    /// Whether the batch was delivered in a session that is over.
    pub stale: bool,
    /// Whom it commits as.
    pub publisher: Option<u8>,
    pub keeper: Keeper,
}

/// A publisher's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    pub closed: bool,
    /// Whether the lease ran out, by the database's clock.
    pub expired: bool,
    /// `published_through`.
    pub position: u8,
}

/// How far a generation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Publishes.
    Running,
    /// Fenced or in doubt: publishes no more, waits for confirms, closes.
    Abandoned,
    /// The last position is written; the row is to be closed.
    Closing,
}

/// A publisher in its worker's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation {
    pub owner: u8,
    pub stage: Stage,
    /// The last number whose commit was answered.
    pub committed: u8,
    /// The last number of the unbroken run of confirms.
    pub position: u8,
}

/// A publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Publisher {
    /// Gone once it is forgotten.
    pub row: Option<Row>,
    /// Gone with its worker, or once it is closed.
    pub generation: Option<Generation>,
}

/// A batch's transaction in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transaction {
    pub publisher: u8,
    pub batch: Set,
    /// The position to write, the number of its first event.
    pub position: u8,
    pub number: u8,
    /// State and transition as read below the restore's lock; COMMIT follows.
    pub read: Option<(u8, u8)>,
}

/// A committed event, and what the broker has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event {
    pub publisher: u8,
    pub number: u8,
    pub transition: u8,
    pub old: u8,
    pub new: u8,
    /// The broker has a copy under the event's own id.
    pub published: bool,
    /// The broker has a copy under another id.
    pub under_other_id: bool,
}

impl Event {
    /// Whether the broker has a copy, under whichever id.
    pub fn is_published(self) -> bool {
        self.published || self.under_other_id
    }
}

/// A property that fell in a step: the state after it does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrong {
    /// A message was acknowledged, and no commit holds it.
    Acknowledged,
    /// An event was committed by a publisher that was closed or forgotten.
    ClosedWrote,
    /// A publisher was closed by another worker while its lease held.
    ClosedEarly,
    /// A take-over was done with a publisher, and left some of its events.
    LeftBehind,
}

/// Everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    pub faults_left: u8,
    pub wrong: Option<Wrong>,
    pub messages: [Holder; MESSAGES],
    /// What some commit holds.
    pub effects: Set,
    /// The resource's state; 0 is nothing known.
    pub known: u8,
    pub transition: u8,
    pub workers: [Worker; WORKERS],
    pub transactions: [Option<Transaction>; WORKERS + 1],
    pub publishers: [Option<Publisher>; PUBLISHERS],
    pub events: [Option<Event>; EVENTS],
}

impl State {
    /// Two running workers, `messages` in the queue, nothing known.
    pub fn initial(messages: usize, faults: u8) -> Self {
        let worker = Worker {
            life: Life::Running,
            intake: Intake::Idle,
            batch: 0,
            stale: false,
            publisher: None,
            keeper: Keeper::Idle,
        };
        let mut state = Self {
            faults_left: faults,
            wrong: None,
            messages: [Holder::Acknowledged; MESSAGES],
            effects: 0,
            known: 0,
            transition: 0,
            workers: [worker; WORKERS],
            transactions: [None; WORKERS + 1],
            publishers: [None; PUBLISHERS],
            events: [None; EVENTS],
        };
        state.messages[..messages].fill(Holder::Queue);
        state.effects = (0..MESSAGES).skip(messages).fold(0, |set, message| set | 1 << message);
        state
    }

    /// What the broker can deliver.
    pub fn queue(&self) -> Set {
        (0..MESSAGES)
            .filter(|&message| self.messages[message] == Holder::Queue)
            .fold(0, |set, message| set | 1 << message)
    }

    pub fn publisher(&mut self, id: u8) -> &mut Publisher {
        self.publishers[usize::from(id)].as_mut().expect("only opened publishers are named")
    }

    pub fn row(&self, id: u8) -> Option<Row> {
        self.publishers[usize::from(id)].and_then(|publisher| publisher.row)
    }

    pub fn generation(&self, id: u8) -> Option<Generation> {
        self.publishers[usize::from(id)].and_then(|publisher| publisher.generation)
    }

    /// How many events of this publisher are committed.
    pub fn count(&self, id: u8) -> u8 {
        index(self.events_of(id).count())
    }

    /// This publisher's committed events.
    pub fn events_of(&self, id: u8) -> impl Iterator<Item = &Event> {
        self.events.iter().flatten().filter(move |event| event.publisher == id)
    }

    /// The broker has copies of its events up to `through` under ids of somebody else.
    pub fn publish_under_other_id(&mut self, id: u8, through: u8) {
        for event in self.events.iter_mut().flatten() {
            event.under_other_id |= event.publisher == id && event.number <= through;
        }
    }

    /// The broker has a copy of this publisher's events after `from`, up to `through`.
    pub fn publish(&mut self, id: u8, from: u8, through: u8) {
        for event in self.events.iter_mut().flatten() {
            if event.publisher == id && from < event.number && event.number <= through {
                event.published = true;
            }
        }
    }

    /// Moves a row's position, never backwards, where the row is there.
    pub fn move_position(&mut self, id: u8, position: u8) {
        if let Some(row) = &mut self.publisher(id).row {
            row.position = row.position.max(position);
        }
    }
}

/// A small index as it is stored.
pub fn index(value: usize) -> u8 {
    u8::try_from(value).expect("the model's counts are small")
}
