//! The JSON schemas that are checked in say what b2i reads and writes.
//!
//! `B2I_WRITE_REFERENCE=1 cargo test --lib schemas` writes them.

use std::path::Path;

use schemars::{JsonSchema, schema_for};

use crate::cli::{ErrorEvent, Versioned};
use crate::events::Event;
use crate::pipeline::{Built, Inspection};
use crate::plan::Plan;
use crate::request::Request;

/// A line of `--progress json`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Event")]
#[expect(dead_code, reason = "only its schema is used")]
enum EventLine {
    Event(Event),
    Error(ErrorEvent),
}

/// Compares a schema with the checked-in file.
fn check<T: JsonSchema>(name: &str) {
    let mut text = serde_json::to_string_pretty(&schema_for!(T)).expect("a schema can be written");
    text.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas").join(name);
    if std::env::var_os("B2I_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, &text).expect("writing");
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == text, "docs/schemas/{name} is outdated: {text}");
}

#[test]
fn schemas_are_checked_in() {
    check::<Request>("request.json");
    check::<Plan>("plan.json");
    check::<Versioned<EventLine>>("event.json");
    check::<Versioned<Built>>("result.json");
    check::<Versioned<Inspection>>("facts.json");
}
