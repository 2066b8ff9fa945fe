//! The statements of a batch. Rows go in as one JSON parameter, so that each is prepared once for
//! any number of rows; the list is always the first table of a join, so that the cost follows the
//! batch and not the tables.
//!
//! MySQL: keys are `ascii_bin` in the list too (compared with a column of another character set
//! they are converted, and its index is used), and a text that does not fit is an error instead of
//! a silent NULL.

use crate::store::hidden::is_hidden;
use crate::store::statement::Statement;

/// A statement over a list of ids, `x.i`: what comes before the list, the table joined to it.
macro_rules! over_ids {
    ($act:literal, $before:literal, $joined:expr) => {
        Statement {
            act: $act,
            postgresql: concat!(
                $before,
                "json_array_elements_text(?::json) AS x(i) JOIN ",
                $joined
            ),
            mysql: concat!(
                $before,
                "JSON_TABLE(?, '$[*]' COLUMNS (i VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin \
                 PATH '$' ERROR ON ERROR)) AS x STRAIGHT_JOIN ",
                $joined
            ),
            sqlite: concat!(
                $before,
                "(SELECT value AS i FROM json_each(?)) AS x CROSS JOIN ",
                $joined
            ),
        }
    };
}

/// The same over a list of keys: restore `x.r`, type `x.t`, id `x.i`.
macro_rules! over_keys {
    ($act:literal, $before:literal, $joined:literal) => {
        Statement {
            act: $act,
            postgresql: concat!(
                $before,
                "json_to_recordset(?::json) AS x(r text, t text, i text) JOIN ",
                $joined
            ),
            mysql: concat!(
                $before,
                "JSON_TABLE(?, '$[*]' COLUMNS (\
                 r VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PATH '$.r' ERROR ON ERROR, \
                 t VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin PATH '$.t' ERROR ON ERROR, \
                 i VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin PATH '$.i' ERROR ON ERROR\
                 )) AS x STRAIGHT_JOIN ",
                $joined
            ),
            sqlite: concat!(
                $before,
                "(SELECT value ->> '$.r' AS r, value ->> '$.t' AS t, value ->> '$.i' AS i \
                 FROM json_each(?)) AS x CROSS JOIN ",
                $joined
            ),
        }
    };
}

/// Which of these restores Karbor's table has.
pub(super) const FIND: Statement = over_ids!(
    "finding a batch's restores",
    "SELECT r.id, COALESCE(r.project_id, '') AS project_id, \
     CASE WHEN r.deleted THEN 1 ELSE 0 END AS deleted FROM ",
    "restores r ON r.id = x.i"
);

/// Locks our rows of these restores in the order of the list, inserting those that are missing.
/// Whoever reads what the locks protect does so with a later statement.
pub(super) const LOCK: Statement = Statement {
    act: "locking a batch's restores",
    postgresql: "INSERT INTO restore_states (restore_id, status, transition, version, \
        written_version, last_heard_at, changed_at, stalled, resources, expected) \
        SELECT x.i, 'in_progress', 0, 0, 0, ?::timestamp, ?::timestamp, 0, 0, 0 \
        FROM json_array_elements_text(?::json) AS x(i) \
        ON CONFLICT (restore_id) DO UPDATE SET stalled = restore_states.stalled",
    mysql: "INSERT INTO restore_states (restore_id, status, transition, version, \
        written_version, last_heard_at, changed_at, stalled, resources, expected) \
        SELECT x.i, 'in_progress', 0, 0, 0, ?, ?, 0, 0, 0 FROM JSON_TABLE(?, '$[*]' COLUMNS (\
        i VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PATH '$' ERROR ON ERROR)) AS x \
        ON DUPLICATE KEY UPDATE stalled = stalled",
    sqlite: "INSERT INTO restore_states (restore_id, status, transition, version, \
        written_version, last_heard_at, changed_at, stalled, resources, expected) \
        SELECT x.value, 'in_progress', 0, 0, 0, ?, ?, 0, 0, 0 FROM json_each(?) AS x WHERE true \
        ON CONFLICT (restore_id) DO NOTHING",
};

