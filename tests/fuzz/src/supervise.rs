//! Worker processes and what they find. A worker tells on its standard output what it begins, in lines; when it
//! ends too early or falls silent, the case that it had begun is a finding, and another worker takes up the rest.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::corpus::{self, Entry, Kind};
use crate::judge::{Verdict, judge};
use crate::mutate::mutate;
use crate::{ALLOCATOR, MEMORY, Options};

/// A stretch of cases of one file.
#[derive(Clone, Debug)]
struct Job {
    entry: usize,
    from: u64,
    to: u64,
}

/// Cases that one job holds.
const STRETCH: u64 = 500;

/// Counts, and what is wrong.
#[derive(Debug, Default)]
pub struct Summary {
    refused: u64,
    ran: u64,
    accepted: u64,
    pub findings: Vec<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let Self { refused, ran, accepted, findings } = self;
        let cases = refused + accepted + findings.len() as u64;
        let found = findings.len();
        write!(f, "{cases} cases: {refused} refused, {accepted} accepted ({ran} run), {found} findings")
    }
}

/// Runs all cases.
pub fn run(options: &Options) -> Result<Summary> {
    let entries = corpus::load(&options.entry)?;
    let jobs = Mutex::new(share_out(&entries, options.cases));
    let summary = Mutex::new(Summary::default());
    let count = if options.jobs > 0 { options.jobs } else { thread::available_parallelism()?.get() };
    thread::scope(|scope| {
        let run_one = || -> Result<()> {
            let mut worker = Worker::start(options)?;
            loop {
                let next = jobs.lock().unwrap_or_else(|e| e.into_inner()).pop();
                let Some(mut job) = next else { return Ok(()) };
                while let Some(finding) = worker.work(options, &entries, &mut job, &summary)? {
                    eprintln!("{finding}");
                    summary.lock().unwrap_or_else(|e| e.into_inner()).findings.push(finding);
                }
            }
        };
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(run_one)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked")))
    })?;
    Ok(summary.into_inner().unwrap_or_else(|e| e.into_inner()))
}

/// Plans get twice as many cases as each other kind; files of a kind the same.
fn share_out(entries: &[Entry], cases: u64) -> Vec<Job> {
    let weight = |kind| if kind == Kind::Plan { 2 } else { 1 };
    let kinds = [Kind::Plan, Kind::Tflite, Kind::Onnx, Kind::Line];
    let present = kinds.into_iter().filter(|&kind| entries.iter().any(|entry| entry.kind == kind));
    let weights: u64 = present.map(weight).sum();
    let mut jobs = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let same = entries.iter().filter(|other| other.kind == entry.kind).count() as u64;
        let share = (cases * weight(entry.kind)).div_ceil(weights * same);
        for from in (0..share).step_by(STRETCH as usize) {
            jobs.push(Job { entry: index, from, to: (from + STRETCH).min(share) });
        }
    }
    jobs
}

struct Worker {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Worker {
    fn start(options: &Options) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--worker", "--seed", &options.seed.to_string(), "--entry", &options.entry])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("a worker without output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Self { child, lines })
    }

    /// Works at a job; `None` when it is done, else what was found, and the job is what is left of it.
    fn work(
        &mut self,
        options: &Options,
        entries: &[Entry],
        job: &mut Job,
        summary: &Mutex<Summary>,
    ) -> Result<Option<String>> {
        let order = format!("{} {} {}\n", job.entry, job.from, job.to);
        let input = self.child.stdin.as_mut().context("a worker without input")?;
        let sent = input.write_all(order.as_bytes()).and_then(|()| input.flush());
        let mut started = sent.is_ok();
        let patience = Duration::from_secs(options.patience);
        loop {
            // Reading the corpus takes a while before the first line.
            let patience = if started { patience } else { patience * 4 };
            let what = match self.lines.recv_timeout(patience) {
                Ok(line) => match line.split_once(' ').unwrap_or((&line, "")) {
                    ("begin", case) => {
                        job.from = case.parse()?;
                        started = true;
                        continue;
                    }
                    ("done", _) => return Ok(None),
                    (verdict @ ("refused" | "accepted" | "ran"), _) => {
                        let mut summary = summary.lock().unwrap_or_else(|e| e.into_inner());
                        summary.refused += u64::from(verdict == "refused");
                        summary.accepted += u64::from(verdict != "refused");
                        summary.ran += u64::from(verdict == "ran");
                        continue;
                    }
                    (_, words) => {
                        let finding = finding(options, &entries[job.entry], job.from, words);
                        // It goes on by itself.
                        summary.lock().unwrap_or_else(|e| e.into_inner()).findings.push(finding.clone());
                        eprintln!("{finding}");
                        continue;
                    }
                },
                Err(RecvTimeoutError::Timeout) => "it hangs".to_owned(),
                Err(RecvTimeoutError::Disconnected) => self.last_words(),
            };
            let _ = self.child.kill();
            let _ = self.child.wait();
            let finding = finding(options, &entries[job.entry], job.from, &what);
            job.from += 1;
            *self = Self::start(options)?;
            return Ok(Some(finding));
        }
    }

    /// What a worker that ended said last.
    fn last_words(&mut self) -> String {
        let status = self.child.wait().map(|status| status.to_string()).unwrap_or_default();
        let mut text = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            let _ = errors.read_to_string(&mut text);
        }
        format!("{status}: {}", text.lines().last().unwrap_or_default())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn finding(options: &Options, entry: &Entry, case: u64, what: &str) -> String {
    let (seed, name) = (options.seed, &entry.name);
    format!("--seed {seed} --entry {name} --case {case}: {what}")
}

/// The worker's side: jobs come as lines `entry from to`.
pub fn work(options: &Options) -> Result<()> {
    let entries = corpus::load(&options.entry)?;
    let limit = ALLOCATOR.allocated() + MEMORY;
    ALLOCATOR.set_limit(limit).ok().context("no limit for memory")?;
    // The panic's message goes to the supervisor, not to the screen.
    std::panic::set_hook(Box::new(|_| {}));
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lines() {
        let line = line?;
        let mut numbers = line.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next().context("a job without numbers");
        let (index, from, to) = (next()??, next()??, next()??);
        let entry = entries.get(index as usize).context("a job for no file")?;
        for case in from..to {
            writeln!(out, "begin {case}")?;
            out.flush()?;
            match catch_unwind(AssertUnwindSafe(|| judge(entry, &mutate(entry, options.seed, case)))) {
                Ok(Verdict::Refused(_)) => writeln!(out, "refused")?,
                Ok(Verdict::Accepted { ran }) => writeln!(out, "{}", if ran { "ran" } else { "accepted" })?,
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().map(String::as_str);
                    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
                    writeln!(out, "found panicked: {}", text.replace('\n', " "))?;
                }
            }
        }
        writeln!(out, "done")?;
        out.flush()?;
    }
    Ok(())
}
