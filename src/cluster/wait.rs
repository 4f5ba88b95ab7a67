//! Stub until the real one lands.
use super::Connection;
use crate::error::Result;
use crate::output::Ui;
use std::time::Duration;
/// .
pub struct Target {
    /// .
    pub namespace: String,
    /// .
    pub cluster_id: Option<String>,
    /// .
    pub jobmanager: String,
    /// .
    pub taskmanager: Option<String>,
    /// .
    pub slots: Option<u32>,
}
/// .
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Serving {
    /// .
    pub leader: String,
    /// .
    pub taskmanagers: u32,
    /// .
    pub slots: u32,
    /// .
    pub flink_version: String,
    /// .
    pub verified: bool,
}
/// .
pub async fn until_serving(_c: &Connection, _ui: &Ui, _t: &Target, _d: Duration) -> Result<Serving> {
    Err(crate::error::Error::could_not_run("stub"))
}
