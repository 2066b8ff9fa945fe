//! AMQP properties as JSON text, for a message that rests in a table.
//!
//! Takes and gives [`Properties`]. What a row cannot be read of is left out: properties decorate a
//! dead letter, and must never keep it from being sent.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::transport::{HeaderValue, Properties};
use crate::wire::{dumps, is_secret, loads, redact_entry, without_values};

/// A sender's properties without the secrets that a body must not keep either.
pub fn without_secrets(properties: &Properties) -> Properties {
    // AMQP's short strings: cut, since JSON written anew may be longer than it came.
    let text =
        |text: &Option<String>| text.as_deref().map(|text| without_values(text).into_owned());
    Properties {
        content_type: text(&properties.content_type),
        content_encoding: text(&properties.content_encoding),
        correlation_id: text(&properties.correlation_id),
        reply_to: text(&properties.reply_to),
        message_id: text(&properties.message_id),
        kind: text(&properties.kind),
        app_id: text(&properties.app_id),
        headers: redacted_table(&properties.headers),
        ..properties.clone()
    }
}

fn redacted_table(table: &BTreeMap<String, HeaderValue>) -> BTreeMap<String, HeaderValue> {
    let entry =
        |(name, value): (&String, _)| (without_values(name).into_owned(), redacted(name, value));
    table.iter().map(entry).collect()
}

fn redacted(name: &str, value: &HeaderValue) -> HeaderValue {
    if is_secret(name) {
        return HeaderValue::Void;
    }
    match value {
        HeaderValue::Text(text) => {
            let mut text = Value::from(text.as_str());
            redact_entry(name, &mut text);
            text.as_str().map_or(HeaderValue::Void, HeaderValue::from)
        }
        HeaderValue::Array(items) => {
            HeaderValue::Array(items.iter().map(|item| redacted("", item)).collect())
        }
        HeaderValue::Table(table) => HeaderValue::Table(redacted_table(table)),
        other => other.clone(),
    }
}

/// The properties as a JSON object, without secrets; absent ones are left out.
pub fn properties_to_json(properties: &Properties) -> String {
    let properties = without_secrets(properties);
    let mut keys = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            keys.insert(key.to_owned(), value);
        }
    };
    let text = |value: &Option<String>| value.clone().map(Value::from);
    put("content_type", text(&properties.content_type));
    put("content_encoding", text(&properties.content_encoding));
    put("delivery_mode", properties.delivery_mode.map(Value::from));
    put("priority", properties.priority.map(Value::from));
    put("correlation_id", text(&properties.correlation_id));
    put("reply_to", text(&properties.reply_to));
    put("expiration", text(&properties.expiration));
    put("message_id", text(&properties.message_id));
    put("timestamp", properties.timestamp.map(Value::from));
    put("type", text(&properties.kind));
    put("user_id", text(&properties.user_id));
    put("app_id", text(&properties.app_id));
    if !properties.headers.is_empty() {
        let headers = properties.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), header_to_json(value)));
        put("headers", Some(Value::Object(headers.collect())));
    }
    dumps(&keys)
}

/// The properties of a text that [`properties_to_json`] wrote.
pub fn properties_from_json(text: &str) -> Properties {
    let Ok(Value::Object(keys)) = loads(text) else {
        return Properties::default();
    };
    let text = |key: &str| keys.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| keys.get(key).and_then(Value::as_u64);
    let octet = |key: &str| number(key).and_then(|n| u8::try_from(n).ok());
    let headers = keys.get("headers").and_then(Value::as_object).into_iter().flatten();
    Properties {
        content_type: text("content_type"),
        content_encoding: text("content_encoding"),
        delivery_mode: octet("delivery_mode"),
        priority: octet("priority"),
        correlation_id: text("correlation_id"),
        reply_to: text("reply_to"),
        expiration: text("expiration"),
        message_id: text("message_id"),
        timestamp: number("timestamp"),
        kind: text("type"),
        user_id: text("user_id"),
        app_id: text("app_id"),
        headers: headers
            .filter_map(|(name, value)| Some((name.clone(), header_from_json(value)?)))
            .collect(),
    }
}

/// A double is an object of its own, so that it is not taken for a whole number, and since JSON
/// has no infinite ones; a table is within one, so that it is not taken for a double.
fn header_to_json(value: &HeaderValue) -> Value {
    match value {
        HeaderValue::Text(text) => Value::from(text.as_str()),
        HeaderValue::Integer(number) => Value::from(*number),
        HeaderValue::Boolean(flag) => Value::from(*flag),
        HeaderValue::Double(number) => {
            Value::Object(Map::from_iter([("double".to_owned(), Value::from(number.to_string()))]))
        }
        HeaderValue::Void => Value::Null,
        HeaderValue::Array(items) => items.iter().map(header_to_json).collect(),
        HeaderValue::Table(table) => {
            let entries = table.iter().map(|(name, value)| (name.clone(), header_to_json(value)));
            Value::Object(Map::from_iter([("table".to_owned(), entries.collect())]))
        }
    }
}

