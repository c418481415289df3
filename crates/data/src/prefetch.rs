//! Batches cut ahead of the training loop by worker threads.
//!
//! Worker `k` of `n` makes the iterations `first + k`, `first + k + n`, ... into
//! its own bounded channel, and the consumer takes from the channels in turn.
//! The batches and their order are therefore those of a plain loop over
//! [`Sampler::batch`], whatever the number of threads.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::sampler::{Batch, Sampler};

/// Batches that each worker holds ready.
const DEPTH: usize = 2;

/// A batch, ready to train on.
#[derive(Clone, Debug, PartialEq)]
pub struct Prefetched {
    /// The iteration it is for.
    pub iteration: u64,
    /// The batch of that iteration.
    pub batch: Batch,
    /// Seconds that the consumer waited for it.
    pub waited_seconds: f64,
}

/// Why no further batch comes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrefetchError {
    /// Without a thread nothing is made.
    #[error("patches need at least one prefetch thread, found 0; ask for 1 or more")]
    NoThreads,
    /// The system gives no thread.
    #[error("prefetch thread {worker} cannot be started: {source}; ask for fewer threads")]
    Spawn {
        /// Number of the worker.
        worker: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// Making a batch failed.
    #[error("the batch of iteration {iteration} could not be made: {cause}")]
    Worker {
        /// The iteration.
        iteration: u64,
        /// What the worker said when it stopped.
        cause: String,
    },
}

/// An iterator over the batches of a range of iterations, in order. After an
/// error it ends. Dropping it stops the workers.
#[derive(Debug)]
pub struct Prefetch {
    next: u64,
    end: u64,
    first: u64,
    queues: Vec<Receiver<Result<Batch, String>>>,
    workers: Vec<JoinHandle<()>>,
}

impl Prefetch {
    /// Starts `threads` workers on the batches of `iterations`.
    ///
    /// # Errors
    /// When `threads` is 0 or the system does not start one.
    pub fn new(
        sampler: Arc<Sampler>,
        batch_size: usize,
        iterations: Range<u64>,
        threads: usize,
    ) -> Result<Self, PrefetchError> {
        let make = move |iteration| {
            let batch = sampler.batch(iteration, batch_size);
            batch.map_err(|e| e.to_string())
        };
        Self::start(Arc::new(make), iterations, threads)
    }

    fn start(
        make: Arc<dyn Fn(u64) -> Result<Batch, String> + Send + Sync>,
        iterations: Range<u64>,
        threads: usize,
    ) -> Result<Self, PrefetchError> {
        if threads == 0 {
            return Err(PrefetchError::NoThreads);
        }
        let mut prefetch = Self {
            next: iterations.start,
            end: iterations.end,
            first: iterations.start,
            queues: Vec::new(),
            workers: Vec::new(),
        };
        for worker in 0..threads {
            let (sender, queue) = sync_channel(DEPTH);
            let (make, own) = (
                make.clone(),
                iterations.clone().skip(worker).step_by(threads),
            );
            let handle = std::thread::Builder::new()
                .name(format!("prefetch-{worker}"))
                .spawn(move || work(&*make, own, &sender))
                .map_err(|source| PrefetchError::Spawn { worker, source })?;
            prefetch.queues.push(queue);
            prefetch.workers.push(handle);
        }
        Ok(prefetch)
    }
}

/// Makes batches until the last one, an error, a panic, or a consumer that went away.
fn work(
    make: &(dyn Fn(u64) -> Result<Batch, String> + Send + Sync),
    iterations: impl Iterator<Item = u64>,
    sender: &SyncSender<Result<Batch, String>>,
) {
    for iteration in iterations {
        // A panic changes nothing that is used afterwards: the worker stops.
        let made = catch_unwind(AssertUnwindSafe(|| make(iteration)))
            .unwrap_or_else(|payload| Err(panic_message(&*payload)));
        let failed = made.is_err();
        if sender.send(made).is_err() || failed {
            return;
        }
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("the worker panicked without a message")
        .to_owned()
}

impl Iterator for Prefetch {
    type Item = Result<Prefetched, PrefetchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let iteration = self.next;
        let queue = (iteration - self.first) % self.queues.len() as u64;
        let start = Instant::now();
        let received = self.queues[queue as usize]
            .recv()
            .unwrap_or_else(|_| Err("the worker stopped without a message".to_owned()));
        let waited_seconds = start.elapsed().as_secs_f64();
        Some(match received {
            Ok(batch) => {
                self.next += 1;
                Ok(Prefetched {
                    iteration,
                    batch,
                    waited_seconds,
                })
            }
            Err(cause) => {
                self.next = self.end;
                Err(PrefetchError::Worker { iteration, cause })
            }
        })
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // A worker waiting to send sees that its queue is gone and returns.
        self.queues.clear();
        for worker in self.workers.drain(..) {
            // Panics were already caught in the worker.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// A batch whose only label tells its iteration.
    fn numbered(iteration: u64) -> Result<Batch, String> {
        Ok(Batch {
            labels: vec![iteration as u8],
            ..Batch::default()
        })
    }

    #[test]
    fn batches_come_in_order_whatever_the_number_of_threads() {
        for threads in [1, 2, 3, 7, 20] {
            // Later iterations are made faster, so workers finish out of order.
            let make = |i: u64| {
                std::thread::sleep(Duration::from_micros(100 * (15 - i)));
                numbered(i)
            };
            let seen: Vec<(u64, u8)> = Prefetch::start(Arc::new(make), 5..15, threads)
                .unwrap()
                .map(|item| item.unwrap())
                .map(|p| (p.iteration, p.batch.labels[0]))
                .collect();
            let expected: Vec<(u64, u8)> = (5..15).map(|i| (i, i as u8)).collect();
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn a_panic_reaches_the_consumer_with_its_cause() {
        let make = |i: u64| {
            assert!(i != 3, "no patch at {i}");
            numbered(i)
        };
        let mut prefetch = Prefetch::start(Arc::new(make), 0..9, 2).unwrap();
        for i in 0..3 {
            assert_eq!(prefetch.next().unwrap().unwrap().iteration, i);
        }
        let error = prefetch.next().unwrap().unwrap_err().to_string();
        assert_eq!(
            error,
            "the batch of iteration 3 could not be made: no patch at 3"
        );
        assert!(prefetch.next().is_none());
    }

    #[test]
    fn workers_run_a_bounded_way_ahead_and_stop_when_dropped() {
        let made = Arc::new(AtomicU64::new(0));
        let counter = made.clone();
        let make = move |i| {
            counter.fetch_add(1, Ordering::SeqCst);
            numbered(i)
        };
        let mut prefetch = Prefetch::start(Arc::new(make), 0..u64::MAX, 3).unwrap();
        assert_eq!(prefetch.next().unwrap().unwrap().iteration, 0);
        drop(prefetch);
        // Each worker fills its queue and holds one more; one place was freed.
        assert!(made.load(Ordering::SeqCst) <= 3 * (DEPTH as u64 + 1) + 1);
    }

    #[test]
    fn no_threads_are_refused() {
        let error = Prefetch::start(Arc::new(numbered), 0..1, 0).unwrap_err();
        assert!(error.to_string().contains("found 0"), "{error}");
    }
}
