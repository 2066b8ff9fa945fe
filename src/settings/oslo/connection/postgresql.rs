//! PostgreSQL: libpq's options become ours.

use super::Translated;
use super::parts::{Parts, bracket, push_database, push_port};

/// The default of libpq on Debian and its kin.
const POSTGRESQL_SOCKETS: &str = "/var/run/postgresql";

impl Parts<'_> {
    /// The query is libpq's (`sqlalchemy/dialects/postgresql/psycopg2.py`): `host` may be a folder
    /// of sockets, and there may be several, each with its port.
    pub fn into_postgresql(mut self) -> Option<Translated> {
        let mut set = Vec::new();
        let root = self.take("sslrootcert");
        if let Some(mode) = self.take("sslmode") {
            let mode = match mode.as_str() {
                "disable" | "prefer" | "require" | "verify-full" => mode,
                "allow" => "prefer".to_owned(),
                // With an authority, `require` verifies all but the host's name.
                "verify-ca" if root.is_some() => "require".to_owned(),
                "verify-ca" => "verify-full".to_owned(),
                _ => return None,
            };
            set.push(("sslmode", mode));
        }
        let files = [
            ("sslrootcert", root),
            ("sslcert", self.take("sslcert")),
            ("sslkey", self.take("sslkey")),
        ];
        set.extend(files.into_iter().filter_map(|(name, value)| Some((name, value?))));
        self.take("client_encoding");
        let hosts = self.postgresql_hosts()?;
        let mut url = format!("postgresql://{}{hosts}", self.credentials());
        push_database(&mut url, self.database);
        Some(self.finish(url, set))
    }

    fn postgresql_hosts(&mut self) -> Option<String> {
        let (hosts, ports) = (self.take_all("host"), self.take_all("port"));
        let mut pairs: Vec<(String, String)> = Vec::new();
        match hosts.as_slice() {
            [] if self.host.is_empty() => {
                pairs.push((POSTGRESQL_SOCKETS.to_owned(), String::new()));
            }
            [] => pairs.push((self.host.to_owned(), String::new())),
            [list] => pairs.extend(list.split(',').map(|host| (host.to_owned(), String::new()))),
            several => pairs.extend(several.iter().map(|host| {
                let (host, port) = host.split_once(':').unwrap_or((host, ""));
                (host.to_owned(), port.to_owned())
            })),
        }
        let listed = ports.join(",");
        let listed: Vec<&str> = listed.split(',').filter(|port| !port.is_empty()).collect();
        let own = self.port.map(|port| port.to_string()).unwrap_or_default();
        let mut text = String::new();
        for (index, (host, port)) in pairs.into_iter().enumerate() {
            let listed = listed.get(index).or(listed.first()).copied();
            let port = if port.is_empty() { listed.unwrap_or(&own).to_owned() } else { port };
            let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
            if index > 0 {
                text.push(',');
            }
            text.push_str(&bracket(&host));
            push_port(&mut text, port);
        }
        Some(text)
    }
}