fn header_from_json(value: &Value) -> Option<HeaderValue> {
    Some(match value {
        Value::Null => HeaderValue::Void,
        Value::Bool(flag) => HeaderValue::Boolean(*flag),
        Value::Number(number) => HeaderValue::Integer(number.as_i64()?),
        Value::String(text) => HeaderValue::Text(text.clone()),
        Value::Array(items) => {
            HeaderValue::Array(items.iter().filter_map(header_from_json).collect())
        }
        Value::Object(object) => match (object.get("double"), object.get("table")) {
            (Some(number), _) => HeaderValue::Double(number.as_str()?.parse().ok()?),
            (None, Some(Value::Object(table))) => HeaderValue::Table(
                table
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), header_from_json(value)?)))
                    .collect(),
            ),
            (None, _) => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_round_trip() {
        let full = Properties {
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("utf-8".to_owned()),
            delivery_mode: Some(1),
            priority: Some(9),
            correlation_id: Some("c\u{0}é".to_owned()),
            reply_to: Some("r".to_owned()),
            expiration: Some("60000".to_owned()),
            message_id: Some("m".to_owned()),
            timestamp: Some(u64::MAX),
            kind: Some("k".to_owned()),
            user_id: Some("u".to_owned()),
            app_id: Some("a".to_owned()),
            headers: [
                ("text".to_owned(), HeaderValue::from("x")),
                ("integer".to_owned(), HeaderValue::Integer(i64::MIN)),
                ("boolean".to_owned(), HeaderValue::Boolean(true)),
                ("double".to_owned(), HeaderValue::Double(2.0)),
                ("infinite".to_owned(), HeaderValue::Double(f64::NEG_INFINITY)),
                ("void".to_owned(), HeaderValue::Void),
                (
                    "array".to_owned(),
                    HeaderValue::Array(vec![HeaderValue::Double(0.5), HeaderValue::from("x")]),
                ),
                (
                    "table".to_owned(),
                    HeaderValue::Table([("double".to_owned(), HeaderValue::Integer(1))].into()),
                ),
            ]
            .into(),
        };
        for properties in [full, Properties::oslo(), Properties::default()] {
            let text = properties_to_json(&properties);
            assert!(text.is_ascii());
            assert_eq!(properties_from_json(&text), properties);
        }
    }

    #[test]
    fn no_name_and_no_text_of_a_property_keeps_a_secret() {
        let told = |text: &str| Some(text.to_owned());
        let inner = [("restore_auth=TOK".to_owned(), HeaderValue::Integer(1))].into();
        let sent = Properties {
            content_type: told("restore_auth=TOK"),
            content_encoding: told("utf-8; _context_auth_token: TOK"),
            correlation_id: told(r#"{"restore_auth": "TOK"}"#),
            reply_to: told(r#"reply_1 {"restore\u005fauth":1}"#),
            message_id: told("<restore_auth>TOK"),
            kind: told("my_restore_auth = TOK"),
            app_id: told("restore_auth='TOK'"),
            headers: [
                (r#"{"restore_auth": "TOK"}"#.to_owned(), HeaderValue::from("x")),
                ("restore_auth=TOK".to_owned(), HeaderValue::Void),
                ("list".to_owned(), HeaderValue::Array(vec![HeaderValue::Table(inner)])),
            ]
            .into(),
            ..Properties::default()
        };
        let kept = without_secrets(&sent);
        assert!(!format!("{kept:?}").contains("TOK"), "{kept:?}");
        assert_eq!(kept.correlation_id.as_deref(), Some(r#"{"***"#));
        assert_eq!(kept.reply_to.as_deref(), Some(r#"reply_1 {"***"#));
        assert_eq!(kept.headers[r#"{"***"#], HeaderValue::from("x"));
        assert_eq!(properties_from_json(&properties_to_json(&sent)), kept);

        let plain = Properties {
            correlation_id: told(r#"{ "a": 1.50 , "restore_auths": 2}"#),
            kind: told("restore_auth"),
            ..Properties::oslo()
        };
        assert_eq!(without_secrets(&plain), plain);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(properties_from_json("nonsense"), Properties::default());
        let read = properties_from_json(r#"{"priority": 700, "app_id": 1, "headers": {"a": {}}}"#);
        assert_eq!(read, Properties::default());
    }
}
