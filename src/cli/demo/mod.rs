//! `demo`: the whole pipeline at work, in one process on the embedded transport and a SQLite file,
//! or on real servers. Several plugins restore some forty resources, with failures, retries,
//! duplicates, late and early messages and bad requests; a consumer shows the notifications as
//! they come; at the end, the restore as a client sees it, its timeline, and what was counted,
//! checked against what was sent.

mod scenario;
mod ledger;
mod plugins;
mod listener;
mod progress;
mod verdict;
mod setup;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use self::ledger::{Ledger, Tally};
use self::listener::{Record, Seen};
use self::plugins::Senders;
use self::progress::Progress;
use self::scenario::PLUGINS;
use self::setup::TemporaryFolder;
use super::print;
use crate::domain::{Effect, RestoreId, Sender};
use crate::http::{Health, Metrics};
use crate::rpc::Notifier;
use crate::rpc::client::{RpcClient, To};
use crate::settings::Settings;
use crate::shutdown::Signals;
use crate::store::Store;
use crate::transport::url::Driver;
use crate::transport::{ConsumerSpec, Transport};
use crate::worker::{self, Brokers, Migrate, Telling};

/// How long the last notifications may take, once everything is sent.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs the demonstration: on the embedded transport and a temporary SQLite file, unless URLs of
/// real servers are given.
///
/// # Errors
/// A server is away, what came out disagrees with what was sent, or nobody looks any more.
pub async fn run(
    transport_url: Option<String>,
    database_url: Option<String>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut interrupts = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let folder = TemporaryFolder::new()?;
    let settings = folder.settings(transport_url, database_url)?;
    let brokers = Brokers::from_settings(&settings)?;
    let transport = brokers.requests.clone();
    let store = Store::new(settings.store_options()?)?;
    let telling = Telling { health: Health::new(), metrics: Metrics::new() };
    let signals = Signals::manual();

    introduce(&settings)?;
    refuse_company(&settings, transport.as_ref()).await?;
    let mut worker = {
        let (settings, telling, signals) = (settings.clone(), telling.clone(), signals.clone());
        tokio::spawn(async move {
            worker::serve(&settings, brokers, Migrate::First, &signals, telling).await
        })
    };
    let show = perform(&settings, transport, &store, &telling);
    let result = tokio::select! {
        result = show => result,
        ended = &mut worker => {
            ended.context("the worker panicked")??;
            bail!("the worker ended by itself");
        }
        // Its files go with it.
        _ = interrupts.recv() => Err(anyhow::anyhow!("interrupted")),
    };
    signals.draining.cancel();
    worker.await.context("the worker panicked")??;
    result?;
    print(&format!("\nAll agrees, in {:.1} s.\n", begun.elapsed().as_secs_f32()))
}

fn introduce(settings: &Settings) -> anyhow::Result<()> {
    let resources: usize = PLUGINS.iter().map(|plugin| plugin.resources().len()).sum();
    print(&format!(
        "{} plugins restore {resources} resources through {} into {}:\n\n",
        PLUGINS.len(),
        match settings.request_broker()?.driver {
            Driver::Memory => "the embedded transport",
            Driver::Rabbit => "RabbitMQ",
        },
        Store::new(settings.store_options()?)?.dialect(),
    ))
}

/// Two demonstrations on one broker would take each other's messages.
async fn refuse_company(settings: &Settings, transport: &dyn Transport) -> anyhow::Result<()> {
    let queue = &settings.messaging.topic;
    let found = transport.inspect(queue).await.context("the broker does not answer")?;
    if found.is_some_and(|depth| depth.consumers > 0) {
        bail!("another demonstration runs on this broker (queue `{queue}`): let it end first");
    }
    Ok(())
}