/// Inserts restores into Karbor's table, unless they are there.
pub(super) const RECORD: Statement = Statement {
    act: "recording restores",
    postgresql: "INSERT INTO restores (created_at, deleted, id, project_id, provider_id, \
        checkpoint_id, restore_target, parameters, status) \
        SELECT c, FALSE, i, p, v, k, g, m, 'in_progress' FROM json_to_recordset(?::json) \
        AS x(c timestamp, i text, p text, v text, k text, g text, m text) \
        ON CONFLICT (id) DO NOTHING",
    mysql: "INSERT INTO restores (created_at, deleted, id, project_id, provider_id, \
        checkpoint_id, restore_target, parameters, status) \
        SELECT c, FALSE, i, p, v, k, g, m, 'in_progress' FROM JSON_TABLE(?, '$[*]' COLUMNS (\
        c DATETIME PATH '$.c' ERROR ON ERROR, i VARCHAR(36) PATH '$.i' ERROR ON ERROR, \
        p VARCHAR(255) PATH '$.p' ERROR ON ERROR, v VARCHAR(36) PATH '$.v' ERROR ON ERROR, \
        k VARCHAR(36) PATH '$.k' ERROR ON ERROR, g VARCHAR(255) PATH '$.g' ERROR ON ERROR, \
        m LONGTEXT PATH '$.m' ERROR ON ERROR)) AS x ON DUPLICATE KEY UPDATE status = restores.status",
    sqlite: "INSERT INTO restores (created_at, deleted, id, project_id, provider_id, \
        checkpoint_id, restore_target, parameters, status) \
        SELECT value ->> '$.c', FALSE, value ->> '$.i', value ->> '$.p', value ->> '$.v', \
        value ->> '$.k', value ->> '$.g', value ->> '$.m', 'in_progress' FROM json_each(?) \
        WHERE true ON CONFLICT (id) DO NOTHING",
};

/// What is known of these restores beside their resources.
pub(super) const READ: Statement = over_ids!(
    "reading a batch's restores",
    "SELECT r.id, COALESCE(r.project_id, '') AS project_id, \
     COALESCE(r.provider_id, '') AS provider_id, COALESCE(r.checkpoint_id, '') AS checkpoint_id, \
     r.restore_target, r.status AS karbor_status, \
     CASE WHEN r.deleted THEN 1 ELSE 0 END AS deleted, \
     s.sequence, s.status, s.reason, s.transition, s.version, s.last_heard_at, s.changed_at, \
     s.resources, s.expected, CASE WHEN s.stalled <> 0 THEN 1 ELSE 0 END AS stalled, \
     s.final_since, s.digest FROM ",
    "restores r ON r.id = x.i LEFT JOIN restore_states s ON s.restore_id = x.i"
);

/// Locks Karbor's rows of these restores; ours are locked already.
pub(super) const LOCK_KARBOR: Statement = Statement {
    act: "locking Karbor's rows",
    postgresql: "SELECT r.id FROM json_array_elements_text(?::json) AS x(i) \
        JOIN restores r ON r.id = x.i FOR UPDATE OF r",
    mysql: "SELECT r.id FROM JSON_TABLE(?, '$[*]' COLUMNS (\
        i VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PATH '$' ERROR ON ERROR)) AS x \
        STRAIGHT_JOIN restores r ON r.id = x.i FOR UPDATE",
    sqlite: "SELECT r.id FROM json_each(?) AS x CROSS JOIN restores r ON r.id = x.value",
};

/// What Karbor's rows hold now.
pub(super) const READ_KARBOR: Statement = over_ids!(
    "reading Karbor's rows",
    "SELECT r.id, r.status, CASE WHEN r.deleted THEN 1 ELSE 0 END AS deleted FROM ",
    "restores r ON r.id = x.i"
);

