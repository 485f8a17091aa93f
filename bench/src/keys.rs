//! Which customer each call is about.

/// Customer ids in a random order that is the same on every run, walked round and round.
///
/// They are made in that order, so that they lie one behind the other in memory: a cache miss in a measurement is the
/// measured store's own.
#[derive(Clone)]
pub(crate) struct Keys {
    ids: Vec<String>,
    next: usize,
}

impl Keys {
    /// `chosen` of the `total` customers, every one of them when the numbers are equal.
    pub(crate) fn new(total: usize, chosen: usize) -> Self {
        let mut order: Vec<usize> = (0..total).collect();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for end in (1..total).rev() {
            // xorshift64: the quality of a card shuffle is all that is needed.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            order.swap(end, (state % (end as u64 + 1)) as usize);
        }
        Self { ids: order.into_iter().take(chosen).map(id).collect(), next: 0 }
    }

    /// The id for the next call.
    pub(crate) fn next(&mut self) -> &String {
        let at = self.next;
        self.next = if at + 1 == self.ids.len() { 0 } else { at + 1 };
        &self.ids[at]
    }

    /// Two walks over half of the customers each.
    pub(crate) fn halves(mut self) -> [Self; 2] {
        let ids = self.ids.split_off(self.ids.len() / 2);
        self.next = 0;
        [self, Self { ids, next: 0 }]
    }

    pub(crate) fn all(&self) -> &[String] {
        &self.ids
    }
}

/// The id of the customer with this number.
pub(crate) fn id(number: usize) -> String {
    format!("customer-{number}")
}
