//! The statements that write what a batch changed.

use crate::store::statement::Statement;

/// Our rows of the restores that changed or were heard of. They exist and are locked.
pub(super) const STATES: Statement = Statement {
    act: "writing restores",
    postgresql: "INSERT INTO restore_states AS s (restore_id, sequence, status, reason, transition, \
        version, written_version, behind_since, digest, last_heard_at, changed_at, stalled, \
        resources, expected, final_since) \
        SELECT i, q, s, w, n, v, 0, b, d, h, c, x, r, e, f FROM json_to_recordset(?::json) \
        AS j(i text, q bigint, s text, w text, n bigint, v bigint, b timestamp, d text, \
        h timestamp, c timestamp, x smallint, r bigint, e bigint, f timestamp) \
        ON CONFLICT (restore_id) DO UPDATE SET sequence = excluded.sequence, \
        status = excluded.status, reason = excluded.reason, transition = excluded.transition, \
        version = excluded.version, behind_since = COALESCE(s.behind_since, excluded.behind_since), \
        digest = COALESCE(excluded.digest, s.digest), last_heard_at = excluded.last_heard_at, \
        changed_at = excluded.changed_at, stalled = excluded.stalled, \
        resources = excluded.resources, expected = excluded.expected, \
        final_since = excluded.final_since",
    mysql: "INSERT INTO restore_states (restore_id, sequence, status, reason, transition, \
        version, written_version, behind_since, digest, last_heard_at, changed_at, stalled, \
        resources, expected, final_since) \
        SELECT i, q, s, w, n, v, 0, b, d, h, c, x, r, e, f FROM JSON_TABLE(?, '$[*]' COLUMNS (\
        i VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PATH '$.i' ERROR ON ERROR, \
        q BIGINT PATH '$.q' ERROR ON ERROR, s VARCHAR(16) PATH '$.s' ERROR ON ERROR, \
        w LONGTEXT CHARACTER SET utf8mb4 PATH '$.w' ERROR ON ERROR, \
        n BIGINT PATH '$.n' ERROR ON ERROR, v BIGINT PATH '$.v' ERROR ON ERROR, \
        b DATETIME(6) PATH '$.b' ERROR ON ERROR, d VARCHAR(64) PATH '$.d' ERROR ON ERROR, \
        h DATETIME(6) PATH '$.h' ERROR ON ERROR, c DATETIME(6) PATH '$.c' ERROR ON ERROR, \
        x SMALLINT PATH '$.x' ERROR ON ERROR, r BIGINT PATH '$.r' ERROR ON ERROR, \
        e BIGINT PATH '$.e' ERROR ON ERROR, f DATETIME(6) PATH '$.f' ERROR ON ERROR)) AS j \
        ON DUPLICATE KEY UPDATE sequence = VALUES(sequence), status = VALUES(status), \
        reason = VALUES(reason), transition = VALUES(transition), version = VALUES(version), \
        behind_since = COALESCE(behind_since, VALUES(behind_since)), \
        digest = COALESCE(VALUES(digest), digest), last_heard_at = VALUES(last_heard_at), \
        changed_at = VALUES(changed_at), stalled = VALUES(stalled), \
        resources = VALUES(resources), expected = VALUES(expected), \
        final_since = VALUES(final_since)",
    sqlite: "INSERT INTO restore_states AS s (restore_id, sequence, status, reason, transition, \
        version, written_version, behind_since, digest, last_heard_at, changed_at, stalled, \
        resources, expected, final_since) \
        SELECT value ->> '$.i', value ->> '$.q', value ->> '$.s', value ->> '$.w', \
        value ->> '$.n', value ->> '$.v', 0, value ->> '$.b', value ->> '$.d', value ->> '$.h', \
        value ->> '$.c', value ->> '$.x', value ->> '$.r', value ->> '$.e', value ->> '$.f' \
        FROM json_each(?) WHERE true \
        ON CONFLICT (restore_id) DO UPDATE SET sequence = excluded.sequence, \
        status = excluded.status, reason = excluded.reason, transition = excluded.transition, \
        version = excluded.version, behind_since = COALESCE(s.behind_since, excluded.behind_since), \
        digest = COALESCE(excluded.digest, s.digest), last_heard_at = excluded.last_heard_at, \
        changed_at = excluded.changed_at, stalled = excluded.stalled, \
        resources = excluded.resources, expected = excluded.expected, \
        final_since = excluded.final_since",
};

/// Karbor's `status` of the restores where it differs from ours.
pub(super) const KARBOR_STATUS: Statement = Statement {
    act: "writing Karbor's status",
    postgresql: "UPDATE restores SET status = x.s, updated_at = x.u \
        FROM json_to_recordset(?::json) AS x(i text, s text, u timestamp) WHERE restores.id = x.i",
    mysql: "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (\
        i VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PATH '$.i' ERROR ON ERROR, \
        s VARCHAR(64) PATH '$.s' ERROR ON ERROR, u DATETIME PATH '$.u' ERROR ON ERROR)) AS x \
        STRAIGHT_JOIN restores ON restores.id = x.i SET restores.status = x.s, \
        restores.updated_at = x.u",
    sqlite: "UPDATE restores SET status = x.value ->> '$.s', updated_at = x.value ->> '$.u' \
        FROM json_each(?) AS x WHERE restores.id = x.value ->> '$.i'",
};

