//! The network between the worker and its database fails: cut, frozen, refused for a while.

use std::time::Duration;

use rstest::rstest;
use tokio::time::sleep;

use super::scene::Scene;
use super::traffic::Unknown;
use crate::harness::{Kind, Proxy, proxied};

/// Messages of one run.
const MESSAGES: usize = 300;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_out_of_reach_for_a_while_costs_nothing(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let scene = Scene::new(kind, 1, MESSAGES, Unknown::Early).await;
    let proxy = Proxy::start(&proxied::server(scene.stage.database.url())).await;
    let url = proxied::url(scene.stage.database.url(), &proxy);
    let worker = scene.worker("w1").set("DATABASE__URL", url).start().await;
    let outage = Duration::from_secs(1);
    let since = scene
        .through(outage, async {
            proxy.refuse();
            sleep(outage).await;
            proxy.restore();
        })
        .await;
    let findings = scene.end("the database out of reach for 1 s", vec![worker], since).await;
    assert!(findings.is_empty(), "{findings:#?}");
}
