//! Where tensors live, chosen at run time.

use burn::tensor::Device;

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

/// A device that this binary was built without.
#[derive(Debug, thiserror::Error)]
#[error("this binary was built without {name}; build it with `cargo build --release --features {name}`, or use --device cpu")]
pub struct DeviceMissing {
    name: &'static str,
}

impl DeviceName {
    /// The device itself.
    ///
    /// # Errors
    /// When the binary was built without the cargo feature of that device.
    pub fn open(self) -> Result<Device, DeviceMissing> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::Default)),
            #[cfg(not(feature = "vulkan"))]
            Self::Vulkan => Err(DeviceMissing { name: "vulkan" }),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(0)),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => Err(DeviceMissing { name: "cuda" }),
        }
    }
}
