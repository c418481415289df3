//! Decoders of other crates, of which a damaged file may find the panics.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// This thread is decoding, and a panic is only a damaged file.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// What `decode` gives, or `None` where it panics, of which nothing is printed.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !DECODING.get() {
                before(panic);
            }
        }));
    });
    DECODING.set(true);
    // Nothing that it changes is used after a panic.
    let decoded = catch_unwind(AssertUnwindSafe(decode)).ok();
    DECODING.set(false);
    decoded
}
