//! What the core has beside NEON, and the choice among the loops that need it.

/// Instructions that a core has. Each level has those of the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every 64-bit Arm core has: `SMULL`, `SADALP`.
    Neon,
    /// Dot products of four bytes: `SDOT` (optional from Armv8.2 on).
    DotProduct,
    /// Products of matrices of 2 x 8 and 8 x 2 bytes: `SMMLA` (Armv8.6).
    MatrixMultiply,
}

impl Level {
    /// The level of the core that runs this. With the feature `std` the operating system is asked, and the answer kept;
    /// without, the level is what the crate was compiled for.
    #[inline]
    pub fn of_this_core() -> Self {
        if Self::has_matrix_multiply() && Self::has_dot_product() {
            Self::MatrixMultiply
        } else if Self::has_dot_product() {
            Self::DotProduct
        } else {
            Self::Neon
        }
    }

    #[cfg(all(target_arch = "aarch64", feature = "std"))]
    #[inline]
    fn has_dot_product() -> bool {
        std::arch::is_aarch64_feature_detected!("dotprod")
    }

    #[cfg(all(target_arch = "aarch64", feature = "std"))]
    #[inline]
    fn has_matrix_multiply() -> bool {
        std::arch::is_aarch64_feature_detected!("i8mm")
    }

    #[cfg(not(all(target_arch = "aarch64", feature = "std")))]
    const fn has_dot_product() -> bool {
        cfg!(target_feature = "dotprod")
    }

    #[cfg(not(all(target_arch = "aarch64", feature = "std")))]
    const fn has_matrix_multiply() -> bool {
        cfg!(target_feature = "i8mm")
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use std::format;

    /// Whoever runs the tests on a core that he knows names its level, so that each level is known to have been tried.
    #[test]
    fn is_the_expected_one() {
        let Ok(expected) = std::env::var("MOTE_LEVEL") else {
            std::eprintln!("skipped: MOTE_LEVEL does not name the core's level");
            return;
        };
        assert_eq!(format!("{:?}", Level::of_this_core()), expected);
    }
}
