//! MySQL and MariaDB: PyMySQL's and mysqlclient's options become ours.

use super::Translated;
use super::parts::{Parts, bracket, push_database, push_port};

impl Parts<'_> {
    /// The query is that of PyMySQL and mysqlclient (`sqlalchemy/dialects/mysql/mysqldb.py`).
    pub fn into_mysql(mut self) -> Translated {
        let mut set = Vec::new();
        if let Some(path) = self.take("unix_socket") {
            set.push(("socket", path));
        }
        // Ours is always utf8mb4.
        self.take("charset");
        self.take("use_unicode");
        let ca = self.take("ssl_ca");
        let certificate = self.take("ssl_cert");
        let key = self.take("ssl_key");
        // A folder of authorities is not read, but it asks for verification.
        let verifies = ca.is_some() || self.query.iter().any(|(name, _)| name == "ssl_capath");
        let checks_name = self.take("ssl_check_hostname").is_none_or(|text| is_true(&text));
        if verifies || certificate.is_some() || key.is_some() {
            let mode = if verifies && checks_name { "verify-full" } else { "require" };
            set.push(("sslmode", mode.to_owned()));
        }
        let files = [("sslrootcert", ca), ("sslcert", certificate), ("sslkey", key)];
        set.extend(files.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let host = if self.host.is_empty() { "localhost".to_owned() } else { bracket(self.host) };
        let mut url = format!("mysql://{}{host}", self.credentials());
        push_port(&mut url, self.port);
        push_database(&mut url, self.database);
        self.finish(url, set)
    }
}

/// SQLAlchemy's `asbool`.
fn is_true(text: &str) -> bool {
    matches!(text.trim().to_lowercase().as_str(), "true" | "yes" | "on" | "y" | "t" | "1")
}
