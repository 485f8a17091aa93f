//! Running it: logs, health, sweeping, backups, the first start.

pub(crate) mod backup;
pub(crate) mod checkpoint;
pub(crate) mod dev;
pub(crate) mod health;
pub(crate) mod logging;
pub(crate) mod metrics;
pub(crate) mod sweep;
