//! `[database] connection`: from SQLAlchemy's spelling of a database's URL
//! (`sqlalchemy/engine/url.py`, `_parse_url`, 1.4) to ours. No error text repeats the URL: it may
//! hold a password.

mod mysql;
mod parts;
mod postgresql;

use self::parts::Parts;

/// The same database in our spelling.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    /// For `database.url`.
    pub url: String,
    /// Names in the query that nothing here reads.
    pub unread: Vec<String>,
}

/// What is accepted, to follow "must be".
pub(super) const ACCEPTED: &str = "SQLAlchemy's URL of a MySQL, MariaDB, PostgreSQL or SQLite \
     database, such as `mysql+pymysql://USER:PASSWORD@HOST/DATABASE?charset=utf8`, \
     `postgresql+psycopg2://...` or `sqlite:////FILE`; `@` in a password is `%40`";

/// Translates `text`; `None` where it is not [`ACCEPTED`].
pub(super) fn translate(text: &str) -> Option<Translated> {
    if text.contains(char::is_control) {
        return None;
    }
    let parts = Parts::read(text)?;
    match parts.dialect {
        "mysql" | "mariadb" => Some(parts.into_mysql()),
        "postgresql" | "postgres" => parts.into_postgresql(),
        "sqlite" => parts.into_sqlite(),
        _ => None,
    }
}

impl Parts<'_> {
    /// `sqlite:///FILE`, and so `sqlite:////FILE` with a path from the root.
    fn into_sqlite(self) -> Option<Translated> {
        let is_file = !self.database.is_empty() && !self.database.starts_with(":memory:");
        let url = format!("sqlite://{}", self.database);
        (is_file && self.host.is_empty()).then(|| self.finish(url, Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("mysql://u:p@h/karbor", "mysql://u:p@h/karbor")]
    #[case("mysql+pymysql://u:p@h:3306/karbor?charset=utf8", "mysql://u:p@h:3306/karbor")]
    #[case("mariadb+pymysql://u@h/d", "mysql://u@h/d")]
    #[case("mysql+pymysql://u:p%40%2Fq@h/d", "mysql://u:p%40%2Fq@h/d")]
    #[case("mysql+pymysql://u:a/b:c?d#e@h/d", "mysql://u:a%2Fb%3Ac%3Fd%23e@h/d")]
    #[case("mysql+pymysql://u:p+q r@h/d", "mysql://u:p%2Bq%20r@h/d")]
    #[case("mysql+pymysql://u:p@[::1]:3307/d", "mysql://u:p@[::1]:3307/d")]
    #[case(
        "mysql://u:p@/d?unix_socket=/run/my.sock",
        "mysql://u:p@localhost/d?socket=%2Frun%2Fmy.sock"
    )]
    #[case(
        "mysql+pymysql://u:p@h/d?ssl_ca=/a.pem&ssl_cert=/c.pem&ssl_key=/k.pem",
        "mysql://u:p@h/d?sslmode=verify-full&sslrootcert=%2Fa.pem&sslcert=%2Fc.pem&sslkey=%2Fk.pem"
    )]
    #[case(
        "mysql+pymysql://u:p@h/d?ssl_ca=/a.pem&ssl_check_hostname=false",
        "mysql://u:p@h/d?sslmode=require&sslrootcert=%2Fa.pem"
    )]
    #[case("postgresql+psycopg2://u:p@h:5433/d", "postgresql://u:p@h:5433/d")]
    #[case("postgres://u@h/d?client_encoding=utf8", "postgresql://u@h/d")]
    #[case("postgresql:///d", "postgresql://%2Fvar%2Frun%2Fpostgresql/d")]
    #[case("postgresql://u@/d?host=/tmp/pg", "postgresql://u@%2Ftmp%2Fpg/d")]
    #[case("postgresql://u@/d?host=a:1&host=b:2", "postgresql://u@a:1,b:2/d")]
    #[case("postgresql://u@/d?host=a,b&port=1,2", "postgresql://u@a:1,b:2/d")]
    #[case("postgresql://h/d?sslmode=allow", "postgresql://h/d?sslmode=prefer")]
    #[case("postgresql://h/d?sslmode=verify-ca", "postgresql://h/d?sslmode=verify-full")]
    #[case(
        "postgresql://h/d?sslmode=verify-ca&sslrootcert=a",
        "postgresql://h/d?sslmode=require&sslrootcert=a"
    )]
    #[case("sqlite:////var/lib/karbor.db", "sqlite:///var/lib/karbor.db")]
    #[case("sqlite:///karbor.db", "sqlite://karbor.db")]
    #[case("sqlite+pysqlite:////a%b?timeout=5", "sqlite:///a%b")]
    fn sqlalchemys_urls_become_ours(#[case] theirs: &str, #[case] ours: &str) {
        assert_eq!(translate(theirs).unwrap().url, ours);
    }

    #[test]
    fn what_is_not_read_of_a_query_is_named() {
        let unread = translate("mysql://h/d?charset=utf8&read_timeout=3&plugin=dbcounter&x=");
        assert_eq!(unread.unwrap().unread, ["read_timeout", "plugin"]);
    }

    #[rstest]
    #[case("secret")]
    #[case("oracle://u:secret@h/d")]
    #[case("mysql://u:p@secret@h/d")]
    #[case("mysql://u:p@h:secret/d")]
    #[case("mysql://u:p@[::1/d")]
    #[case("mysql://u:se\ncret@h/d")]
    #[case("postgresql://h/d?sslmode=secret")]
    #[case("sqlite://")]
    #[case("sqlite:///:memory:")]
    #[case("sqlite://secret/d")]
    fn what_is_no_such_url_is_refused(#[case] text: &str) {
        assert_eq!(translate(text), None);
    }
}
