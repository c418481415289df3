//! Which edges of the program the cases have taken, where it was built to tell:
//!
//! ```text
//! RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
//!   -Cllvm-args=-sanitizer-coverage-inline-8bit-counters" cargo build --target ...
//! ```
//!
//! Each edge then has a counter of one byte, and each library hands its counters over before
//! `main`. Built without, nothing does, and every answer is "nothing new".

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Where the counters of each library lie.
static REGIONS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Called by what the compiler puts into each library.
///
/// # Safety
/// From `start` to `stop` lie counters that are there as long as the program runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    let region = (start as usize, stop as usize);
    let mut regions = REGIONS.lock().unwrap_or_else(|e| e.into_inner());
    // The same one may come once for each unit that was compiled.
    if region.0 < region.1 && !regions.contains(&region) {
        regions.push(region);
    }
}

/// The edges seen so far, each with how often it was taken in one case, by powers of two.
#[derive(Default)]
pub struct Seen {
    regions: Vec<(usize, usize)>,
    classes: Vec<u8>,
    edges: usize,
}

impl Seen {
    pub fn new() -> Self {
        let regions = REGIONS.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let edges = regions.iter().map(|(start, stop)| stop - start).sum();
        Self {
            regions,
            classes: vec![0; edges],
            edges: 0,
        }
    }

    /// Edges seen, of how many.
    pub fn edges(&self) -> (usize, usize) {
        (self.edges, self.classes.len())
    }

    /// Takes the counters of a case and clears them; whether an edge was taken that none had
    /// taken before, or never so often.
    pub fn take(&mut self) -> bool {
        let mut new = false;
        let mut first = 0;
        for &(start, stop) in &self.regions {
            let mut at = start;
            while at < stop {
                // Most counters are 0, so eight are looked at together.
                let width = match at.is_multiple_of(8) && at + 8 <= stop {
                    true => 8,
                    false => 1,
                };
                let counts = take_counters(at, width);
                if counts != [0; 8] {
                    let classes = &mut self.classes[first + at - start..][..width];
                    for (count, seen) in counts.into_iter().zip(classes) {
                        let class = 1u8 << (8 - count.leading_zeros()).saturating_sub(1);
                        if count > 0 && *seen & class == 0 {
                            self.edges += usize::from(*seen == 0);
                            *seen |= class;
                            new = true;
                        }
                    }
                }
                at += width;
            }
            first += stop - start;
        }
        new
    }
}

/// Clears one counter, or eight that begin at a multiple of 8; what they held. This code counts
/// meanwhile, too, so that nothing may be taken for unchanging.
fn take_counters(at: usize, width: usize) -> [u8; 8] {
    match width {
        8 => {
            // SAFETY: eight counters are there as long as the program runs, aligned to them.
            let counters = unsafe { AtomicU64::from_ptr(at as *mut u64) };
            let counts = counters.load(Relaxed);
            if counts != 0 {
                counters.store(0, Relaxed);
            }
            counts.to_ne_bytes()
        }
        _ => {
            // SAFETY: as above, of one.
            let counter = unsafe { AtomicU8::from_ptr(at as *mut u8) };
            [counter.swap(0, Relaxed), 0, 0, 0, 0, 0, 0, 0]
        }
    }
}
