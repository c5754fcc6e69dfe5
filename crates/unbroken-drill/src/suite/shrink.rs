//! What is the least that still fails? A violation with everything left out that it does not need.

use std::fmt::Write as _;
use std::time::Duration;

use unbroken_engine::time::Timestamp;

use super::invariants::Violation;
use super::script::{Load, Script};
use super::world::{Play, run};

/// Runs that a search may take.
const RUNS_MAX: u32 = 400;
/// Lines of the trace that are shown.
const LINES: usize = 25;

/// A violation, made small.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What is left of the scenario.
    pub script: Script,
    /// How it is played.
    pub play: Play,
    /// What does not hold in it: the same invariant.
    pub violation: Violation,
}

/// Leaves out whatever the violation does not need: calls, targets, trouble, time.
#[must_use]
pub fn shrink(script: &Script, play: Play, violation: Violation) -> Shrunk {
    let script = script.at_seed(play.seed).into_owned();
    let mut best = Shrunk { script, play, violation };
    let mut runs = 0;
    loop {
        let smaller = simpler(&best).into_iter().find_map(|(script, play)| {
            runs += 1;
            if runs > RUNS_MAX {
                return None;
            }
            let violation = run(&script, play).err()?;
            let is_same = violation.invariant == best.violation.invariant;
            is_same.then_some(Shrunk { script, play, violation })
        });
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// Everything that is one step simpler, the biggest steps first.
fn simpler(from: &Shrunk) -> Vec<(Script, Play)> {
    let (script, play) = (&from.script, from.play);
    let mut all = Vec::new();
    let mut try_it = |change: &dyn Fn(&mut Script)| {
        let mut simpler = script.clone();
        change(&mut simpler);
        all.push((simpler, play));
    };
    let until = Duration::from_secs(from.violation.at.since(Timestamp::ZERO).as_secs() + 1);
    if until < script.length {
        try_it(&|script| script.length = until);
    }
    if script.replicas > 1 {
        try_it(&|script| (script.replicas, script.sharing) = (1, false));
    }
    for place in 0..script.ailments.len() {
        try_it(&|script| drop(script.ailments.remove(place)));
    }
    for place in 0..script.actions.len() {
        try_it(&|script| drop(script.actions.remove(place)));
    }
    for place in 0..script.targets.len().max(1) - 1 {
        try_it(&|script| drop(script.targets.remove(place)));
    }
    let plain = plain(&script.load);
    if plain != script.load {
        try_it(&|script| script.load = plain.clone());
    }
    let calls = (until.as_secs_f64() * play.rate) as u64;
    let others = [calls / 2, calls / 4, calls / 8, calls / 16, 8, 1];
    let skips = others.into_iter().filter(|more| *more > 0 && play.skip + more <= calls);
    all.extend(skips.map(|more| (script.clone(), Play { skip: play.skip + more, ..play })));
    all
}

/// Calls of one kind, from clients that stay.
fn plain(load: &Load) -> Load {
    Load {
        thinking_s: load.thinking_s,
        input_tokens: load.input_tokens,
        routes: load.routes.clone(),
        whole: 0.0,
        sticky: 0.0,
        background: 0.0,
        ..Load::default()
    }
}

impl Shrunk {
    /// What is left, and the last things that happened before it failed.
    #[must_use]
    pub fn tell(&self) -> String {
        let (script, play) = (&self.script, self.play);
        let names: Vec<&str> = script.targets.iter().map(|target| target.name.as_str()).collect();
        let mut told = format!(
            "{}\n\n  at the least: {} for {:?}, {} replicas, the first {} calls left out\n",
            self.violation,
            names.join(", "),
            script.length,
            script.replicas,
            play.skip
        );
        // Writing into a string cannot fail.
        for ailment in &script.ailments {
            let _ = writeln!(told, "  {ailment:?}");
        }
        for action in &script.actions {
            let _ = writeln!(told, "  {action:?}");
        }
        let trace = &self.violation.trace;
        for line in trace.iter().skip(trace.len().saturating_sub(LINES)) {
            let _ = writeln!(told, "  {line}");
        }
        told
    }
}

/// The one line that plays it again.
#[must_use]
pub fn reproduce(script: &Script, play: Play) -> String {
    let (name, Play { rate, seed, .. }) = (&script.name, play);
    format!("cargo xtask simulate --scenario {name} --rate {rate} --seed {seed}")
}
