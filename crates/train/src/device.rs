//! Where tensors live and what is multiplied there, chosen at run time.

#[cfg_attr(
    not(any(feature = "vulkan", feature = "cuda")),
    allow(dead_code, reason = "the processor needs no trial")
)]
mod probe;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

pub use probe::answer_probe;

/// A device by the name users give on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The processor, through Burn's embedded `flex` backend.
    #[default]
    Cpu,
    /// A graphics card through Vulkan (cargo feature `vulkan`).
    Vulkan,
    /// An NVIDIA card through CUDA (cargo feature `cuda`, which downloads LLVM while building).
    Cuda,
}

impl std::fmt::Display for DeviceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Vulkan => "vulkan",
            Self::Cuda => "cuda",
        })
    }
}

/// A device that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The cargo feature of the device was off.
    #[error(
        "--device {name}: this binary was built without it; build with \
         `cargo build --release --features {name}`, or use --device cpu"
    )]
    NotBuilt {
        /// The device.
        name: &'static str,
    },
    /// The machine has no such device or no driver for it.
    #[error(
        "--device {name}: no usable device was found ({found}); check the driver, or use --device cpu"
    )]
    NotFound {
        /// The device.
        name: DeviceName,
        /// What the driver said.
        found: String,
    },
    /// The device multiplies 32-bit floats only.
    #[error("precision \"{precision}\" is computed by --device cpu alone; choose \"f32\"")]
    Precision {
        /// What was asked for.
        precision: PrecisionName,
    },
    /// The processor has no matrix tiles, without which nothing is gained.
    #[error(
        "precision \"{precision}\" needs a processor with matrix tiles (AMX), and this one has \
         none or the system does not allow them, so that it would be slower than \"f32\"; choose \
         \"f32\""
    )]
    NoTiles {
        /// What was asked for.
        precision: PrecisionName,
    },
}

/// What convolutions multiply, as run files and the command line name it. Sums
/// and everything else are 32-bit floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecisionName {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16.
    Bf16,
    /// Two bfloat16 values for each float, three products.
    Bf16x3,
}

impl std::fmt::Display for PrecisionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Bf16x3 => "bf16x3",
        })
    }
}

impl DeviceName {
    /// Every device that can be named.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Vulkan, Self::Cuda];

    /// The device itself.
    ///
    /// # Errors
    /// When the binary was built without that device, or the machine has none.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => self.probed(|| Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(not(feature = "vulkan"))]
            Self::Vulkan => Err(DeviceError::NotBuilt { name: "vulkan" }),
            #[cfg(feature = "cuda")]
            Self::Cuda => self.probed(|| Device::cuda(0)),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => Err(DeviceError::NotBuilt { name: "cuda" }),
        }
    }

    /// The name of an open device.
    pub fn of(device: &Device) -> Self {
        #[cfg(feature = "cuda")]
        if *device == Device::cuda(0) {
            return Self::Cuda;
        }
        match lacuna_ops::is_processor(device) {
            true => Self::Cpu,
            false => Self::Vulkan,
        }
    }

    /// The device, once it has computed something here and in a child process.
    #[cfg(any(feature = "vulkan", feature = "cuda"))]
    fn probed(
        self,
        open: impl FnOnce() -> Device + std::panic::UnwindSafe,
    ) -> Result<Device, DeviceError> {
        let found = |found: String| DeviceError::NotFound { name: self, found };
        probe::in_child(self).map_err(found)?;
        probe::tried(open).map_err(found)
    }
}
