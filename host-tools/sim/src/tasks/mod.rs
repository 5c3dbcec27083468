//! Tasks that are really trained. Their data are read at run time from where the user has them.

pub mod movielens;

pub use movielens::MovieLens;
