//! The states that were seen, each with a number. They are kept whole and once: the table holds
//! their numbers only, and a state is found by comparing it, so no collision hides one.

use std::hash::{Hash as _, Hasher};

use super::state::State;

/// States in the order in which they were found.
pub struct Seen {
    pub states: Vec<State>,
    /// Numbers plus one, 0 where free; a power of two, at most half full.
    slots: Vec<u32>,
}

impl Seen {
    pub fn new() -> Self {
        Self { states: Vec::new(), slots: vec![0; 1024] }
    }

    /// The number of a state, and whether it is new.
    pub fn number(&mut self, state: State) -> (u32, bool) {
        let slot = self.slot(&state);
        if let Some(number) = self.slots[slot].checked_sub(1) {
            return (number, false);
        }
        let number = u32::try_from(self.states.len()).expect("there is no memory for so many");
        self.states.push(state);
        self.slots[slot] = number + 1;
        if self.states.len() * 2 > self.slots.len() {
            self.slots = vec![0; self.slots.len() * 2];
            for number in 0..=number {
                let slot = self.slot(&self.states[number as usize]);
                self.slots[slot] = number + 1;
            }
        }
        (number, true)
    }

    /// Where this state is, or the free slot where it would be.
    fn slot(&self, state: &State) -> usize {
        let mut hasher = Mix(0);
        state.hash(&mut hasher);
        let mask = self.slots.len() - 1;
        let mut slot = usize::try_from(hasher.finish() >> 32).expect("32 bits are left") & mask;
        // Half of the slots are free.
        while let Some(number) = self.slots[slot].checked_sub(1) {
            if self.states[number as usize] == *state {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// A quick hash of small numbers: each state is hashed as often as it is reached.
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u8(byte);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }
}
