//! From deliveries to committed state: receive → batch → commit → settle.
//!
//! ```text
//! consumer ─▶ receive ─▶ batch ─▶ commit ─▶ disposition ─▶ acknowledge
//!             (decode)           (one tx)        │ ├────▶ answer ─▶ acknowledge
//!                                   │            └──────▶ dead letter ─▶ acknowledge
//!                                   └─▶ outbox (events)
//! ```
//!
//! Batches form by themselves: while one commit is in flight the next batch is what has arrived
//! meanwhile. A delivery is acknowledged only after its effect is committed, its dead letter is
//! confirmed, or its answer is sent or given up.

mod run;
mod receive;
mod batch;
mod commit;
mod disposition;
mod early;
mod read;
mod answer;
mod patience;
mod dead_letter;
mod settle;
mod note;

pub use batch::BatchBounds;
pub use commit::{Committer, GivenUp, ItemResult};
pub use dead_letter::{DeadLetterOffice, Parcel, Reject};
pub use note::{database_refusal, outcome as note_outcome};
pub use run::{Parts, run};
