//! What an error of a database means: try again, doubt, refuse, give up. Takes SQLSTATEs, MySQL's
//! error numbers and SQLite's words, gives a [`Fault`], and with the act and the stage a
//! [`StoreError`]. No text that comes out of here may hold a bound value or a password.

use std::fmt;

use super::{DatabaseFault, StoreError};

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultClass {
    /// The connection is gone, or may be.
    Lost,
    /// The server answered nothing within the client's own deadline.
    Silent,
    /// The same may succeed later; the connection is fine.
    Transient,
    /// The data is at fault.
    Refused,
    /// The server does not let us in: password, user, database.
    Denied,
    /// It will not get better by itself.
    Fatal,
}

/// An error of a connection, classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub class: FaultClass,
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    pub fn new(class: FaultClass, text: impl Into<String>) -> Self {
        Self { class, text: text.into() }
    }

    /// The same for a connection that was being opened: no data was sent, so none is at fault,
    /// whatever the server says (a blocked host, a pooler's own codes). `place` is where it leads.
    pub fn while_opening(mut self, place: &str) -> Self {
        self.text = format!("{place}: {}", self.text);
        if self.class == FaultClass::Refused {
            self.class = FaultClass::Transient;
        }
        self
    }

    /// Whether the connection it was met on must not be used again.
    pub fn ends_connection(&self) -> bool {
        matches!(self.class, FaultClass::Lost | FaultClass::Silent)
    }

    /// The error of an act whose COMMIT was not sent, or that needed none.
    pub fn before_commit(self, act: &'static str) -> StoreError {
        let source = DatabaseFault(self.text);
        match self.class {
            FaultClass::Lost | FaultClass::Transient => StoreError::Transient { act, source },
            FaultClass::Silent => StoreError::Doubt { act, source },
            FaultClass::Refused => StoreError::Refused { act, source },
            FaultClass::Denied => StoreError::Denied { act, source },
            FaultClass::Fatal => StoreError::Fatal { act, source },
        }
    }

    /// The error of an act whose COMMIT was sent.
    pub fn at_commit(self, act: &'static str) -> StoreError {
        match self.class {
            FaultClass::Lost => StoreError::Doubt { act, source: DatabaseFault(self.text) },
            _ => self.before_commit(act),
        }
    }
}

/// Reads an SQLSTATE of PostgreSQL.
pub(crate) fn by_sqlstate(code: &str, message: &str) -> Fault {
    use FaultClass::{Denied, Fatal, Lost, Refused, Transient};
    let class = match (code, code.get(..2).unwrap_or_default()) {
        // Ended by an administrator or the idle timeout; a statement the server forgot or that a
        // migration made stale; a session that is read-only, on a node that was demoted, say: all
        // need a new connection.
        ("57P01" | "57P02" | "57P05" | "25P03" | "25P04" | "25006" | "26000" | "0A000", _)
        | (_, "08") => Lost,
        (_, "25" | "40" | "53" | "55" | "57" | "58") => Transient,
        (_, "28" | "3D") => Denied,
        ("XX001" | "XX002", _) | (_, "3F" | "42" | "F0") => Fatal,
        _ => Refused,
    };
    Fault::new(class, format!("SQLSTATE {code}: {}", without_values(class, message)))
}

/// Reads an error number of MySQL or MariaDB.
pub(crate) fn by_mysql_number(number: i64, message: &str) -> Fault {
    use FaultClass::{Denied, Fatal, Lost, Refused, Transient};
    let class = match number {
        // Killed, idle for too long, packets out of step; a server that is read-only since a
        // fail-over, where a new connection may lead to another.
        1053 | 1152..=1152 | 1154..=1161 | 1184 | 1290 | 1792 | 1836 | 1927 | 4031 => Lost,
        // Full disks and tables, too many connections, no memory, locks, timeouts, Galera not
        // ready.
        1015 | 1020 | 1021 | 1030 | 1037 | 1038 | 1040 | 1041 | 1047 | 1114 | 1180 | 1203
        | 1205 | 1206 | 1213 | 1226 | 1317 | 1969 | 3024 | 3572 => Transient,
        // Locked accounts and expired passwords too.
        1044 | 1045 | 1049 | 1130 | 1698 | 1862 | 3118 | 4151 => Denied,
        1054 | 1064 | 1142 | 1143 | 1146 | 1227 | 1305 => Fatal,
        _ => Refused,
    };
    Fault::new(class, format!("error {number}: {}", without_values(class, message)))
}

