//! Tasks that are really trained. Their data are read at run time from where the user has them.

mod deal;
mod movielens;
mod pictures;

pub use deal::Deal;
pub use movielens::MovieLens;
pub use pictures::Pictures;
