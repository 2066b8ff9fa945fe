//! Visits every state that can be reached, breadth first, so a counterexample is a shortest one.

use super::properties::Property;
use super::protocol::Protocol;
use super::seen::Seen;
use super::state::State;
use super::symmetry::canonical;

/// What was found.
pub struct Found {
    /// Different states, two that differ by the workers' names alone counted once.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// How many kinds of steps were taken.
    pub kinds: usize,
    /// The longest shortest way to a state.
    pub depth: u32,
    /// States in which nothing is left to do.
    pub calm: usize,
    /// The first property that fell, and how.
    pub counterexample: Option<Counterexample>,
}

/// A shortest run that breaks a property.
pub struct Counterexample {
    pub property: Property,
    pub trace: Vec<String>,
}

/// Where a state was come from first, and after how many steps.
struct Way {
    from: u32,
    depth: u32,
}

/// Explores `protocol` until all states are seen, or one of what it watches falls.
pub fn explore(protocol: &Protocol) -> Found {
    let mut seen = Seen::new();
    let (mut number, _) = seen.number(canonical(protocol.initial()));
    let mut ways = vec![Way { from: number, depth: 0 }];
    // Steps that are no fault, backwards.
    let mut helping = Vec::new();
    let mut calm = Vec::new();
    let mut steps = 0;
    let mut kinds = Vec::new();
    let mut broken = None;
    while let Some(&state) = seen.states.get(number as usize) {
        let falls = protocol.watched.iter().find(|property| property.is_broken(protocol, &state));
        if let Some(&property) = falls {
            broken = Some((property, number));
            break;
        }
        if state.is_calm() {
            calm.push(number);
        }
        for (step, after) in protocol.steps(&state) {
            steps += 1;
            let kind = std::mem::discriminant(&step);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
            let (to, is_new) = seen.number(canonical(after));
            if is_new {
                ways.push(Way { from: number, depth: ways[number as usize].depth + 1 });
            }
            if step.helps(&state) && to != number {
                helping.push((to, number));
            }
        }
        number += 1;
    }
    let calm_states = calm.len();
    if broken.is_none() && protocol.watched.contains(&Property::Eventually) {
        let stuck = stuck(seen.states.len(), calm, helping);
        broken = stuck.map(|number| (Property::Eventually, number));
    }
    Found {
        states: seen.states.len(),
        steps,
        kinds: kinds.len(),
        depth: ways.last().map_or(0, |last| last.depth),
        calm: calm_states,
        counterexample: broken.map(|(property, number)| Counterexample {
            property,
            trace: trace(protocol, &seen.states, &ways, number),
        }),
    }
}

/// The first state from which no steps without a fault lead to a calm one.
fn stuck(states: usize, calm: Vec<u32>, mut helping: Vec<(u32, u32)>) -> Option<u32> {
    helping.sort_unstable();
    let mut reaches = vec![false; states];
    let mut open = calm;
    while let Some(number) = open.pop() {
        if std::mem::replace(&mut reaches[number as usize], true) {
            continue;
        }
        let begin = helping.partition_point(|&(to, _)| to < number);
        let sources = helping[begin..].iter().take_while(|&&(to, _)| to == number);
        open.extend(sources.map(|&(_, from)| from).filter(|&from| !reaches[from as usize]));
    }
    (0..).zip(reaches).find(|&(_, reached)| !reached).map(|(number, _)| number)
}

/// The run to a state, with one name a worker throughout.
fn trace(protocol: &Protocol, states: &[State], ways: &[Way], end: u32) -> Vec<String> {
    let mut run = vec![end];
    while let Some(&number) = run.last().filter(|&&number| number != 0) {
        run.push(ways[number as usize].from);
    }
    let mut state = protocol.initial();
    let mut told = Vec::new();
    for &number in run.iter().rev().skip(1) {
        let (step, after) = protocol
            .steps(&state)
            .into_iter()
            .find(|&(_, after)| canonical(after) == states[number as usize])
            .expect("the states were reached by steps");
        told.push(format!("{step:?}"));
        state = after;
    }
    told
}
