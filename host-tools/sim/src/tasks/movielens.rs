//! MovieLens latest-small: each user is a node with its own ratings, the model is a matrix factorization with 20 factors
//! (206,680 parameters), as in the MoDeST paper. A node changes its user's row and those of the films that it has rated.

use crate::{Score, SimError, Task};
use mote_runtime::random::Random;
use std::collections::BTreeMap;
use std::path::Path;

const FACTORS: usize = 20;
const BATCH: usize = 20;
/// The paper's.
const RATE: f32 = 0.2;

#[derive(Clone, Copy, Debug)]
struct Rating {
    user: u32,
    film: u32,
    stars: f32,
}

/// Ratings by user, a fifth of each user's kept for the test.
pub struct MovieLens {
    users: usize,
    films: usize,
    train: Vec<Vec<Rating>>,
    test: Vec<Rating>,
    seed: u64,
    rate: f32,
}

impl MovieLens {
    /// Reads `ratings.csv`.
    ///
    /// # Errors
    /// [`SimError::Read`], [`SimError::Data`] with the line.
    pub fn read(path: &Path, seed: u64) -> Result<MovieLens, SimError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SimError::Read { path: path.to_owned(), source })?;
        let mut rows = Vec::new();
        for (line, text) in text.lines().enumerate().skip(1) {
            let mut fields = text.split(',');
            let mut field = || fields.next().and_then(|field| field.parse::<f32>().ok());
            let row = (field(), field(), field());
            let (Some(user), Some(film), Some(stars)) = row else {
                let what = "a user, a film and a rating are needed";
                return Err(SimError::Data { path: path.to_owned(), line: line + 1, what });
            };
            rows.push((user as u32, film as u32, stars));
        }
        Ok(MovieLens::new(&rows, seed))
    }

    fn new(rows: &[(u32, u32, f32)], seed: u64) -> MovieLens {
        let numbered = |of: fn(&(u32, u32, f32)) -> u32| -> BTreeMap<u32, u32> {
            let names: std::collections::BTreeSet<u32> = rows.iter().map(of).collect();
            names.into_iter().enumerate().map(|(number, name)| (name, number as u32)).collect()
        };
        let (users, films) = (numbered(|row| row.0), numbered(|row| row.1));
        let (mut train, mut test) = (vec![Vec::new(); users.len()], Vec::new());
        for (user, film, stars) in rows {
            let (user, film) = (users[user], films[film]);
            train[user as usize].push(Rating { user, film, stars: *stars });
        }
        let mut random = Random::new(seed ^ 0x307);
        for ratings in &mut train {
            random.shuffle(ratings);
            test.extend(ratings.split_off(ratings.len() - ratings.len() / 5));
        }
        MovieLens { users: users.len(), films: films.len(), train, test, seed, rate: RATE }
    }

    /// With another learning rate, if one is given.
    pub fn at(self, rate: Option<f32>) -> MovieLens {
        MovieLens { rate: rate.unwrap_or(self.rate), ..self }
    }

    pub fn users(&self) -> usize {
        self.users
    }

    fn film_row(&self, film: u32) -> std::ops::Range<usize> {
        let start = (self.users + film as usize) * FACTORS;
        start..start + FACTORS
    }

    fn user_row(user: u32) -> std::ops::Range<usize> {
        let start = user as usize * FACTORS;
        start..start + FACTORS
    }

    fn error(&self, parameters: &[f32], rating: &Rating) -> f32 {
        let (user, film) =
            (&parameters[Self::user_row(rating.user)], &parameters[self.film_row(rating.film)]);
        user.iter().zip(film).map(|(a, b)| a * b).sum::<f32>() - rating.stars
    }
}

impl Task for MovieLens {
    fn parameters(&self) -> usize {
        (self.users + self.films) * FACTORS
    }

    /// Products begin near the middle of the scale.
    fn initial(&self) -> Vec<f32> {
        let mut random = Random::new(self.seed);
        (0..self.parameters()).map(|_| 0.2 + 0.4 * random.unit()).collect()
    }

