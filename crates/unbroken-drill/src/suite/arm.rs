//! Who plays? The engine, what it is compared with, and the engine without one ingredient.

use std::time::Duration;

use unbroken_engine::breaker::BreakerConfig;
use unbroken_engine::deadline::Limits;
use unbroken_engine::detector::DetectorConfig;
use unbroken_engine::fleet::{EvidenceConfig, FleetConfig};

/// Who plays a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// Knows what is ill, and asks somebody else: the best that is possible.
    Oracle,
    /// One target, no second attempt.
    NoFailover,
    /// One target after the other, anew for every call.
    Sequential,
    /// The seed document's breaker: three failures in a row, sixty seconds.
    Seed,
    /// Three in a row, learned limits, and hedges whose late losers count.
    Simple,
    /// The engine as it is shipped.
    Engine,
    /// Three in a row instead of the sequential detector.
    WithoutSequential,
    /// No hedges.
    WithoutHedges,
    /// A late loser is no evidence.
    WithoutLostRaces,
    /// Slow answers are no evidence.
    WithoutSlowness,
    /// Limits are not learned.
    WithoutLearnedLimits,
    /// A recovered target gets all of its traffic back at once.
    WithoutRamp,
    /// Open for sixty seconds.
    WithoutQuickRecovery,
    /// Incident-shaped failures are taken for what they look like.
    WithoutGuards,
    /// A probe costs its caller whatever it costs.
    WithoutShadows,
}

impl Arm {
    /// Everybody.
    pub const ALL: &'static [Self] = &[
        Self::Oracle,
        Self::NoFailover,
        Self::Sequential,
        Self::Seed,
        Self::Simple,
        Self::Engine,
        Self::WithoutSequential,
        Self::WithoutHedges,
        Self::WithoutLostRaces,
        Self::WithoutSlowness,
        Self::WithoutLearnedLimits,
        Self::WithoutRamp,
        Self::WithoutQuickRecovery,
        Self::WithoutGuards,
        Self::WithoutShadows,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oracle => "oracle",
            Self::NoFailover => "no failover",
            Self::Sequential => "sequential",
            Self::Seed => "seed 3/60",
            Self::Simple => "simple arm",
            Self::Engine => "engine",
            Self::WithoutSequential => "without the sequential detector",
            Self::WithoutHedges => "without hedges",
            Self::WithoutLostRaces => "without lost races as evidence",
            Self::WithoutSlowness => "without slowness",
            Self::WithoutLearnedLimits => "without learned limits",
            Self::WithoutRamp => "without the ramp",
            Self::WithoutQuickRecovery => "without quick recovery",
            Self::WithoutGuards => "without guards",
            Self::WithoutShadows => "without shadowed probes",
        }
    }

    /// The engine's settings for it, from those of the scenario.
    pub(super) fn configure(self, config: &mut FleetConfig, limits: &mut Limits) {
        let never = DetectorConfig::consecutive(u32::MAX);
        let nothing = EvidenceConfig {
            learned_limits: false,
            slowness: false,
            lost_races: false,
            guards: false,
        };
        let minute = Duration::from_secs(60);
        match self {
            Self::Engine => {}
            Self::Oracle | Self::NoFailover | Self::Sequential => {
                for breaker in
                    [&mut config.breaker, &mut config.endpoint_breaker, &mut config.key_breaker]
                {
                    breaker.detector = never;
                }
                config.evidence = nothing;
                config.hedge.enabled = false;
                config.health.enabled = false;
                config.synthetic.enabled = false;
                config.retry.revisits = 0;
                config.retry.patience = Duration::ZERO;
                limits.first_token = Duration::from_secs(30);
                if self == Self::NoFailover {
                    config.retry.max_attempts = 1;
                }
            }
            Self::Seed | Self::Simple => {
                config.breaker = BreakerConfig {
                    detector: DetectorConfig::consecutive(3),
                    recovery: minute,
                    recovery_max: minute,
                    ramp_start_per_mille: 1000,
                    ramp_successes: 0,
                    ..config.breaker
                };
                config.endpoint_breaker = config.breaker;
                config.evidence = nothing;
                config.synthetic.enabled = false;
                if self == Self::Seed {
                    config.hedge.enabled = false;
                    limits.first_token = Duration::from_secs(30);
                } else {
                    config.evidence.learned_limits = true;
                    config.evidence.lost_races = true;
                    limits.first_token = Duration::from_secs(8);
                }
            }
            Self::WithoutSequential => {
                config.breaker.detector = DetectorConfig::consecutive(3);
            }
            Self::WithoutHedges => config.hedge.enabled = false,
            Self::WithoutLostRaces => config.evidence.lost_races = false,
            Self::WithoutSlowness => config.evidence.slowness = false,
            Self::WithoutLearnedLimits => config.evidence.learned_limits = false,
            Self::WithoutRamp => {
                config.breaker.ramp_start_per_mille = 1000;
                config.breaker.ramp_successes = 0;
            }
            Self::WithoutQuickRecovery => {
                config.breaker.recovery = minute;
                config.breaker.recovery_max = minute;
            }
            Self::WithoutGuards => config.evidence.guards = false,
            Self::WithoutShadows => config.hedge.probe_delay = Duration::from_secs(600),
        }
    }
}