/// Resources that changed, or are new.
pub(super) const RESOURCES: Statement = Statement {
    act: "writing resources",
    postgresql: "INSERT INTO restore_resources (restore_id, resource_type, resource_id, source_id, \
        name, sequence, status, reason, transition, changed_at, said_status, said_reason) \
        SELECT r, t, i, o, a, q, s, w, n, c, k, l FROM json_to_recordset(?::json) \
        AS x(r text, t text, i text, o text, a text, q bigint, s text, w text, n bigint, c timestamp, \
        k text, l text) \
        ON CONFLICT (restore_id, resource_type, resource_id) DO UPDATE SET \
        source_id = excluded.source_id, name = excluded.name, sequence = excluded.sequence, \
        status = excluded.status, reason = excluded.reason, transition = excluded.transition, \
        changed_at = excluded.changed_at, said_status = excluded.said_status, \
        said_reason = excluded.said_reason",
    mysql: "INSERT INTO restore_resources (restore_id, resource_type, resource_id, source_id, \
        name, sequence, status, reason, transition, changed_at, said_status, said_reason) \
        SELECT r, t, i, o, a, q, s, w, n, c, k, l FROM JSON_TABLE(?, '$[*]' COLUMNS (\
        r VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PATH '$.r' ERROR ON ERROR, \
        t VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin PATH '$.t' ERROR ON ERROR, \
        i VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin PATH '$.i' ERROR ON ERROR, \
        o VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin PATH '$.o' ERROR ON ERROR, \
        a VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.a' ERROR ON ERROR, \
        q BIGINT PATH '$.q' ERROR ON ERROR, s VARCHAR(16) PATH '$.s' ERROR ON ERROR, \
        w LONGTEXT CHARACTER SET utf8mb4 PATH '$.w' ERROR ON ERROR, \
        n BIGINT PATH '$.n' ERROR ON ERROR, c DATETIME(6) PATH '$.c' ERROR ON ERROR, \
        k VARCHAR(16) PATH '$.k' ERROR ON ERROR, \
        l LONGTEXT CHARACTER SET utf8mb4 PATH '$.l' ERROR ON ERROR)) AS x \
        ON DUPLICATE KEY UPDATE source_id = VALUES(source_id), name = VALUES(name), \
        sequence = VALUES(sequence), status = VALUES(status), reason = VALUES(reason), \
        transition = VALUES(transition), changed_at = VALUES(changed_at), \
        said_status = VALUES(said_status), said_reason = VALUES(said_reason)",
    sqlite: "INSERT INTO restore_resources (restore_id, resource_type, resource_id, source_id, \
        name, sequence, status, reason, transition, changed_at, said_status, said_reason) \
        SELECT value ->> '$.r', value ->> '$.t', value ->> '$.i', value ->> '$.o', \
        value ->> '$.a', value ->> '$.q', value ->> '$.s', value ->> '$.w', value ->> '$.n', \
        value ->> '$.c', value ->> '$.k', value ->> '$.l' FROM json_each(?) WHERE true \
        ON CONFLICT (restore_id, resource_type, resource_id) DO UPDATE SET \
        source_id = excluded.source_id, name = excluded.name, sequence = excluded.sequence, \
        status = excluded.status, reason = excluded.reason, transition = excluded.transition, \
        changed_at = excluded.changed_at, said_status = excluded.said_status, \
        said_reason = excluded.said_reason",
};

/// Expected resources that are new, or whose name grew.
pub(super) const EXPECTED: Statement = Statement {
    act: "writing expected resources",
    postgresql: "INSERT INTO restore_expected_resources (restore_id, resource_type, source_id, name) \
        SELECT r, t, i, a FROM json_to_recordset(?::json) AS x(r text, t text, i text, a text) \
        ON CONFLICT (restore_id, resource_type, source_id) DO UPDATE SET name = excluded.name",
    mysql: "INSERT INTO restore_expected_resources (restore_id, resource_type, source_id, name) \
        SELECT r, t, i, a FROM JSON_TABLE(?, '$[*]' COLUMNS (\
        r VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin PATH '$.r' ERROR ON ERROR, \
        t VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin PATH '$.t' ERROR ON ERROR, \
        i VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin PATH '$.i' ERROR ON ERROR, \
        a VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.a' ERROR ON ERROR)) AS x \
        ON DUPLICATE KEY UPDATE name = VALUES(name)",
    sqlite: "INSERT INTO restore_expected_resources (restore_id, resource_type, source_id, name) \
        SELECT value ->> '$.r', value ->> '$.t', value ->> '$.i', value ->> '$.a' \
        FROM json_each(?) WHERE true \
        ON CONFLICT (restore_id, resource_type, source_id) DO UPDATE SET name = excluded.name",
};