/// Reads SQLite's words: diesel hands on no code.
pub(crate) fn by_sqlite_words(message: &str) -> Fault {
    const TRANSIENT: [&str; 9] = [
        "database is locked",
        "database table is locked",
        "database schema has changed",
        "database or disk is full",
        "disk I/O error",
        "unable to open database file",
        "locking protocol",
        "out of memory",
        "interrupted",
    ];
    const FATAL: [&str; 8] = [
        "no such table",
        "no such column",
        "has no column",
        "attempt to write a readonly database",
        "database disk image is malformed",
        "file is not a database",
        "access permission denied",
        "syntax error",
    ];
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let class = if says(&TRANSIENT) {
        FaultClass::Transient
    } else if says(&FATAL) {
        FaultClass::Fatal
    } else {
        FaultClass::Refused
    };
    Fault::new(class, without_values(class, message))
}

/// Servers quote the value they refuse; a refusal is told without its quotes.
fn without_values(class: FaultClass, message: &str) -> String {
    if class != FaultClass::Refused {
        return message.to_owned();
    }
    let mut quote = None;
    let mut kept = String::with_capacity(message.len());
    for letter in message.chars() {
        match quote {
            Some(open) if letter == open => {
                kept.push(letter);
                quote = None;
            }
            Some(_) => {}
            None => {
                kept.push(letter);
                if matches!(letter, '\'' | '"' | '`') {
                    quote = Some(letter);
                }
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadlock_is_tried_again_and_a_constraint_is_not() {
        assert_eq!(by_sqlstate("40P01", "deadlock detected").class, FaultClass::Transient);
        assert_eq!(by_sqlstate("23505", "duplicate key").class, FaultClass::Refused);
        assert_eq!(by_sqlstate("42P01", "no relation").class, FaultClass::Fatal);
        for number in [1213, 1205, 1020] {
            assert_eq!(by_mysql_number(number, "x").class, FaultClass::Transient);
        }
        assert_eq!(by_mysql_number(1406, "Data too long").class, FaultClass::Refused);
        assert_eq!(by_sqlite_words("database is locked").class, FaultClass::Transient);
    }

    #[test]
    fn a_refused_login_is_told_from_what_never_gets_better() {
        assert_eq!(by_sqlstate("28P01", "password").class, FaultClass::Denied);
        assert_eq!(by_sqlstate("3D000", "no database").class, FaultClass::Denied);
        assert_eq!(by_mysql_number(1045, "Access denied").class, FaultClass::Denied);
        let fault = by_mysql_number(1049, "Unknown database").while_opening("h:5432/d");
        assert!(matches!(fault.before_commit("opening"), StoreError::Denied { .. }));
    }

    #[test]
    fn a_refusal_does_not_repeat_the_value() {
        let fault = by_mysql_number(1062, "Duplicate entry 'hunter2' for key 'PRIMARY'");
        assert_eq!(fault.text, "error 1062: Duplicate entry '' for key ''");
        assert!(!by_sqlstate("22P02", "invalid input: \"hunter2").text.contains("hunter2"));
    }

    #[test]
    fn only_a_lost_commit_is_in_doubt() {
        let lost = Fault::new(FaultClass::Lost, "closed");
        assert!(matches!(lost.clone().before_commit("x"), StoreError::Transient { .. }));
        assert!(matches!(lost.at_commit("x"), StoreError::Doubt { .. }));
    }

    #[test]
    fn an_error_while_opening_never_blames_the_data() {
        let fault = Fault::new(FaultClass::Refused, "host is blocked").while_opening("h:5432/d");
        assert!(matches!(fault.before_commit("opening"), StoreError::Transient { .. }));
        let fault = Fault::new(FaultClass::Fatal, "no such database").while_opening("h:5432/d");
        assert!(matches!(fault.before_commit("opening"), StoreError::Fatal { .. }));
    }
}
