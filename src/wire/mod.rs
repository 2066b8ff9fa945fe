//! Bytes to and from oslo.messaging's types: envelope, request, context, Karbor's versioned
//! object, reply, failure, notification; and what may be kept of a message: redaction.
//!
//! Takes and gives plain values; knows nothing of restores, brokers or databases. Pure: nothing
//! here awaits, and no bytes make it panic. Facts of the protocol are oslo.messaging 18.3.1's, as
//! in `tests/fixtures/wire`. No secret of a context leaves this room.

mod json;
mod envelope;
mod request;
mod versioned_object;
mod reply;
mod failure;
mod notification;
mod spelt;
mod redact;
mod kept;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod fuzz;

pub(crate) use envelope::{Malformed, open, open_request, seal};
pub(crate) use failure::Failure;
pub(crate) use json::{dumps, loads};
pub(crate) use kept::{open_kept, shown_body, without_caller};
pub(crate) use notification::{Notification, NotificationFormat};
pub(crate) use redact::{
    is_secret, null_entry, redact_body, redact_entry, sha256_hex, without_body, without_values,
};
pub(crate) use reply::{Reply, fresh_unique_id};
pub(crate) use request::{
    CONTEXT_KEYS, Context, Invocation, cut_context, read_call, read_context, read_invocation,
    read_method, read_unique_id, show_value, shown, told_text,
};
pub(crate) use versioned_object::data_of_object;
