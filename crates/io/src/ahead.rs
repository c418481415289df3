//! Reading ahead: one thread uncompresses while its caller converts.
//!
//! Uncompressing a volume takes about as long as touching the memory of its
//! voxels for the first time, so with a core to spare the two side by side take
//! half the time. A few chunks go round between them and stay in the cache.

use std::collections::TryReserveError;
use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;

use crate::source::Source;

/// Bytes uncompressed at a time: a multiple of every voxel size, and small
/// enough to stay in the cache until they are converted.
const CHUNK_BYTES: usize = 1 << 18;

/// Bytes that are read sooner than a thread is started.
const ALONE_BYTES: usize = 1 << 13;

/// Chunks that go round.
const CHUNKS: usize = 4;

/// Why not all bytes were taken.
pub(crate) enum Stopped {
    /// The file ended before.
    Short,
    /// They could not be read.
    Read(io::Error),
    /// `take` found no memory for them.
    Memory,
}

/// Gives the next `bytes` bytes of `source` to `take`, in order and in whole
/// voxels, without waiting for it to read on.
pub(crate) fn read_ahead(
    source: &mut Source,
    bytes: usize,
    mut take: impl FnMut(&[u8]) -> Result<(), TryReserveError>,
) -> Result<(), Stopped> {
    if bytes <= ALONE_BYTES {
        let mut chunk = [0; ALONE_BYTES];
        let chunk = &mut chunk[..bytes];
        return match source.read(chunk).map_err(Stopped::Read)? {
            read if read < bytes => Err(Stopped::Short),
            _ => take(chunk).map_err(|_| Stopped::Memory),
        };
    }
    std::thread::scope(|scope| {
        let (filled, full) = sync_channel(CHUNKS);
        let (emptied, empty) = sync_channel(CHUNKS);
        for _ in 0..bytes.div_ceil(CHUNK_BYTES).min(CHUNKS) {
            // The receiver is there and has room for all.
            let _ = emptied.send(vec![0; bytes.min(CHUNK_BYTES)]);
        }
        let reader = Builder::new()
            .name("image-read".to_owned())
            .spawn_scoped(scope, move || fill(source, bytes, &empty, &filled))
            .map_err(Stopped::Read)?;
        for chunk in full {
            take(&chunk).map_err(|_| Stopped::Memory)?;
            // The reader has gone when it has read everything.
            let _ = emptied.send(chunk);
        }
        match reader.join() {
            Ok(read) => read,
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// Fills empty chunks until `bytes` are read or the caller has gone.
fn fill(
    source: &mut Source,
    bytes: usize,
    empty: &Receiver<Vec<u8>>,
    filled: &SyncSender<Vec<u8>>,
) -> Result<(), Stopped> {
    let mut left = bytes;
    while left > 0 {
        let Ok(mut chunk) = empty.recv() else {
            break;
        };
        chunk.truncate(left);
        if source.read(&mut chunk).map_err(Stopped::Read)? < chunk.len() {
            return Err(Stopped::Short);
        }
        left -= chunk.len();
        if filled.send(chunk).is_err() {
            break;
        }
    }
    Ok(())
}