    fn train(&self, node: usize, round: u32, parameters: &[f32]) -> Vec<f32> {
        let mut new = parameters.to_vec();
        let Some(ratings) = self.train.get(node) else { return new };
        let mut order: Vec<usize> = (0..ratings.len()).collect();
        Random::new(self.seed ^ (u64::from(round) << 32 | node as u64)).shuffle(&mut order);
        for batch in order.chunks(BATCH) {
            let share = 2.0 * self.rate / batch.len() as f32;
            let user: [f32; FACTORS] = std::array::from_fn(|i| new[node * FACTORS + i]);
            let mut gradient = [0.0; FACTORS];
            for rating in batch.iter().map(|i| &ratings[*i]) {
                // The user's row changes behind the batch only, and nobody rates a film twice.
                let film = self.film_row(rating.film);
                let error = self.error(&new, rating);
                for ((film, user), gradient) in new[film].iter_mut().zip(&user).zip(&mut gradient) {
                    *gradient += error * *film;
                    *film -= share * error * user;
                }
            }
            let row = &mut new[node * FACTORS..(node + 1) * FACTORS];
            row.iter_mut().zip(&gradient).for_each(|(user, gradient)| *user -= share * gradient);
        }
        new
    }

    fn steps(&self, node: usize) -> u32 {
        self.train.get(node).map_or(1, |ratings| ratings.len().div_ceil(BATCH)) as u32
    }

    fn samples(&self, node: usize) -> usize {
        self.train.get(node).map_or(0, Vec::len)
    }

    /// `value`: mean square error of the ratings that were kept aside.
    fn evaluate(&self, parameters: &[f32]) -> Score {
        let square = |rating| f64::from(self.error(parameters, rating)).powi(2);
        let mean = self.test.iter().map(square).sum::<f64>() / self.test.len().max(1) as f64;
        Score { value: mean, loss: mean }
    }

    fn rises(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12 users, 30 films, ratings of rank 1.
    fn small() -> MovieLens {
        let rows = (0..12).flat_map(|u| (0..30).map(move |f| (u + 1, 2 * f, 1.0 + (u * f % 7) as f32 / 2.0)));
        MovieLens::new(&rows.collect::<Vec<_>>(), 1)
    }

    #[test]
    fn training_follows_the_gradient_and_leaves_other_rows_alone() {
        let task = small();
        let before = task.initial();
        let after = task.train(3, 1, &before);
        assert_eq!(after, task.train(3, 1, &before));
        let changed: Vec<usize> =
            (0..before.len()).filter(|i| before[*i] != after[*i]).map(|i| i / FACTORS).collect();
        assert!(changed.iter().all(|row| *row == 3 || *row >= task.users()), "{changed:?}");
        let loss = |p: &[f32]| task.train[3].iter().map(|r| task.error(p, r).powi(2)).sum::<f32>();
        assert!(loss(&after) < loss(&before));
        // One batch of all against differences.
        let one = MovieLens { train: task.train.iter().map(|r| r[..10].to_vec()).collect(), ..small() };
        let step = one.train(3, 1, &before);
        for at in [3 * FACTORS, one.film_row(one.train[3][0].film).start + 5] {
            let mut moved = before.clone();
            let of = |p: &[f32]| {
                one.train[3][..10].iter().map(|r| f64::from(one.error(p, r)).powi(2)).sum::<f64>() / 10.0
            };
            moved[at] += 1e-2;
            let up = of(&moved);
            moved[at] -= 2e-2;
            let slope = (up - of(&moved)) / 2e-2;
            let step = f64::from(before[at] - step[at]) / f64::from(RATE);
            assert!((slope - step).abs() < 1e-2 * (1.0 + slope.abs()), "{slope} {step}");
        }
    }

    #[test]
    fn the_data_beside_the_repository_have_the_papers_size() {
        let folder = std::env::var_os("MOTE_DATA")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), Into::into);
        let path = folder.join("movielens-small/ratings.csv");
        if !path.exists() {
            println!("skipped: no MovieLens data");
            return;
        }
        let task = MovieLens::read(&path, 1).unwrap();
        assert_eq!((task.users(), task.films, task.parameters()), (610, 9724, 206_680));
        assert_eq!(task.test.len() + task.train.iter().map(Vec::len).sum::<usize>(), 100_836);
    }
}
