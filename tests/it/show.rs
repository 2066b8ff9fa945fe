//! `show ID` against a real database of each kind.

use karbor_restore_worker::cli::show::{Colours, Output, describe};
use karbor_restore_worker::store::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::rest::rows::{self, DELETED, RECORDED};
use crate::store::database::Database;

#[rstest]
#[case::postgresql(Dialect::Postgresql)]
#[case::mysql(Dialect::Mysql)]
#[case::sqlite(Dialect::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn show_tells_progress_resources_and_timeline(#[case] dialect: Dialect) {
    let (database, store) = Database::migrated(dialect).await;
    for statement in rows::statements() {
        database.execute(&statement).await;
    }
    let show = async |id: &str, output: Output| {
        describe(&store, id.parse().unwrap(), output, Colours::Off).await
    };
    insta::assert_snapshot!("show", show(RECORDED, Output::Table).await.unwrap());
    let object: Value = serde_json::from_str(&show(RECORDED, Output::Json).await.unwrap()).unwrap();
    assert_eq!(object["progress"], json!({ "finished": 2, "failed": 1, "total": 4 }));
    assert_eq!(object["resources"][0]["status"], "error");
    assert_eq!(object["events"].as_array().unwrap().len(), 3);
    assert_eq!(object.get("parameters"), None);
    let missing = show(DELETED, Output::Table).await.unwrap_err().to_string();
    assert!(missing.contains(DELETED), "{missing}");
}
