//! A model of the protocol between broker, workers and database, explored in every order of its
//! steps: deliveries, transactions, publications, take-overs, and faults at every point.
//!
//! Right as it is, it keeps all it promises; with any one guard left out it does not, and the
//! explorer says how. No server is needed. `docs/ARCHITECTURE.md` tells the protocol in words.
//!
//! Layout, in reading order: `state` is what all parts remember, `protocol` names the steps,
//! `intake`, `database`, `outbox`, `take_over` and `life` are the steps of each part, `rule` is the
//! merge, `variant` the guards, `properties` what must hold; `explore`, `seen` and `symmetry` visit
//! every state.

#![allow(clippy::print_stdout, reason = "a model is read by what it found")]

mod database;
mod explore;
mod intake;
mod life;
mod outbox;
mod properties;
mod protocol;
mod rule;
mod seen;
mod state;
mod symmetry;
mod take_over;
mod variant;

use rstest::rstest;

use explore::{Found, explore};
use properties::Property;
use protocol::Protocol;
use variant::Variant;

/// Steps of the right protocol, by kind.
const KINDS: usize = 25;

/// Explores the right protocol wholly: nothing may fall.
fn explore_right(values: &'static [u8], faults: u8) -> Found {
    let found = explore(&Protocol::right(values, faults));
    println!(
        "{values:?}, {faults} faults: {} states, {} steps, {} deep, {} calm",
        found.states, found.steps, found.depth, found.calm
    );
    if let Some(fallen) = &found.counterexample {
        panic!("{:?} falls:\n{}", fallen.property, fallen.trace.join("\n"));
    }
    assert!(found.calm > 0, "no run comes to an end");
    found
}

/// The number of states is told so that the model does not shrink unnoticed. Without optimisation
/// the large ones take minutes: there one fault less is explored.
#[rstest]
#[case::one_message(&[1], [33_537, 447_100])]
#[case::two_messages(&[1, 2], [26_424, 1_120_360])]
#[case::three_messages(&[1, 2, 3], [2_433, 495_847])]
#[case::a_message_sent_twice(&[1, 1, 2], [1_847, 309_375])]
fn nothing_is_lost_or_wrong_whatever_the_order_and_the_faults(
    #[case] values: &'static [u8],
    #[case] states: [usize; 2],
) {
    let most_faults: u8 = 4 - u8::try_from(values.len()).expect("at most three");
    let [fewer, all] = states;
    let (faults, states) =
        if cfg!(debug_assertions) { (most_faults - 1, fewer) } else { (most_faults, all) };
    let found = explore_right(values, faults);
    assert_eq!(found.states, states);
    if faults >= 2 {
        assert_eq!(found.kinds, KINDS, "a kind of step never happens");
    }
}

/// Explores with one guard less, until a property of `watched` falls.
fn falls(variant: Variant, faults: u8, watched: &'static [Property]) -> Option<Property> {
    let without = [variant];
    let found = explore(&Protocol { values: &[1, 2], faults, without: &without, watched });
    println!("{variant:?}, {faults} faults: {} states", found.states);
    let fallen = found.counterexample?;
    println!("{:?} falls:\n{}", fallen.property, fallen.trace.join("\n"));
    Some(fallen.property)
}

#[rstest]
#[case(Variant::AcknowledgeBeforeCommit, 0, Property::AcknowledgedIsCommitted)]
#[case(Variant::PositionBeforeConfirm, 0, Property::AllPublished)]
#[case(Variant::NoFence, 1, Property::AllPublished)]
#[case(Variant::FenceWithoutLock, 1, Property::AllPublished)]
#[case(Variant::ReadBeforeCloseThenForget, 1, Property::AllPublished)]
#[case(Variant::ForgetWithoutLock, 1, Property::AllPublished)]
#[case(Variant::RestoreNotLocked, 0, Property::EventsChain)]
#[case(Variant::SamePublisherAfterDoubt, 1, Property::AllPublished)]
#[case(Variant::GiveUpInDoubt, 2, Property::OneEventANumber)]
#[case(Variant::TakeOverUnderOwnId, 1, Property::OneId)]
#[case(Variant::LastWriterWins, 0, Property::NothingLost)]
#[case(Variant::Counting, 1, Property::NothingLost)]
fn without_this_guard_a_promise_is_broken(
    #[case] variant: Variant,
    #[case] faults: u8,
    #[case] property: Property,
) {
    assert_eq!(falls(variant, faults, &Property::PROMISES), Some(property));
}

#[rstest]
#[case(Variant::PositionBeforeConfirm, 0, Property::PositionIsConfirmed)]
#[case(Variant::NoFence, 1, Property::ClosedWritesNothing)]
#[case(Variant::FenceWithoutLock, 1, Property::ClosedWritesNothing)]
#[case(Variant::CloseWithoutLock, 1, Property::ClosedWritesNothing)]
#[case(Variant::LeaseNotLookedAtAgain, 1, Property::ClosedWhenExpired)]
#[case(Variant::ReadBeforeClose, 1, Property::TakeOverLeavesNothing)]
#[case(Variant::ReadBeforeCloseThenForget, 1, Property::TakeOverLeavesNothing)]
fn without_this_guard_a_part_fails_another(
    #[case] variant: Variant,
    #[case] faults: u8,
    #[case] property: Property,
) {
    assert_eq!(falls(variant, faults, &Property::ALL), Some(property));
}

/// Clients do not notice these three by themselves: what is left behind is looked for again, and
/// a closed worker becomes another publisher.
#[rstest]
#[case(Variant::CloseWithoutLock)]
#[case(Variant::LeaseNotLookedAtAgain)]
#[case(Variant::ReadBeforeClose)]
fn another_guard_keeps_the_promises_with_one_fault(#[case] variant: Variant) {
    assert_eq!(falls(variant, 1, &Property::PROMISES), None);
}