/// The dictionaries in Karbor's rows, which are locked.
pub(super) const READ_DICTIONARIES: Statement = over_ids!(
    "reading Karbor's dictionaries",
    "SELECT r.id, r.resources_status, r.resources_reason FROM ",
    "restores r ON r.id = x.i"
);

/// Resources that count, or may count, as something else than was said while their restore's
/// success ends what is under way.
pub(super) const OPEN_RESOURCES: Statement = over_ids!(
    "reading resources under way",
    "SELECT c.restore_id, c.resource_type, c.resource_id, c.source_id, c.name, c.sequence, \
     c.status, c.reason, c.transition, c.changed_at, c.said_status, c.said_reason FROM ",
    "restore_resources c ON c.restore_id = x.i \
     WHERE c.status IN ('started', 'restoring') OR c.said_status IS NOT NULL"
);

/// Resources by their keys.
pub(super) const RESOURCES: Statement = over_keys!(
    "reading a batch's resources",
    "SELECT c.restore_id, c.resource_type, c.resource_id, c.source_id, c.name, c.sequence, \
     c.status, c.reason, c.transition, c.changed_at, c.said_status, c.said_reason FROM ",
    "restore_resources c ON c.restore_id = x.r AND c.resource_type = x.t AND c.resource_id = x.i"
);

/// Resources by the sources they name.
pub(super) const RESOURCES_BY_SOURCE: Statement = over_keys!(
    "reading resources by their sources",
    "SELECT c.restore_id, c.resource_type, c.resource_id, c.source_id, c.name, c.sequence, \
     c.status, c.reason, c.transition, c.changed_at, c.said_status, c.said_reason FROM ",
    "restore_resources c ON c.restore_id = x.r AND c.resource_type = x.t AND c.source_id = x.i"
);

/// How many resources of each restore stand where; hidden ones are left out.
pub(super) const COUNTS: Statement = over_ids!(
    "counting resources",
    "SELECT r.restore_id, r.status, COUNT(*) AS number FROM ",
    concat!(
        "restore_resources r ON r.restore_id = x.i WHERE NOT ",
        is_hidden!(),
        " GROUP BY r.restore_id, r.status"
    )
);

/// Expected resources by their keys.
pub(super) const EXPECTED: Statement = over_keys!(
    "reading expected resources",
    "SELECT c.restore_id, c.resource_type, c.source_id, c.name FROM ",
    "restore_expected_resources c \
     ON c.restore_id = x.r AND c.resource_type = x.t AND c.source_id = x.i"
);

/// The next of Karbor's restores that we have no row of; deleted ones are left alone.
pub(super) const ADOPT: Statement = Statement {
    act: "taking in Karbor's restores",
    postgresql: "SELECT r.id, r.status, r.resources_status, r.resources_reason, \
        COALESCE(r.updated_at, r.created_at) AS changed_at \
        FROM restores r LEFT JOIN restore_states s ON s.restore_id = r.id \
        WHERE r.id > ? AND s.restore_id IS NULL AND NOT COALESCE(r.deleted, FALSE) \
        ORDER BY r.id LIMIT ?",
    mysql: "SELECT r.id, r.status, r.resources_status, r.resources_reason, \
        COALESCE(r.updated_at, r.created_at) AS changed_at \
        FROM restores r LEFT JOIN restore_states s \
        ON s.restore_id = CONVERT(r.id USING ascii) COLLATE ascii_bin \
        WHERE r.id > ? AND s.restore_id IS NULL AND NOT COALESCE(r.deleted, FALSE) \
        ORDER BY r.id LIMIT ?",
    sqlite: "SELECT r.id, r.status, r.resources_status, r.resources_reason, \
        COALESCE(r.updated_at, r.created_at) AS changed_at \
        FROM restores r LEFT JOIN restore_states s ON s.restore_id = r.id \
        WHERE r.id > ? AND s.restore_id IS NULL AND NOT COALESCE(r.deleted, FALSE) \
        ORDER BY r.id LIMIT ?",
};
