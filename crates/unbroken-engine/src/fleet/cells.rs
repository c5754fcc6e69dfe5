//! Where are the cells kept? Each has a name and a place; whoever knows the place needs no search.
//!
//! A decision looks at every cell of every candidate, so names are looked up once, when a target is
//! made. Invariants: a cell keeps its place for as long as it lives; the order of iteration is that
//! of the places, so that the same history gives the same decisions.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Where a cell is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

/// Cells of one kind.
#[derive(Debug)]
pub(super) struct Cells<N, T> {
    places: BTreeMap<N, Place>,
    kept: Vec<Option<Box<(N, T)>>>,
    free: Vec<Place>,
}

impl<N: Ord + Clone, T> Cells<N, T> {
    pub(super) const fn new() -> Self {
        Self { places: BTreeMap::new(), kept: Vec::new(), free: Vec::new() }
    }

    /// The place of the cell of this name, made on first use.
    pub(super) fn place(&mut self, name: N, make: impl FnOnce() -> T) -> Place {
        if let Some(place) = self.places.get(&name) {
            return *place;
        }
        let place = self.free.pop().unwrap_or(Place(self.kept.len()));
        let cell = Some(Box::new((name.clone(), make())));
        match self.kept.get_mut(place.0) {
            Some(slot) => *slot = cell,
            None => self.kept.push(cell),
        }
        self.places.insert(name, place);
        place
    }

    pub(super) fn get(&self, place: Place) -> Option<&T> {
        self.kept.get(place.0)?.as_deref().map(|(_, cell)| cell)
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        self.kept.get_mut(place.0)?.as_deref_mut().map(|(_, cell)| cell)
    }

    pub(super) fn named_mut(&mut self, name: &N) -> Option<&mut T> {
        let place = *self.places.get(name)?;
        self.get_mut(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&N, &T)> {
        self.kept.iter().filter_map(|slot| slot.as_deref().map(|(name, cell)| (name, cell)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&N, &mut T)> {
        let kept = self.kept.iter_mut();
        kept.filter_map(|slot| slot.as_deref_mut().map(|(name, cell)| (&*name, cell)))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, cell)| cell)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.iter_mut().map(|(_, cell)| cell)
    }

    /// Forgets the cells whose names are not wanted; their places are given to others.
    pub(super) fn retain(&mut self, mut is_wanted: impl FnMut(&N) -> bool) {
        let Self { places, kept, free } = self;
        places.retain(|name, place| {
            let stays = is_wanted(name);
            if !stays && let Some(slot) = kept.get_mut(place.0) {
                *slot = None;
                free.push(*place);
            }
            stays
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_keeps_its_place_and_leaves_it_to_another() {
        let mut cells = Cells::new();
        let [a, b, c] = ["a", "b", "c"].map(|name| cells.place(name, || name.len()));
        assert_eq!(cells.place("b", || 9), b, "made once");
        cells.retain(|name| *name != "b");
        assert_eq!((cells.get(a), cells.get(b), cells.get(c)), (Some(&1), None, Some(&1)));
        assert_eq!(cells.named_mut(&"b"), None);
        assert_eq!(cells.place("d", || 4), b, "the free place");
        *cells.get_mut(b).unwrap() += 1;
        let all: Vec<_> = cells.iter().map(|(name, cell)| (*name, *cell)).collect();
        assert_eq!(all, [("a", 1), ("d", 5), ("c", 1)], "in the order of the places");
        assert_eq!((cells.len(), cells.values().sum::<usize>()), (3, 7));
        assert_eq!(cells.kept.len(), 3);
    }
}
