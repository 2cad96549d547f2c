//! What is kept apart for lines that nobody can forge and for those that anybody can, so that a flood of the second
//! kind pushes out nothing of the first.

use crate::rules::Evidence;

/// One of each.
#[derive(Clone, Debug, Default)]
pub(super) struct ByEvidence<T> {
    pub(super) handshake: T,
    pub(super) spoofable: T,
}

impl<T> ByEvidence<T> {
    pub(super) fn get(&self, evidence: Evidence) -> &T {
        match evidence {
            Evidence::Handshake => &self.handshake,
            Evidence::Spoofable => &self.spoofable,
        }
    }

    pub(super) fn of(&mut self, evidence: Evidence) -> &mut T {
        match evidence {
            Evidence::Handshake => &mut self.handshake,
            Evidence::Spoofable => &mut self.spoofable,
        }
    }

    pub(super) fn each(&mut self, mut act: impl FnMut(&mut T)) {
        act(&mut self.handshake);
        act(&mut self.spoofable);
    }
}
