//! Tests of the importer: `real` on trained networks, `built` on small files written here, `damaged` on both
//! after random damage.

mod built;
mod damaged;
mod mirror;
mod real;
mod writer;

use std::path::PathBuf;

/// A file of the shared data, which is no part of the repository; `None` (and a line) where it is absent.
fn shared_data(path: &str) -> Option<Vec<u8>> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let roots = [workspace.join("../shared/data"), workspace.join("../../shared/data")];
    let named = std::env::var_os("MOTE_DATA").map(PathBuf::from);
    let found = named.into_iter().chain(roots).find_map(|root| std::fs::read(root.join(path)).ok());
    if found.is_none() {
        println!("skipped: {path} is not here");
    }
    found
}
