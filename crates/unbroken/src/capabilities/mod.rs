//! What can a model carry? A target that cannot carry a request is not asked, so that a failover
//! does not end in a refusal that was foreseeable.
//!
//! Three sources, the first that knows wins: what the operator says (`models` of a provider), what refusals
//! have taught within the last day ([`lessons`]), and the table that comes with the program
//! ([`table`]). Only a known "no" keeps a target from being asked; what nobody knows is tried.

use std::collections::BTreeSet;

use unbroken_wire::chat::{Block, Chat, Effort, OutputFormat, Source};

use crate::providers::Fit;
use crate::route::Choice;

pub mod coverage;
pub(crate) mod lessons;
pub(crate) mod refused;
pub mod table;

/// Something in a request that not every model can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Tools that may be called.
    Tools,
    /// Images.
    Images,
    /// PDFs and other documents.
    Pdfs,
    /// An answer that matches a JSON Schema.
    JsonSchema,
    /// Thinking, as much as asked for. A hint: without it the answer is still one.
    Reasoning,
}

impl Need {
    /// Every need.
    pub const ALL: [Self; 5] =
        [Self::Tools, Self::Images, Self::Pdfs, Self::JsonSchema, Self::Reasoning];

    /// Its name in configurations and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Images => "images",
            Self::Pdfs => "pdfs",
            Self::JsonSchema => "json_schema",
            Self::Reasoning => "reasoning",
        }
    }

    /// Whether a target without it is no candidate.
    #[must_use]
    pub const fn is_strict(self) -> bool {
        match self {
            Self::Tools | Self::Images | Self::Pdfs | Self::JsonSchema => true,
            Self::Reasoning => false,
        }
    }
}

/// What one request needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// A bit for each need, in the order of [`Need::ALL`].
    of: u8,
    /// Estimated tokens of input.
    pub input_tokens: u64,
}

impl Needs {
    /// What `chat` needs.
    #[must_use]
    pub fn of(chat: &Chat) -> Self {
        let mut needs = Self { of: 0, input_tokens: chat.estimated_input_tokens() };
        if !chat.tools.is_empty() {
            needs.add(Need::Tools);
        }
        if matches!(chat.output, OutputFormat::Schema { .. }) {
            needs.add(Need::JsonSchema);
        }
        if chat.effort.is_some_and(|effort| effort > Effort::None) {
            needs.add(Need::Reasoning);
        }
        for block in chat.turns.iter().flat_map(|turn| &turn.blocks) {
            needs.look_at(block);
        }
        needs
    }

    #[cfg(test)]
    pub(crate) fn with(needs: &[Need], input_tokens: u64) -> Self {
        let mut all = Self { of: 0, input_tokens };
        needs.iter().for_each(|need| all.add(*need));
        all
    }

    /// Whether `need` is among them.
    #[must_use]
    pub const fn has(self, need: Need) -> bool {
        self.of & Self::bit(need) != 0
    }

    const fn add(&mut self, need: Need) {
        self.of |= Self::bit(need);
    }

    const fn bit(need: Need) -> u8 {
        1 << need as u8
    }

    fn look_at(&mut self, block: &Block) {
        match block {
            Block::Image(_) => self.add(Need::Images),
            Block::File { source: Source::Base64 { media_type, .. }, .. }
                if media_type.starts_with("text/") => {}
            Block::File { .. } => self.add(Need::Pdfs),
            Block::ToolResult { content, .. } => {
                content.iter().for_each(|inner| self.look_at(inner));
            }
            Block::Text(_)
            | Block::Refusal(_)
            | Block::ToolCall(_)
            | Block::Thinking { .. }
            | Block::Opaque(_) => {}
        }
    }
}

/// What is known of one model at one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// What it cannot carry.
    pub lacks: BTreeSet<Need>,
    /// The most tokens that fit into it, if known.
    pub context: Option<u64>,
    /// Whether somebody knows the model, so that what is not lacking is there.
    pub is_known: bool,
    /// Fields that it treats in its own way.
    pub fits: &'static [Fit],
}

/// What an operator says of the models whose names match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRule {
    /// The models' names; a `*` stands for anything.
    pub name: String,
    /// What they cannot carry.
    pub lacks: Vec<Need>,
    /// What they can carry, whatever the table says.
    pub has: Vec<Need>,
    /// The most tokens that fit into them.
    pub context: Option<u64>,
}

/// What is known of a target, the operator's word included.
#[must_use]
pub fn abilities(choice: &Choice) -> Abilities {
    let mut abilities = table::look_up(choice.endpoint.provider.name, &choice.model);
    let applies = |rule: &&ModelRule| table::matches(&rule.name, &choice.model);
    if let Some(rule) = choice.endpoint.models.iter().find(applies) {
        abilities.is_known = true;
        abilities.lacks.extend(&rule.lacks);
        abilities.lacks.retain(|need| !rule.has.contains(need));
        abilities.context = rule.context.or(abilities.context);
    }
    abilities
}

impl Abilities {
    /// What keeps a target with these abilities from being asked.
    #[must_use]
    pub fn obstacle(&self, needs: Needs) -> Option<Obstacle> {
        let lacking = |need: &&Need| need.is_strict() && needs.has(**need);
        if let Some(need) = self.lacks.iter().find(lacking) {
            return Some(Obstacle::Lacks(*need));
        }
        let context = self.context?;
        // Four characters to a token is an estimate: only what is far too long is not tried.
        let is_far_too_long = needs.input_tokens > context.saturating_add(context / 4);
        is_far_too_long.then_some(Obstacle::TooLong { tokens: needs.input_tokens, context })
    }
}

/// Why a target cannot carry a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It lacks something.
    Lacks(Need),
    /// The input is longer than its context.
    TooLong {
        /// Estimated tokens of input.
        tokens: u64,
        /// Tokens that fit.
        context: u64,
    },
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lacks(Need::Tools) => f.write_str("it has no tools"),
            Self::Lacks(Need::Images) => f.write_str("it takes no images"),
            Self::Lacks(Need::Pdfs) => f.write_str("it takes no documents"),
            Self::Lacks(Need::JsonSchema) => f.write_str("it does not follow a JSON Schema"),
            Self::Lacks(Need::Reasoning) => f.write_str("it does not reason"),
            Self::TooLong { tokens, context } => {
                write!(f, "about {tokens} tokens do not fit into its {context}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
