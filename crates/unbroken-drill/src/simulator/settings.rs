//! The tables of a gateway configuration that scenarios use, for the engine directly. A setting
//! that is not known here is an error: a scenario must not mean two things.

use std::time::Duration;

use unbroken_engine::deadline::Limits;
use unbroken_engine::detector::DetectorConfig;
use unbroken_engine::fleet::FleetConfig;

use crate::scenario::duration;

/// Reads the settings of a scenario.
pub(crate) fn read(settings: &str) -> Result<(FleetConfig, Limits), String> {
    let tables: toml::Table = settings.parse().map_err(|error| format!("settings: {error}"))?;
    let mut config = FleetConfig::default();
    let mut limits = Limits::default();
    for (table, values) in &tables {
        let values = values.as_table().ok_or_else(|| format!("settings.{table} is no table"))?;
        for (key, value) in values {
            set(&mut config, &mut limits, table, key, value)?;
        }
    }
    Ok((config, limits))
}

fn set(
    config: &mut FleetConfig,
    limits: &mut Limits,
    table: &str,
    key: &str,
    value: &toml::Value,
) -> Result<(), String> {
    let unknown = || format!("settings.{table}.{key} is not known to the simulator");
    let span = || -> Result<Duration, String> { duration(value.as_str().ok_or_else(unknown)?) };
    let breaker = &mut config.breaker;
    match (table, key) {
        ("breaker", "recovery") => breaker.recovery = span()?,
        ("breaker", "recovery_max") => breaker.recovery_max = span()?,
        ("breaker", "ramp_step") => breaker.ramp_step = span()?,
        ("breaker", "ramp_start") => {
            let share = value.as_float().ok_or_else(unknown)?;
            breaker.ramp_start_per_mille = (share * 1000.0) as u32;
        }
        ("breaker", "failure_threshold") => {
            let threshold = value.as_integer().and_then(|n| u32::try_from(n).ok());
            breaker.detector = DetectorConfig::consecutive(threshold.ok_or_else(unknown)?);
        }
        ("breaker", "evidence") => {
            let nats = value.as_integer().and_then(|n| u32::try_from(n).ok());
            let milli = nats.ok_or_else(unknown)?.saturating_mul(1000);
            breaker.detector = DetectorConfig::sequential(milli);
        }
        ("limits", "connect") => limits.connect = span()?,
        ("limits", "first_token") => limits.first_token = span()?,
        ("limits", "first_token_reasoning") => limits.first_token_reasoning = span()?,
        ("limits", "total") => limits.total = span()?,
        ("retry", "patience") => config.retry.patience = span()?,
        ("health", "interval") => {
            config.health.interval = span()?;
            let ill = &mut config.health.interval_when_ill;
            *ill = (*ill).min(config.health.interval);
        }
        _ => return Err(unknown()),
    }
    Ok(())
}