/// Sends everything, watches it come out, and judges.
async fn perform(
    settings: &Settings,
    transport: Arc<dyn Transport>,
    store: &Store,
    telling: &Telling,
) -> anyhow::Result<()> {
    let target = settings.target();
    let project_id = Uuid::new_v4().simple().to_string();
    let client = |project_id: &str| {
        let sender = Sender { project_id: Some(project_id.to_owned()), ..Sender::default() };
        let timeout = Duration::from_secs(settings.messaging.rpc_response_timeout_s);
        Arc::new(RpcClient::connect(transport.as_ref(), target.clone(), sender, timeout))
    };
    let restore_id = RestoreId::new(Uuid::new_v4());
    let senders = Senders {
        client: client(&project_id),
        stranger: client("another-project"),
        ledger: Arc::new(Mutex::new(Ledger::default())),
        restore_id,
    };
    let mut listener = Listener::start(transport.as_ref(), settings, restore_id);

    wait_until_ready(&telling.health).await?;
    senders.client.ping(&To::Topic).await.context("the worker does not answer")?;
    senders.send_early().await?;
    senders.begin(&project_id).await?;
    // The early ones are applied by the keeper: what their plugins say next comes after them.
    listener.wait_for(early_transitions(), 0).await?;
    let sending = async {
        tokio::try_join!(senders.run_plugins(), senders.send_bad_ones())?;
        senders.finish().await
    };
    tokio::select! {
        sent = sending => sent?,
        failed = listener.listen() => failed?,
    }
    let expected = verdict::transitions(&senders.ledger.lock().expect("no sender panics"));
    listener.wait_for(expected, plugins::DEAD_LETTERS).await?;
    listener.progress.end();

    let view = senders.client.get_restore(restore_id).await?;
    print("\nThe restore as a client sees it:\n\n")?;
    super::show::run(store, restore_id, super::show::Output::Table).await?;
    let counted = counted(&telling.metrics);
    let ledger = senders.ledger.lock().expect("no sender panics");
    print(&format!(
        "\n{} messages: {} applied, {} unchanged, {} stale, {} refused; {} notifications, {} dead \
         letters\n",
        counted.sum(),
        counted.applied,
        counted.unchanged,
        counted.stale,
        counted.refused,
        listener.record.count(),
        listener.record.dead_letters,
    ))?;
    let disagreements = verdict::disagreements(&ledger, &counted, &listener.record, &view);
    if !disagreements.is_empty() {
        bail!("what came out is not what was sent:\n  {}", disagreements.join("\n  "));
    }
    Ok(())
}

/// Waits for the worker to consume: what is sent before its queues are there goes nowhere.
async fn wait_until_ready(health: &Health) -> anyhow::Result<()> {
    let begun = Instant::now();
    while let Err(reasons) = health.ready() {
        if begun.elapsed() > PATIENCE {
            bail!("the worker is not ready after {} s: {}", PATIENCE.as_secs(), reasons.join("; "));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The restore's start, and the first transition of each early resource.
fn early_transitions() -> u64 {
    let resources = PLUGINS.iter().flat_map(scenario::Plugin::resources);
    1 + resources.filter(|resource| resource.course == scenario::Course::Early).count() as u64
}

fn counted(metrics: &Metrics) -> Tally {
    Tally {
        applied: metrics.updates_counted(Effect::Applied),
        unchanged: metrics.updates_counted(Effect::Unchanged),
        stale: metrics.updates_counted(Effect::Stale),
        refused: metrics.refused_counted(),
    }
}

/// Consumes the notifications.
struct Listener {
    consumer: Box<dyn crate::transport::Consumer>,
    acker: Arc<dyn crate::transport::Acker>,
    restore_id: String,
    record: Record,
    progress: Progress,
}

impl Listener {
    fn start(transport: &dyn Transport, settings: &Settings, restore_id: RestoreId) -> Self {
        let notifier = Notifier::new(settings.notifier());
        let totals: Vec<_> =
            PLUGINS.iter().map(|plugin| (plugin.resource_type, plugin.resources().len())).collect();
        let consumer = transport.consume(ConsumerSpec {
            name: "demo-notifications".to_owned(),
            topology: notifier.topology(),
            queues: notifier.queue_names(),
            prefetch: 100,
        });
        Self {
            acker: consumer.acker(),
            consumer,
            restore_id: restore_id.to_string(),
            record: Record::default(),
            progress: Progress::new(&totals),
        }
    }

    /// Shows notifications until so many transitions and dead letters came.
    async fn wait_for(&mut self, count: u64, dead_letters: u64) -> anyhow::Result<()> {
        let enough = async {
            while self.record.count() < count || self.record.dead_letters < dead_letters {
                self.take().await?;
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(PATIENCE, enough).await {
            Ok(done) => done,
            Err(_) => bail!(
                "only {} of {count} transitions were published within {} s",
                self.record.count(),
                PATIENCE.as_secs()
            ),
        }
    }

    /// Shows notifications without end.
    async fn listen(&mut self) -> anyhow::Result<()> {
        loop {
            self.take().await?;
        }
    }

    async fn take(&mut self) -> anyhow::Result<()> {
        let delivery = self.consumer.next().await.context("the notifications ended")?;
        if let Some(seen) = Seen::read(&delivery.body)
            && self.record.note(&seen, &self.restore_id)
        {
            self.progress.show(&seen)?;
        }
        self.acker.ack(delivery.tag).await;
        Ok(())
    }
}
