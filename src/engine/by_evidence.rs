//! State that is kept separately for each kind of evidence, so that a flood of forged lines displaces nothing that rests
//! on genuine ones.

use crate::rules::Evidence;

/// A value for each kind of evidence.
#[derive(Clone, Debug, Default)]
pub(super) struct ByEvidence<T> {
    pub(super) handshake: T,
    pub(super) spoofable: T,
}

impl<T> ByEvidence<T> {
    pub(super) fn get(&self, evidence: Evidence) -> &T {
        match evidence {
            Evidence::Handshake | Evidence::Kernel => &self.handshake,
            Evidence::Spoofable => &self.spoofable,
        }
    }

    pub(super) fn of(&mut self, evidence: Evidence) -> &mut T {
        match evidence {
            Evidence::Handshake | Evidence::Kernel => &mut self.handshake,
            Evidence::Spoofable => &mut self.spoofable,
        }
    }

    pub(super) fn each(&mut self, mut act: impl FnMut(&mut T)) {
        act(&mut self.handshake);
        act(&mut self.spoofable);
    }
}
