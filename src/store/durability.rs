//! What the database itself does with a commit: settings that may lose one that was answered, to
//! be warned about at start. Reads them, changes none.

use diesel::QueryableByName;
use diesel::sql_types::Text;

use super::pool::Use;
use super::statement::Statement;
use super::{Dialect, Store, StoreError};

const SETTINGS: Statement = Statement {
    act: "reading the durability settings",
    postgresql: "SELECT name::text AS name, setting::text AS value FROM pg_settings \
        WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')",
    mysql: "SELECT 'innodb_flush_log_at_trx_commit' AS name, \
        CAST(@@GLOBAL.innodb_flush_log_at_trx_commit AS CHAR) AS value UNION ALL \
        SELECT 'sync_binlog', CAST(@@GLOBAL.sync_binlog * @@GLOBAL.log_bin + \
        (1 - @@GLOBAL.log_bin) AS CHAR)",
    sqlite: "SELECT 'journal_mode' AS name, journal_mode AS value FROM pragma_journal_mode",
};

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    value: String,
}

impl Store {
    /// A sentence for each setting by which the database may lose a commit that it answered.
    pub async fn durability_warnings(&self) -> Result<Vec<String>, StoreError> {
        let mut connection = self.pools.connect(SETTINGS.act, Use::Write).await?;
        let settings: Vec<Setting> = connection.load(&SETTINGS, &[]).await?;
        let dialect = self.dialect();
        Ok(settings.iter().filter_map(|setting| warn(dialect, setting)).collect())
    }
}

fn warn(dialect: Dialect, setting: &Setting) -> Option<String> {
    let Setting { name, value } = setting;
    let wanted = match name.as_str() {
        // `remote_write`, `local` and `remote_apply` all wait for the local disk.
        "synchronous_commit" if value != "off" => return None,
        "fsync" | "full_page_writes" | "synchronous_commit" => "on",
        "innodb_flush_log_at_trx_commit" | "sync_binlog" => "1",
        _ => "wal",
    };
    (value != wanted).then(|| {
        format!(
            "{dialect} runs with `{name}` = `{value}`: a commit it confirmed may be lost in a \
             power cut; set it to `{wanted}`"
        )
    })
}
