//! Whether bad messages hold up the good ones: the same number of good casts drained alone, then
//! with bad ones between them, by two workers one after the other, each on queues that were filled
//! before it started. Also what the flood costs in memory and in log.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;
use uuid::Uuid;

use super::backlog::{Backlog, encode_cast};
use super::broker::Broker;
use super::drain::{read_transition, record_restores};
use super::serve::{Serve, read_status, stop};

/// One in so many bad messages is over `limits.body_bytes`.
const LARGE_EVERY: usize = 2000;
/// The default of `limits.body_bytes`, and one more.
const LARGE_BYTES: usize = 1024 * 1024 + 1;
/// What a line of the log may take, in bytes: the longest reasons are cut.
const LINE_BYTES: u64 = 2048;
/// What a flood may take in memory beside the good ones: the prefetch holds a few of the large.
const MORE_MIB: u64 = 128;
/// Lines of one kind that the log takes in five seconds, and the one that tells of the rest.
const LINES: u64 = 51;

/// What one drain came to.
pub struct Flood {
    /// Good casts a second, from the first that was taken to the last that was published.
    pub rate: f64,
    /// The most memory that the worker ever held, in MiB.
    pub peak_mib: u64,
    pub log_bytes: u64,
    /// What the log may hold at most, by how long the worker ran.
    pub log_bound: u64,
    pub unpublished: usize,
    pub dead_letters: usize,
    pub alarms: usize,
}

/// Drains all of `backlog` with `poison` bad messages evenly between its casts.
pub async fn drain(
    serve: &Serve,
    broker: &mut Broker,
    backlog: &Backlog,
    poison: usize,
) -> anyhow::Result<Flood> {
    let good = &backlog.update_casts;
    record_restores(serve, broker, backlog).await?;
    lay_down(serve, broker, good, poison).await?;

    let began_at_all = Instant::now();
    let worker = serve.start(&[])?;
    serve.watch(broker, &serve.topic, |depth| depth.ready < good.len() + poison).await?;
    let began = Instant::now();
    serve.watch(broker, &serve.notifications("info"), |depth| depth.ready >= good.len()).await?;
    let rate = good.len() as f64 / began.elapsed().as_secs_f64();
    serve.watch(broker, &serve.topic, |depth| depth.ready == 0).await?;
    serve.watch(broker, &serve.dead_letters(), |depth| depth.ready >= poison).await?;
    serve.watch(broker, &serve.notifications("error"), |depth| depth.ready >= poison).await?;
    let peak_mib = read_status(worker.pid, "VmHWM")? / 1024;
    stop(worker).await?;
    let periods = began_at_all.elapsed().as_secs() / 5 + 2;

    let bodies = broker.take_all(&serve.notifications("info")).await?;
    let published = bodies.iter().map(|b| read_transition(b)).collect::<Result<HashSet<_>, _>>()?;
    let flood = Flood {
        rate,
        peak_mib,
        log_bytes: serve.log_bytes()?,
        log_bound: periods * LINES * LINE_BYTES,
        unpublished: backlog.transitions.difference(&published).count(),
        dead_letters: broker.read_depth(&serve.dead_letters()).await?.ready,
        alarms: broker.read_depth(&serve.notifications("error")).await?.ready,
    };
    ensure!(broker.read_depth(&serve.topic).await?.ready == 0, "requests are left");
    serve.delete_queues(broker).await?;
    // Of a queue just deleted the broker may still speak.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(flood)
}

/// The two drains side by side.
pub fn spell(alone: &Flood, beside: &Flood) -> String {
    let line = |name, flood: &Flood| {
        let Flood { rate, peak_mib, log_bytes, unpublished, dead_letters, .. } = flood;
        format!(
            "{name}: {rate:.0} good/s, {peak_mib} MiB at most, {log_bytes} bytes of log, \
             {dead_letters} dead letters, {unpublished} unpublished"
        )
    };
    let ratio = 100.0 * beside.rate / alone.rate;
    format!(
        "{}\n{}\nbeside/alone: {ratio:.0} %, and {} MiB more",
        line("alone ", alone),
        line("beside", beside),
        beside.peak_mib.saturating_sub(alone.peak_mib),
    )
}

/// Whether the flood did no more harm than is promised, and nothing was lost.
pub fn holds(alone: &Flood, beside: &Flood, poison: usize) -> bool {
    let all_kept = beside.dead_letters == poison && beside.alarms == poison;
    beside.rate >= alone.rate / 2.0
        && beside.peak_mib <= alone.peak_mib + MORE_MIB
        && beside.log_bytes <= beside.log_bound
        && alone.unpublished + beside.unpublished == 0
        && all_kept
}

/// Good and bad ones evenly, a few thousand at a time: not all of them fit in memory twice.
async fn lay_down(
    serve: &Serve,
    broker: &mut Broker,
    good: &[Vec<u8>],
    poison: usize,
) -> anyhow::Result<()> {
    let mut laid = 0;
    for (part, casts) in good.chunks(1000).enumerate() {
        let until = poison * (part * 1000 + casts.len()) / good.len();
        let bad = (laid..until).map(poisoned);
        laid = until;
        let mut bodies: Vec<Vec<u8>> = casts.iter().cloned().chain(bad).collect();
        spread(&mut bodies, casts.len());
        broker.publish_all(&serve.topic, &bodies).await?;
    }
    Ok(())
}

/// Mixes the first `good` bodies evenly among the others.
fn spread(bodies: &mut Vec<Vec<u8>>, good: usize) {
    let bad = bodies.split_off(good);
    let mut good = std::mem::take(bodies).into_iter().enumerate().peekable();
    let (all_good, all_bad) = (good.len(), bad.len());
    for (index, body) in bad.into_iter().enumerate() {
        while good.peek().is_some_and(|(n, _)| n * all_bad <= index * all_good) {
            bodies.extend(good.next().map(|(_, body)| body));
        }
        bodies.push(body);
    }
    bodies.extend(good.map(|(_, body)| body));
}

/// A bad message: one of five kinds, each its own.
pub fn poisoned(number: usize) -> Vec<u8> {
    if number % LARGE_EVERY == LARGE_EVERY - 1 {
        return vec![b' '; LARGE_BYTES];
    }
    let update = |status: &str| {
        encode_cast(
            "update_resource_status",
            &json!({"restore_id": Uuid::new_v4().to_string(), "resource_type": "OS::Nova::Server",
                    "resource_id": number.to_string(), "status": status}),
        )
    };
    match number % 5 {
        0 => format!("{number}: no JSON {{\"_context_auth_token\": \"SECRET\"").into_bytes(),
        1 => update("no such status"),
        2 => encode_cast("no_such_method", &json!({})),
        3 => [b"[".repeat(2000), number.to_string().into_bytes()].concat(),
        _ => update("\u{202e}\u{1b}[2J\0"),
    }
}
