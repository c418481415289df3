//! Whether a graphics card can be used: tried in a child process first, so that a
//! driver that crashes becomes a message.

use std::panic::{self, UnwindSafe};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use super::{DeviceError, DeviceName};

/// The device that a child process is to try.
const PROBE: &str = "LACUNA_PROBE_DEVICE";
/// Whether this program answers when it is started with [`PROBE`].
static ANSWERS: AtomicBool = AtomicBool::new(false);

/// To be called first in `main` of a program that uses graphics cards: `Some` in a
/// child process that only tries a device, which is then to end with this code.
pub fn answer_probe() -> Option<ExitCode> {
    ANSWERS.store(true, Ordering::Relaxed);
    let wanted = std::env::var(PROBE).ok()?;
    let device = DeviceName::ALL
        .into_iter()
        .find(|d| d.to_string() == wanted);
    // A child asks no child of its own.
    ANSWERS.store(false, Ordering::Relaxed);
    let tried = match device {
        Some(device) => device.open().map(drop).map_err(|error| match error {
            DeviceError::NotFound { found, .. } => found,
            other => other.to_string(),
        }),
        None => Err(format!("there is no device {wanted:?}")),
    };
    match tried {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(found) => {
            eprint!("{found}");
            Some(ExitCode::FAILURE)
        }
    }
}

/// Tries the device in a child process, where this program can be one.
///
/// # Errors
/// How the child ended and what it said.
pub(super) fn in_child(name: DeviceName) -> Result<(), String> {
    if !ANSWERS.load(Ordering::Relaxed) {
        return Ok(());
    }
    // What cannot be started says nothing about the device.
    let Ok(binary) = std::env::current_exe() else {
        return Ok(());
    };
    let mut child = Command::new(binary);
    child.env(PROBE, name.to_string()).stdin(Stdio::null());
    match child.output() {
        Ok(output) => judged(
            output.status.success(),
            &output.status.to_string(),
            &output.stderr,
        ),
        Err(_) => Ok(()),
    }
}

/// What the end of a child says of the device.
fn judged(success: bool, ended: &str, stderr: &[u8]) -> Result<(), String> {
    let said = String::from_utf8_lossy(stderr);
    // Drivers write lines of their own before the reason.
    match (success, said.trim().lines().last()) {
        (true, _) => Ok(()),
        (false, Some(reason)) if !ended.contains("signal") => Err(reason.to_owned()),
        (false, _) => Err(format!("its driver crashed: a trial ended with {ended}")),
    }
}

/// Opens a device and computes on it: without a driver Burn panics at first use
/// rather than when the device is named.
///
/// # Errors
/// What the first panic of any thread said.
pub(super) fn tried(open: impl FnOnce() -> Device + UnwindSafe) -> Result<Device, String> {
    let first: Arc<Mutex<Option<String>>> = Arc::default();
    let kept = Arc::clone(&first);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or("a driver without words");
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert_with(|| text.lines().collect::<Vec<_>>().join(" "));
    }));
    let result = panic::catch_unwind(|| {
        let device = open();
        exercise(&device);
        device
    });
    panic::set_hook(hook);
    result.map_err(|_| {
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        first.take().unwrap_or_default()
    })
}

/// A convolution and its gradient: drivers that compute single numbers crash here.
fn exercise(device: &Device) {
    let device = device.clone().autodiff();
    let images = Tensor::<4>::ones([1, 1, 8, 8], &device);
    let weights = Tensor::<4>::ones([1, 1, 3, 3], &device).require_grad();
    let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    let gradients = conv2d(images, weights.clone(), None, options)
        .sum()
        .backward();
    if let Some(gradient) = weights.grad(&gradients) {
        let _ = gradient.into_data();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_panic_of_any_thread_is_the_reason() {
        assert!(tried(Device::flex).is_ok());
        let reason = tried(|| {
            let worker = std::thread::spawn(|| panic!("no adapter"));
            let failed = worker.join().is_err();
            assert!(!failed, "a channel was closed");
            Device::flex()
        });
        assert_eq!(reason.unwrap_err(), "no adapter");
    }

    #[test]
    fn the_end_of_a_child_becomes_a_reason() {
        assert_eq!(judged(true, "exit status: 0", b"noise\n"), Ok(()));
        let said = judged(
            false,
            "exit status: 1",
            b"error: XDG_RUNTIME_DIR\nno adapter",
        );
        assert_eq!(said.unwrap_err(), "no adapter");
        let crashed = judged(false, "signal: 11 (SIGSEGV)", b"noise\n");
        assert!(
            crashed
                .unwrap_err()
                .contains("crashed: a trial ended with signal: 11")
        );
    }
}
