//! Restores of every kind that a reader may meet, as rows written by hand: what Karbor leaves in its
//! table is there too.
//!
//! Gives statements that all three databases take.

/// Recorded; half of its resources are known by their sources.
pub const RECORDED: &str = "aaaaaaaa-0000-4000-8000-000000000001";
/// In Karbor's table only.
pub const KARBORS: &str = "bbbbbbbb-0000-4000-8000-000000000002";
/// Deleted.
pub const DELETED: &str = "cccccccc-0000-4000-8000-000000000003";
/// Of another project.
pub const FOREIGN: &str = "dddddddd-0000-4000-8000-000000000004";
/// In Karbor's table only, all of its columns empty.
pub const BARE: &str = "eeeeeeee-0000-4000-8000-000000000005";
/// Recorded, created in the same second as the first.
pub const SECOND: &str = "ffffffff-0000-4000-8000-000000000006";

/// Who wrote the events.
pub const PUBLISHER: &str = "0191d1c0-0000-7000-8000-000000000001";

/// The statements that fill a migrated database.
pub fn statements() -> Vec<String> {
    let restore = |id: &str, values: &str| {
        format!(
            "INSERT INTO restores (id, project_id, provider_id, checkpoint_id, restore_target, \
             parameters, status, resources_status, resources_reason, created_at, updated_at, \
             deleted) VALUES ('{id}', {values})"
        )
    };
    let state = |id: &str, status: &str, reason: &str, expected: u8| {
        format!(
            "INSERT INTO restore_states (restore_id, status, reason, transition, version, \
             written_version, last_heard_at, changed_at, stalled, resources, expected) VALUES \
             ('{id}', '{status}', {reason}, 1, 1, 0, '2026-01-02 10:00:09.000001', \
             '2026-01-02 10:00:09.000001', 0, 0, {expected})"
        )
    };
    let resource = |id: &str, values: &str| {
        format!(
            "INSERT INTO restore_resources (restore_id, resource_type, resource_id, source_id, \
             name, sequence, status, reason, transition, changed_at) VALUES ('{id}', {values}, 1, \
             '2026-01-02 10:00:08.000001')"
        )
    };
    let expected = |values: &str| {
        format!(
            "INSERT INTO restore_expected_resources (restore_id, resource_type, source_id, name) \
             VALUES ('{RECORDED}', {values})"
        )
    };
    let event = |number: u8, second: u8, values: &str| {
        format!(
            "INSERT INTO restore_events (publisher_id, number, host, event_type, restore_id, \
             project_id, provider_id, checkpoint_id, transition, occurred_at, old_status, status, \
             reason, request_id, resource_type, resource_id, source_id, counts) VALUES \
             ('{PUBLISHER}', {number}, 'h', 'karbor.restore{}', '{RECORDED}', 'p1', 'pr', 'cp', \
             {number}, '2026-01-02 10:00:0{second}.000001', {values})",
            if number == 2 { "_resource.error" } else { ".start" }
        )
    };
    vec![
        restore(
            RECORDED,
            "'p1', 'pr', 'cp', 'http://k:35357', '{\"V#s1\": {\"size\": 1180591620717411303424}}', \
             'fail', '{\"V#old\": \"started\"}', NULL, '2026-01-02 10:00:00', NULL, FALSE",
        ),
        restore(
            KARBORS,
            "'p1', 'pr', 'cp', NULL, NULL, 'success', '{\"V#b\": \"available\"}', \
             '{\"V#b\": \"late\"}', '2026-01-02 11:00:00', '2026-01-02 11:00:01', FALSE",
        ),
        restore(
            DELETED,
            "'p1', 'pr', 'cp', NULL, NULL, 'fail', NULL, NULL, '2026-01-02 11:30:00', NULL, TRUE",
        ),
        restore(
            FOREIGN,
            "'p2', 'pr', 'cp', NULL, NULL, 'fail', NULL, NULL, '2026-01-02 12:00:00', NULL, FALSE",
        ),
        restore(BARE, "'p1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL"),
        restore(
            SECOND,
            "'p1', 'pr', 'cp', NULL, NULL, 'in_progress', NULL, NULL, '2026-01-02 10:00:00', NULL, \
             FALSE",
        ),
        state(RECORDED, "in_progress", "'slow'", 3),
        state(SECOND, "in_progress", "NULL", 0),
        resource(RECORDED, "'V', 'new', 's1', 'data', 2, 'available', NULL"),
        resource(RECORDED, "'V', 's1', NULL, NULL, NULL, 'started', NULL"),
        resource(RECORDED, "'V', '2', 's2', NULL, NULL, 'error', 'no space \u{fc}'"),
        resource(RECORDED, "'N', 's1', NULL, NULL, NULL, 'restoring', NULL"),
        resource(SECOND, "'V', 'x', NULL, NULL, NULL, 'started', NULL"),
        expected("'V', 's1', 'data'"),
        expected("'V', 's2', NULL"),
        expected("'V', 's9', 'last'"),
        event(2, 1, "'started', 'error', 'no space', 'req-2', 'V', '2', 's2', NULL"),
        event(
            1,
            1,
            "NULL, 'in_progress', NULL, 'req-1', NULL, NULL, NULL, \
             '{\"undefined\":0,\"started\":0,\"restoring\":0,\"available\":0,\"error\":0,\"expected\":3}'",
        ),
        event(3, 0, "NULL, 'in_progress', NULL, NULL, NULL, NULL, NULL, NULL"),
    ]
}
