//! What commands do at a terminal and do not in a pipe, and the other way round.

use std::collections::BTreeSet;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;

use crate::harness::{
    CTRL_C, Inbox, Kind, Request, Shown, Stage, Terminal, eventually, new_id, oslo_properties,
};

/// How a process that Ctrl-C ended is told.
const BY_SIGINT: i32 = -2;

/// A stage whose queues are there, and nobody consumes them.
async fn idle_stage() -> Stage {
    let (stage, worker, _) = Stage::with_worker(Kind::Sqlite).await;
    assert!(worker.terminate().await.success());
    stage
}

/// Puts letters into the dead-letter queue; gives their `_unique_id`s.
async fn keep_letters(stage: &Stage, count: usize) -> BTreeSet<String> {
    let restore_id = new_id();
    let update =
        |n| Request::resource(&restore_id, &format!("volume-{n}"), "available", Some("why"));
    let requests: Vec<_> = (0..count).map(update).collect();
    let bodies: Vec<_> = requests.iter().map(Request::body).collect();
    stage.broker.publish_all("", &stage.dead_letter_queue(), &bodies).await;
    until_letters(stage, count).await;
    requests.iter().map(|request| request.unique_id().to_owned()).collect()
}

async fn until_letters(stage: &Stage, count: usize) {
    let count = u32::try_from(count).expect("few");
    stage.broker.until_depth(&stage.dead_letter_queue(), (count, 0)).await;
}

async fn at(terminal: Terminal, stage: &Stage, arguments: &[&str]) -> Shown {
    let arguments = [&["dead-letters"], arguments].concat();
    terminal.run(stage.worker("operator"), &arguments).await
}

#[tokio::test]
async fn progress_is_shown_at_a_terminal_and_nowhere_else() {
    let stage = idle_stage().await;
    keep_letters(&stage, 300).await;
    for (command, said) in [
        (&["list"][..], "300 of 300 letters: 300 of no class"),
        (&["replay", "--all", "--dry-run"], "would send 300 of those selected"),
        (&["purge", "--all", "--dry-run"], "would delete 300 of 300 letters"),
    ] {
        let shown = at(Terminal::of(80), &stage, command).await;
        assert_eq!(shown.code, 0, "{shown:?}");
        assert!(shown.text.contains("/300 looked at"), "{shown:?}");
        // The bar is wiped off before anything is said.
        let (_, end) = shown.text.rsplit_once("looked at").expect("it was looked for");
        assert!(end.contains("\u{1b}[2K") && end.contains(said), "{end:?}");

        let piped = stage.worker("operator").run(&[&["dead-letters"], command].concat()).await;
        let stdout = String::from_utf8(piped.stdout).expect("UTF-8");
        let stderr = String::from_utf8(piped.stderr).expect("UTF-8");
        assert!(stdout.contains(said), "{stdout}");
        assert!(!stderr.contains("looked at"), "{stderr}");
        assert!(!(stdout + &stderr).contains('\u{1b}'), "{command:?}");
    }
}

