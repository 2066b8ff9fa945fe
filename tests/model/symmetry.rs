//! States that differ only by names are one: workers and publishers are exchanged freely.

use super::state::{Generation, Holder, PUBLISHERS, Row, State, WORKERS, index};

/// One state for all that differ from this one by the names of workers and publishers.
pub fn canonical(state: State) -> State {
    let mut one = state;
    for worker in &mut one.workers {
        // One that is over is passed over by the lane.
        worker.publisher = worker.publisher.filter(|&id| state.is_running(id));
    }
    let mut other = one;
    exchange(&mut other);
    put_in_order(&mut one);
    put_in_order(&mut other);
    one.min(other)
}

/// Exchanges the workers' names.
fn exchange(state: &mut State) {
    state.workers.swap(0, 1);
    state.transactions.swap(0, 1);
    for publisher in state.publishers.iter_mut().flatten() {
        if let Some(generation) = &mut publisher.generation {
            generation.owner = 1 - generation.owner;
        }
    }
    for message in &mut state.messages {
        if let Holder::Worker(worker) = message {
            *worker = 1 - *worker;
        }
    }
}

/// What a publisher is, but for its name; one of which nothing is left comes last.
type Key = (bool, Option<Row>, Option<Generation>, u32);

/// Names publishers in the order of what they are; one of which nothing is left is no more.
fn put_in_order(state: &mut State) {
    let mut keys = [(true, None, None, 0); PUBLISHERS];
    let mut order = [0; PUBLISHERS];
    for id in 0..PUBLISHERS {
        keys[id] = key(state, id);
        order[id] = id;
    }
    order.sort_unstable_by_key(|&id| (keys[id], id));
    let mut names = [0; PUBLISHERS];
    let before = state.publishers;
    for (name, &id) in order.iter().enumerate() {
        names[id] = index(name);
        state.publishers[name] = before[id].filter(|_| !keys[id].0);
    }
    let rename = |id: &mut u8| *id = names[usize::from(*id)];
    state.events.iter_mut().flatten().for_each(|event| rename(&mut event.publisher));
    state.transactions.iter_mut().flatten().for_each(|open| rename(&mut open.publisher));
    for worker in &mut state.workers {
        worker.publisher.iter_mut().for_each(rename);
        worker.keeper.publisher_mut().into_iter().for_each(rename);
    }
}

fn key(state: &State, id: usize) -> Key {
    let Some(publisher) = state.publishers[id] else { return (true, None, None, 0) };
    // Where it is named, a bit a place.
    let mut places = 0;
    let mut note = |name: Option<u8>| {
        places = places << 1 | u32::from(name.is_some_and(|name| usize::from(name) == id));
    };
    for event in &state.events {
        note(event.map(|event| event.publisher));
    }
    for transaction in &state.transactions {
        note(transaction.map(|open| open.publisher));
    }
    for worker in 0..WORKERS {
        note(state.workers[worker].keeper.publisher());
    }
    let is_gone = places == 0 && publisher.row.is_none() && publisher.generation.is_none();
    (is_gone, publisher.row, publisher.generation, places)
}
