//! A flood of bad messages: each is kept and told of, the good ones between them are applied, and
//! neither memory nor log grows with it. `bench/run poison` is the same with 100,000, and measures.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Kind, Request, Stage, Worker, eventually};

const POISON: usize = 5000;
const GOOD: usize = 500;
/// Of each bad message; all of them are more than the memory that a flood may take.
const BODY_BYTES: usize = 10_000;
const MORE_KIB: u64 = 32 * 1024;
/// Lines of one kind in a period of the log, and how long one is.
const LINES: usize = 50;
const PERIOD: Duration = Duration::from_secs(5);
/// What a line may take, the start's lines and the summaries shared out.
const LINE_BYTES: usize = 600;

fn poisoned(restore_id: &str, number: usize) -> Vec<u8> {
    let padding = "x".repeat(BODY_BYTES);
    let update = |status: &str| {
        let request = Request::resource(restore_id, &format!("bad-{number}"), status, None);
        request.with("padding", padding.as_str()).body()
    };
    match number % 4 {
        0 => format!("{number} is no JSON {padding}").into_bytes(),
        1 => update("no such status"),
        2 => [b"[".repeat(BODY_BYTES), number.to_string().into_bytes()].concat(),
        _ => update("\u{202e}\u{1b}[2J\0"),
    }
}

#[tokio::test]
async fn a_flood_of_bad_messages_is_kept_and_costs_neither_memory_nor_log() {
    let stage = Stage::new(Kind::Postgresql).await;
    // Few enough that what the worker may hold is little against the flood.
    let worker = stage.worker("w1").set("MESSAGING__PREFETCH", "200").start().await;
    let mut notifications = stage.notifications().await;
    let mut dead_letters = stage.dead_letters().await;
    let restore_id = stage.record_restore().await;

    let began = Instant::now();
    let warm_up: Vec<_> = (0..POISON / 10).map(|n| poisoned(&restore_id, n)).collect();
    stage.broker.publish_all(&stage.exchange, &stage.topic, &warm_up).await;
    dead_letters.until("the first dead letters", |all| all.len() == warm_up.len()).await;
    let before = peak_kib(&worker);

    let mut bodies = Vec::with_capacity(POISON + GOOD);
    for number in 0..POISON {
        bodies.push(poisoned(&restore_id, number));
        if number % (POISON / GOOD) == 0 {
            let id = format!("good-{number}");
            bodies.push(Request::resource(&restore_id, &id, "available", None).body());
        }
    }
    stage.broker.publish_all(&stage.exchange, &stage.topic, &bodies).await;

    let bad = warm_up.len() + POISON;
    let letters = dead_letters.until("every dead letter", |all| all.len() == bad).await;
    assert!(letters.iter().all(|letter| letter.header("error").is_some()));
    let is_alarm = |message: &Value| message["event_type"] == "karbor.restore_message.error";
    notifications
        .until("all that is to be told", |all| {
            // The restore's own first.
            all.len() == 1 + bad + GOOD
                && all.iter().filter(|one| is_alarm(&one.message)).count() == bad
        })
        .await;
    stage.until_available(&restore_id, GOOD).await;

    eventually("the log tells of every one, by a line or by the number", || async {
        let (lines, left_out) = told(&worker.log());
        if lines + left_out == bad { Ok(()) } else { Err(format!("{lines} and {left_out}")) }
    })
    .await;
    let (grown, log) = (peak_kib(&worker).saturating_sub(before), worker.log());
    assert!(grown < MORE_KIB, "{grown} KiB more");
    // The first and the last period are no whole ones.
    let periods = began.elapsed().as_millis() / PERIOD.as_millis() + 2;
    let most = LINES * usize::try_from(periods).expect("a short test");
    let (lines, _) = told(&log);
    assert!(lines <= most && log.len() < most * LINE_BYTES, "{lines} lines, {} bytes", log.len());
}

/// How many dead letters have a line of their own, and of how many others the log gives the number.
fn told(log: &str) -> (usize, usize) {
    let lines = log.lines().filter(|line| line.contains("goes to the dead letters")).count();
    let summaries = log.lines().filter(|line| line.contains("more dead letters like those"));
    let numbers = summaries.filter_map(|line| {
        line.split_once("left_out=")?.1.split(' ').next()?.parse::<usize>().ok()
    });
    (lines, numbers.sum())
}

/// The most memory that the worker ever had.
fn peak_kib(worker: &Worker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid()));
    let status = status.expect("the worker runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