#[tokio::test]
async fn colours_are_shown_at_a_terminal_and_nowhere_else() {
    let (stage, worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;
    stage.cast(&Request::resource(&restore_id, "volume-1", "error", Some("no room"))).await;
    eventually("the resource has failed", || async {
        let counts = stage.view(&restore_id).await["resources"].take();
        if counts["error"] == 1 { Ok(()) } else { Err(counts.to_string()) }
    })
    .await;
    let show = ["show", restore_id.as_str()];
    let red = "\u{1b}[38;5;9m";
    let shown = Terminal::of(80).run(stage.worker("operator"), &show).await;
    assert!(shown.code == 0 && shown.text.contains(red), "{shown:?}");
    let plain = stage.worker("operator").set_variable("NO_COLOR", "1");
    let plain = Terminal::of(80).run(plain, &show).await;
    assert!(plain.text.contains("no room") && !plain.text.contains('\u{1b}'), "{plain:?}");
    let piped = stage.worker("operator").run(&show).await;
    assert!(!String::from_utf8(piped.stdout).expect("UTF-8").contains('\u{1b}'));

    // A worker's log, and the signal that ends it.
    let serving = Terminal::of(80).once("connected to the broker", CTRL_C);
    let shown = serving.run(stage.worker("w2"), &["serve"]).await;
    assert!(shown.code == 0 && shown.text.contains("\u{1b}[32m INFO"), "{shown:?}");
    assert!(shown.text.contains("a second signal ends at once"), "{shown:?}");
    let log = worker.log();
    assert!(log.contains(" INFO ") && !log.contains('\u{1b}'), "{log}");
}

/// What a terminal acts upon; each beside a word that stays.
const HOSTILE: &str = "ESC\u{1b}[2J OSC\u{1b}]0;title\u{7} CSI\u{9b}2J BACK\u{8} RETURN\rSPOOF \
     DEL\u{7f} RLO\u{202e}txt ISOLATE\u{2066}txt MARK\u{200f} NUL\u{0} LINE\nSPOOF: all is well";

fn hostile_properties() -> BasicProperties {
    let mut headers = FieldTable::default();
    let names = ["error", "reason", "method", "message_unique_id", "queue", "dead_lettered_at"];
    for name in names.into_iter().chain([HOSTILE]) {
        headers.insert(name.into(), AMQPValue::LongString(HOSTILE.into()));
    }
    oslo_properties()
        .with_headers(headers)
        .with_message_id(HOSTILE.into())
        .with_type(HOSTILE.into())
        .with_app_id(HOSTILE.into())
        .with_correlation_id(HOSTILE.into())
}

#[tokio::test]
async fn nothing_of_a_hostile_letter_reaches_the_terminal_as_it_is() {
    let stage = idle_stage().await;
    let queue = stage.dead_letter_queue();
    let body = json!({"method": HOSTILE, "args": {HOSTILE: [HOSTILE], "reason": HOSTILE}});
    let body = body.to_string();
    stage.broker.publish("", &queue, hostile_properties(), body.as_bytes()).await;
    until_letters(&stage, 1).await;
    let cleaned: String = HOSTILE.chars().filter(|c| !c.is_control()).collect();
    let id = cleaned.replace(['\u{202e}', '\u{2066}', '\u{200f}'], "");
    let id = id.replace("LINESPOOF", "LINE\nSPOOF");

    let question = Terminal::of(80).once(r"\[y/N\] ", "n\n");
    for (terminal, command) in [
        (Terminal::of(80), &["list"][..]),
        (Terminal::of(300), &["list"]),
        (Terminal::of(80), &["list", "--output", "json"]),
        (Terminal::of(80), &["show", &id, "--body"]),
        (Terminal::of(80), &["show", &id, "--body", "--output", "json"]),
        (Terminal::of(80), &["replay", "--all", "--dry-run"]),
        (Terminal::of(80), &["replay", HOSTILE.split('\0').next().unwrap(), "--dry-run"]),
        (question, &["purge", "--all"]),
    ] {
        let shown = at(terminal, &stage, command).await;
        let text = shown.without_styles();
        assert!(text.contains("ESC[2J") || command.contains(&"replay"), "{command:?}: {text}");
        // The terminal itself puts a return before each line's end; a bar begins with one.
        for c in text.replace("\r\n", "\n").chars() {
            let is_bidi = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}');
            let is_ours = matches!(c, '\n' | '\r');
            assert!(is_ours || !(c.is_control() || is_bidi), "{command:?}, {c:?}: {text:?}");
        }
        assert!(!text.contains("\rSPOOF") && !text.contains("\nSPOOF"), "{command:?}: {text:?}");
    }
    until_letters(&stage, 1).await;
}

