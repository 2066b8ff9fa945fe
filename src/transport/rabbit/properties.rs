//! Messages between our types and lapin's.
//!
//! Takes and gives the same content. What AMQP cannot carry (a short text over 255 bytes) is an
//! error, never a panic: lapin's own conversion panics.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, DecimalValue, FieldArray, FieldTable, ShortString};

use crate::transport::{Delivery, DeliveryTag, HeaderValue, Properties};

/// A text that is longer than AMQP's 255 bytes.
#[derive(Debug)]
pub(super) struct TooLong;

/// AMQP's short text.
pub(super) fn short(text: &str) -> Result<ShortString, TooLong> {
    ShortString::try_new(text).map_err(|_| TooLong)
}

/// Numbers as Python's client sends them: 32 bits where they fit.
fn to_value(value: &HeaderValue) -> Result<AMQPValue, TooLong> {
    Ok(match value {
        HeaderValue::Text(text) => AMQPValue::LongString(text.as_str().into()),
        HeaderValue::Integer(number) => {
            i32::try_from(*number).map_or(AMQPValue::LongLongInt(*number), AMQPValue::LongInt)
        }
        HeaderValue::Boolean(value) => AMQPValue::Boolean(*value),
        HeaderValue::Double(value) => AMQPValue::Double(*value),
        HeaderValue::Void => AMQPValue::Void,
        HeaderValue::Array(items) => {
            let mut array = FieldArray::default();
            for item in items {
                array.push(to_value(item)?);
            }
            AMQPValue::FieldArray(array)
        }
        HeaderValue::Table(table) => AMQPValue::FieldTable(to_table(
            table.iter().map(|(name, value)| (name.as_str(), value)),
        )?),
    })
}

fn from_value(value: &AMQPValue) -> HeaderValue {
    match value {
        AMQPValue::Boolean(value) => HeaderValue::Boolean(*value),
        AMQPValue::ShortShortInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::ShortShortUInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::ShortInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::ShortUInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::LongInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::LongUInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::LongLongInt(number) => HeaderValue::Integer(*number),
        AMQPValue::Timestamp(seconds) => i64::try_from(*seconds)
            .map_or_else(|_| HeaderValue::Text(seconds.to_string()), HeaderValue::Integer),
        AMQPValue::Float(value) => HeaderValue::Double((*value).into()),
        AMQPValue::Double(value) => HeaderValue::Double(*value),
        AMQPValue::ShortString(text) => HeaderValue::Text(text.to_string()),
        AMQPValue::LongString(text) => HeaderValue::Text(text.to_string()),
        AMQPValue::Void => HeaderValue::Void,
        AMQPValue::FieldArray(array) => {
            HeaderValue::Array(array.as_slice().iter().map(from_value).collect())
        }
        AMQPValue::FieldTable(table) => HeaderValue::Table(from_table(table)),
        AMQPValue::ByteArray(bytes) => {
            HeaderValue::Text(String::from_utf8_lossy(bytes.as_slice()).into_owned())
        }
        AMQPValue::DecimalValue(number) => HeaderValue::Text(spell_decimal(*number)),
    }
}

/// A decimal's digits, the last `scale` of them behind a point.
fn spell_decimal(number: DecimalValue) -> String {
    let scale = usize::from(number.scale);
    let digits = format!("{:0>width$}", number.value, width = scale + 1);
    match digits.split_at(digits.len() - scale) {
        (whole, "") => whole.to_owned(),
        (whole, rest) => format!("{whole}.{rest}"),
    }
}

/// Headers or arguments as AMQP's table.
pub(super) fn to_table<'a>(
    entries: impl IntoIterator<Item = (&'a str, &'a HeaderValue)>,
) -> Result<FieldTable, TooLong> {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(short(name)?, to_value(value)?);
    }
    Ok(table)
}

fn from_table(table: &FieldTable) -> BTreeMap<String, HeaderValue> {
    table.inner().iter().map(|(name, value)| (name.to_string(), from_value(value))).collect()
}

