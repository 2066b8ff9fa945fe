//! Karbor's versioned objects (`karbor/objects/base.py`, `OBJ_SERIAL_NAMESPACE`): the fields of an
//! object, wrapped with its name and version.
//!
//! Takes an argument, gives its fields; a plain object with the same fields will do as well.

use serde_json::{Map, Value};

/// The fields of a Karbor object called `name` of version 1.x, or of a plain object. The error
/// says what the argument must be.
pub(crate) fn data_of_object(
    value: Value,
    name: &'static str,
) -> Result<Map<String, Value>, String> {
    let must_be =
        || format!("must be a Karbor `{name}` object of version 1.0, or its plain fields");
    let Value::Object(mut object) = value else {
        return Err(must_be());
    };
    let Some(data) = object.remove("karbor_object.data") else {
        return Ok(object);
    };
    let is = |key: &str| object.get(key).and_then(Value::as_str);
    let known = is("karbor_object.name") == Some(name)
        && is("karbor_object.version").is_some_and(|version| version.starts_with("1."));
    match data {
        Value::Object(fields) if known => Ok(fields),
        _ => Err(must_be()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::samples;

    #[test]
    fn karbors_object_and_its_plain_fields_read_the_same() {
        let sample = samples::named("call-restore-1");
        let object = &sample.message["args"]["restore"];
        let plain = object["karbor_object.data"].clone();
        let fields = data_of_object(object.clone(), "Restore").unwrap();
        assert_eq!(data_of_object(plain, "Restore").unwrap(), fields);
        assert_eq!(fields["restore_target"], "http://keystone/v3");
    }

    #[test]
    fn another_object_is_refused() {
        for bad in [
            json!(null),
            json!([]),
            json!({"karbor_object.data": {}}),
            json!({"karbor_object.data": {}, "karbor_object.name": "Plan",
                   "karbor_object.version": "1.0"}),
            json!({"karbor_object.data": {}, "karbor_object.name": "Restore",
                   "karbor_object.version": "2.0"}),
            json!({"karbor_object.data": [], "karbor_object.name": "Restore",
                   "karbor_object.version": "1.0"}),
        ] {
            assert!(data_of_object(bad.clone(), "Restore").is_err(), "{bad}");
        }
    }
}
