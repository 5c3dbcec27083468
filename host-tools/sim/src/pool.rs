//! Threads that compute while the simulation goes on. Results are asked for by number, so their order means nothing.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::Scope;

type Job<'env, R> = Box<dyn FnOnce() -> R + Send + 'env>;

/// Computes jobs; with one thread, when their results are asked for.
pub struct Pool<'env, R> {
    send: Option<Sender<(u64, Job<'env, R>)>>,
    receive: Receiver<(u64, R)>,
    waiting: HashMap<u64, Job<'env, R>>,
    done: HashMap<u64, R>,
    next: u64,
}

impl<'env, R: Send + 'env> Pool<'env, R> {
    pub fn new<'scope>(scope: &'scope Scope<'scope, 'env>, threads: usize) -> Pool<'env, R> {
        let (send, jobs) = channel::<(u64, Job<'env, R>)>();
        let (results, receive) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        if threads > 1 {
            for _ in 0..threads {
                let (jobs, results) = (Arc::clone(&jobs), results.clone());
                scope.spawn(move || {
                    loop {
                        // The lock is held while waiting for a job, not while doing it.
                        let job = jobs.lock().map(|jobs| jobs.recv());
                        let Ok(Ok((number, job))) = job else { return };
                        if results.send((number, job())).is_err() {
                            return;
                        }
                    }
                });
            }
        }
        let send = (threads > 1).then_some(send);
        Pool { send, receive, waiting: HashMap::new(), done: HashMap::new(), next: 0 }
    }

    /// Hands in a job; the number asks for its result.
    pub fn submit(&mut self, job: impl FnOnce() -> R + Send + 'env) -> u64 {
        self.next += 1;
        match &self.send {
            // Threads live as long as the pool.
            Some(send) => drop(send.send((self.next, Box::new(job)))),
            None => drop(self.waiting.insert(self.next, Box::new(job))),
        }
        self.next
    }

    /// Forgets a job whose result nobody will ask for.
    pub fn cancel(&mut self, number: u64) {
        self.waiting.remove(&number);
        self.done.remove(&number);
    }

    /// The result of a job, once.
    pub fn take(&mut self, number: u64) -> Option<R> {
        if let Some(job) = self.waiting.remove(&number) {
            return Some(job());
        }
        loop {
            if let Some(result) = self.done.remove(&number) {
                return Some(result);
            }
            let (number, result) = self.receive.recv().ok()?;
            self.done.insert(number, result);
        }
    }
}
