//! How far a model is explored, and how far it was.

use std::sync::Arc;
use std::time::Duration;

/// What is explored. Whatever it is, a checker is compiled once.
pub(crate) type Model = Arc<dyn Fn() + Send + Sync>;

/// What bounds an exploration. Which of it counts depends on the build.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    /// Forced switches an execution, under loom; any number, if none is given.
    pub(crate) preemptions: Option<usize>,
    /// At most so many executions; as many as there are under loom, if none is given, else a default.
    pub(crate) executions: Option<usize>,
    /// For how long.
    pub(crate) limit: Option<Duration>,
    /// Of the random schedules.
    pub(crate) seed: Option<u64>,
    /// The one schedule to run.
    pub(crate) schedule: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Explored {
    pub(crate) executions: usize,
    /// Whether nothing was left out but what the bound on preemptions leaves out.
    pub(crate) complete: bool,
}

impl Bounds {
    /// As the environment says, where it says something.
    pub(crate) fn or_environment(mut self) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        if let Some(text) = variable("LOCKGRAIN_PREEMPTIONS") {
            let number = |text: &str| -> usize {
                text.parse().unwrap_or_else(|_| panic!("LOCKGRAIN_PREEMPTIONS is neither a number nor `any`: {text}"))
            };
            self.preemptions = match (text.strip_prefix('+'), text.strip_prefix('-')) {
                (Some(more), _) => self.preemptions.map(|own| own + number(more)),
                (_, Some(fewer)) => self.preemptions.map(|own| own.saturating_sub(number(fewer))),
                _ => (text != "any").then(|| number(&text)),
            };
        }
        let number = |name: &str| {
            let text = variable(name)?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, which is no number")))
        };
        self.executions = number("LOCKGRAIN_SCHEDULES").map(|n: u64| n as usize).or(self.executions);
        self.limit = number("LOCKGRAIN_SECONDS").map(Duration::from_secs).or(self.limit);
        self.seed = number("LOCKGRAIN_SEED").or(self.seed);
        self.schedule = variable("LOCKGRAIN_SCHEDULE").or(self.schedule);
        self
    }
}