/// Our properties as lapin's.
pub(super) fn to_amqp(properties: &Properties) -> Result<BasicProperties, TooLong> {
    let mut amqp = BasicProperties::default();
    if let Some(text) = &properties.content_type {
        amqp = amqp.with_content_type(short(text)?);
    }
    if let Some(text) = &properties.content_encoding {
        amqp = amqp.with_content_encoding(short(text)?);
    }
    if let Some(mode) = properties.delivery_mode {
        amqp = amqp.with_delivery_mode(mode);
    }
    if let Some(priority) = properties.priority {
        amqp = amqp.with_priority(priority);
    }
    if let Some(text) = &properties.correlation_id {
        amqp = amqp.with_correlation_id(short(text)?);
    }
    if let Some(text) = &properties.reply_to {
        amqp = amqp.with_reply_to(short(text)?);
    }
    if let Some(text) = &properties.expiration {
        amqp = amqp.with_expiration(short(text)?);
    }
    if let Some(text) = &properties.message_id {
        amqp = amqp.with_message_id(short(text)?);
    }
    if let Some(seconds) = properties.timestamp {
        amqp = amqp.with_timestamp(seconds);
    }
    if let Some(text) = &properties.kind {
        amqp = amqp.with_type(short(text)?);
    }
    if let Some(text) = &properties.user_id {
        amqp = amqp.with_user_id(short(text)?);
    }
    if let Some(text) = &properties.app_id {
        amqp = amqp.with_app_id(short(text)?);
    }
    if !properties.headers.is_empty() {
        let headers = properties.headers.iter().map(|(name, value)| (name.as_str(), value));
        amqp = amqp.with_headers(to_table(headers)?);
    }
    Ok(amqp)
}

fn from_amqp(amqp: &BasicProperties) -> Properties {
    let text = |text: &Option<ShortString>| text.as_ref().map(ToString::to_string);
    Properties {
        content_type: text(amqp.content_type()),
        content_encoding: text(amqp.content_encoding()),
        delivery_mode: *amqp.delivery_mode(),
        priority: *amqp.priority(),
        correlation_id: text(amqp.correlation_id()),
        reply_to: text(amqp.reply_to()),
        expiration: text(amqp.expiration()),
        message_id: text(amqp.message_id()),
        timestamp: *amqp.timestamp(),
        kind: text(amqp.kind()),
        user_id: text(amqp.user_id()),
        app_id: text(amqp.app_id()),
        headers: amqp.headers().as_ref().map(from_table).unwrap_or_default(),
    }
}

/// A delivery of `queue` in `session`; its body is moved.
pub(super) fn to_delivery(session: u64, queue: &str, amqp: lapin::message::Delivery) -> Delivery {
    Delivery {
        tag: DeliveryTag { session, tag: amqp.delivery_tag },
        queue: queue.to_owned(),
        redelivered: amqp.redelivered,
        exchange: amqp.exchange.into(),
        routing_key: amqp.routing_key.into(),
        properties: from_amqp(&amqp.properties),
        body: amqp.data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_survive_the_way_to_amqp_and_back() {
        let properties = Properties {
            correlation_id: Some("c".to_owned()),
            message_id: Some("m".to_owned()),
            timestamp: Some(7),
            expiration: Some("60000".to_owned()),
            headers: [
                ("text", HeaderValue::from("é")),
                ("small", HeaderValue::Integer(-1)),
                ("large", HeaderValue::Integer(i64::MAX)),
                ("yes", HeaderValue::Boolean(true)),
                ("half", HeaderValue::Double(0.5)),
                ("nothing", HeaderValue::Void),
                ("list", HeaderValue::Array(vec![HeaderValue::from("x"), HeaderValue::Void])),
                (
                    "table",
                    HeaderValue::Table([("k".to_owned(), HeaderValue::Array(Vec::new()))].into()),
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            ..Properties::oslo()
        };
        assert_eq!(from_amqp(&to_amqp(&properties).unwrap()), properties);
    }

    #[test]
    fn a_decimal_is_kept_as_its_text() {
        for (scale, value, text) in [(1, 15, "1.5"), (0, 7, "7"), (3, 7, "0.007"), (2, 100, "1.00")]
        {
            let number = AMQPValue::DecimalValue(DecimalValue { scale, value });
            assert_eq!(from_value(&number), HeaderValue::from(text));
        }
    }

    #[test]
    fn a_text_over_255_bytes_is_an_error() {
        let properties = Properties { message_id: Some("x".repeat(256)), ..Properties::oslo() };
        assert!(to_amqp(&properties).is_err());
    }
}