#[tokio::test]
async fn a_list_fits_a_terminal_of_80_columns_with_its_ids_whole() {
    let (stage, _worker, _) = Stage::with_worker(Kind::Sqlite).await;
    let restore_id = stage.record_restore().await;
    let colour = "語".repeat(60);
    stage.cast(&Request::resource(&restore_id, "volume-1", &colour, None)).await;
    stage.cast(&Request::new(&"m".repeat(255), json!({}))).await;
    until_letters(&stage, 2).await;
    let shown = at(Terminal::of(80), &stage, &["list"]).await;
    let text = shown.without_styles().replace("\r\n", "\n");
    let (_, listed) = text.rsplit_once('\r').unwrap_or(("", &text));
    for line in listed.lines() {
        // A Chinese character takes two columns.
        let columns: usize = line.chars().map(|c| if c == '語' { 2 } else { 1 }).sum();
        assert!(columns <= 80, "{columns} columns: {line}");
    }
    let json = stage.worker("operator").run(&["dead-letters", "list", "--output", "json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    for letter in json["letters"].as_array().expect("a list") {
        let message_id = letter["message_id"].as_str().expect("it has one");
        assert!(listed.contains(message_id), "{message_id}: {listed}");
    }
    assert!(listed.contains(&restore_id) && listed.contains("2 of 2 letters"), "{listed}");
}

#[tokio::test]
async fn a_purge_asks_at_a_terminal_and_only_yes_deletes() {
    let stage = idle_stage().await;
    keep_letters(&stage, 3).await;
    let asked = r"delete 3 of 3 letters: 3 of no class\? \[y/N\] ";
    for (keys, code, said, left) in [
        ("n\n", 0, "deleted nothing: 3 of 3 letters", 3),
        ("\n", 0, "deleted nothing: 3 of 3 letters", 3),
        (CTRL_C, BY_SIGINT, "^C", 3),
        ("y\n", 0, "deleted 3 of 3 letters", 0),
    ] {
        let shown = at(Terminal::of(80).once(asked, keys), &stage, &["purge", "--all"]).await;
        assert_eq!(shown.code, code, "{keys:?}: {shown:?}");
        assert!(shown.text.contains(said), "{keys:?}: {shown:?}");
        until_letters(&stage, left).await;
    }
}

#[tokio::test]
async fn a_replay_that_ctrl_c_ends_leaves_each_letter_sent_or_where_it_was() {
    const LETTERS: usize = 3000;
    let stage = idle_stage().await;
    let kept = keep_letters(&stage, LETTERS).await;
    // Some are sent by then, and some are not.
    let terminal = Terminal::of(80).once(r"([3-9]\d\d|1\d\d\d)/3000 looked at", CTRL_C);
    let shown = at(terminal, &stage, &["replay", "--all"]).await;
    assert_eq!(shown.code, BY_SIGINT, "{shown:?}");

    let dead_letters = stage.dead_letter_queue();
    let mut inbox = Inbox::open(&stage.broker, &[&stage.topic, &dead_letters]).await;
    let id_of = |message: &serde_json::Value| message["_unique_id"].as_str().map(str::to_owned);
    let everywhere = inbox
        .until("all letters are somewhere", |all| {
            let ids: BTreeSet<_> = all.iter().filter_map(|one| id_of(&one.message)).collect();
            ids == kept
        })
        .await;
    let sent = everywhere.iter().filter(|one| one.queue == stage.topic).count();
    assert!((1..LETTERS).contains(&sent), "{sent} were sent");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let stage = idle_stage().await;
    keep_letters(&stage, 3).await;
    for command in [
        &["dead-letters", "list"][..],
        &["dead-letters", "list", "--output", "json"],
        &["dead-letters", "replay", "--all", "--dry-run"],
        &["config", "show"],
        &["demo"],
    ] {
        let output = stage.worker("operator").run_unread(command).await;
        assert_eq!(output.status.code(), Some(0), "{command:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("karbor-restore-worker: "), "{command:?}: {said}");
    }
    until_letters(&stage, 3).await;
}
