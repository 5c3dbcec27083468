//! What a member signs that others carry: an update, which an aggregator checks whatever way it came, and leave for a
//! gateway to speak in its name.

use crate::{Error, NodeId};
use blake2::{Blake2s256, Digest};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// A signature, in two halves, as serde knows arrays of up to 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof([[u8; 32]; 2]);

impl Proof {
    pub(crate) fn new(signature: Signature) -> Proof {
        let mut halves = [[0; 32]; 2];
        halves.as_flattened_mut().copy_from_slice(&signature.to_bytes());
        Proof(halves)
    }

    fn check(&self, id: &NodeId, signed: &[u8; 32]) -> Result<(), Error> {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.as_flattened());
        let key = VerifyingKey::from_bytes(&id.0).map_err(|_| Error::Signature)?;
        key.verify_strict(signed, &Signature::from_bytes(&bytes)).map_err(|_| Error::Signature)
    }

    /// The signature of a membership ticket.
    pub fn of_ticket(signature: &[u8; 64]) -> Proof {
        Proof::new(Signature::from_bytes(signature))
    }

    pub fn bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.as_flattened());
        bytes
    }
}

/// What a member says of its update: trained from `base` in `round`, with these bytes. The counter only rises, also across
/// resets, so an old update is not taken for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub task: u64,
    pub round: u32,
    /// Hash of the parameters that it began with, and of the bytes of the update.
    pub base: [u8; 32],
    pub update: [u8; 32],
    pub counter: u64,
}

impl Claim {
    pub fn sign(&self, secret: &[u8; 32]) -> Proof {
        Proof::new(signature(&SigningKey::from_bytes(secret), &self.bytes()))
    }

    /// # Errors
    /// [`Error::Signature`].
    pub fn check(&self, member: &NodeId, proof: &Proof) -> Result<(), Error> {
        proof.check(member, &self.bytes())
    }

    fn bytes(&self) -> [u8; 32] {
        let hash = Blake2s256::new().chain_update(b"mote update 1").chain_update(self.task.to_le_bytes());
        let hash = hash.chain_update(self.round.to_le_bytes()).chain_update(self.base);
        hash.chain_update(self.update).chain_update(self.counter.to_le_bytes()).finalize().into()
    }
}

/// Leave for a gateway to answer pings, keep the view and relay models in a member's name; of two, the one with the greater
/// counter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    pub member: NodeId,
    pub gateway: NodeId,
    pub counter: u64,
    pub proof: Proof,
}

impl Delegation {
    pub fn sign(secret: &[u8; 32], task: u64, gateway: NodeId, counter: u64) -> Delegation {
        let key = SigningKey::from_bytes(secret);
        let member = NodeId(key.verifying_key().to_bytes());
        let proof = Proof::new(signature(&key, &delegation_bytes(task, &member, &gateway, counter)));
        Delegation { member, gateway, counter, proof }
    }

    /// # Errors
    /// [`Error::Signature`].
    pub fn check(&self, task: u64) -> Result<(), Error> {
        self.proof.check(&self.member, &delegation_bytes(task, &self.member, &self.gateway, self.counter))
    }
}

/// BLAKE2s-256: what parameters and updates are known by.
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    Blake2s256::digest(bytes).into()
}

/// Signs. Ed25519 cannot fail, which the trait does not know; zeros would be a signature of nothing.
pub(crate) fn signature(key: &SigningKey, message: &[u8]) -> Signature {
    key.try_sign(message).unwrap_or_else(|_| Signature::from_bytes(&[0; 64]))
}

fn delegation_bytes(task: u64, member: &NodeId, gateway: &NodeId, counter: u64) -> [u8; 32] {
    let hash = Blake2s256::new().chain_update(b"mote delegation 1").chain_update(task.to_le_bytes());
    hash.chain_update(member.0).chain_update(gateway.0).chain_update(counter.to_le_bytes()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(secret: &[u8; 32]) -> NodeId {
        NodeId(SigningKey::from_bytes(secret).verifying_key().to_bytes())
    }

    #[test]
    fn a_claim_holds_for_nothing_else() {
        let claim = Claim { task: 7, round: 3, base: [1; 32], update: [2; 32], counter: 9 };
        let (member, proof) = (id(&[5; 32]), claim.sign(&[5; 32]));
        assert_eq!(claim.check(&member, &proof), Ok(()));
        for other in [
            Claim { task: 8, ..claim },
            Claim { round: 4, ..claim },
            Claim { base: [3; 32], ..claim },
            Claim { update: [3; 32], ..claim },
            Claim { counter: 10, ..claim },
        ] {
            assert_eq!(other.check(&member, &proof), Err(Error::Signature), "{other:?}");
        }
        assert_eq!(claim.check(&id(&[6; 32]), &proof), Err(Error::Signature));
    }

    #[test]
    fn a_gateway_has_leave_only_from_the_member_itself() {
        let gateway = id(&[9; 32]);
        let leave = Delegation::sign(&[5; 32], 7, gateway, 1);
        assert_eq!(leave.check(7), Ok(()));
        assert_eq!(leave.check(8), Err(Error::Signature), "of another task");
        assert_eq!(Delegation { counter: 2, ..leave }.check(7), Err(Error::Signature));
        assert_eq!(Delegation { gateway: id(&[8; 32]), ..leave }.check(7), Err(Error::Signature));
        assert_eq!(Delegation { member: gateway, ..leave }.check(7), Err(Error::Signature));
    }
}
