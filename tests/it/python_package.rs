//! The tests of the Python package, as they lie in `integrations/python/tests`.

use crate::harness::run_pytest;

#[tokio::test]
async fn reporter_says_what_it_is_told_and_never_stands_in_the_way() {
    run_pytest("unit").await;
}

#[tokio::test]
async fn worker_takes_what_a_reporter_says() {
    run_pytest("worker").await;
}

/// Left out by `scripts/test` where there is no Python 3.11.
#[tokio::test]
async fn karbor_flow_is_reported_by_the_hook() {
    run_pytest("karbor").await;
}
