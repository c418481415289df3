//! Which voxels of an image without a mask show nothing.
//!
//! A value counts as background only where a run says so, or where the image shows
//! that it is what surrounds the tissue: scanners and brain extraction fill the
//! outside with 0. In CT, 0 is the value of water, and the outside has another.

use std::fmt;

use lacuna_volume::Volume;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Share of the voxels on the faces of a volume that are 0 where 0 surrounds what
/// is shown. Heads touch faces; the noise of air holds 0 by chance.
const SURROUNDING: f64 = 0.1;

/// The value of voxels that statistics leave out, for images without a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Background {
    /// 0 where it surrounds what is shown, else no value.
    #[default]
    Auto,
    /// 0, and below it traces of negative ringing.
    Zero,
    /// No value: every voxel counts.
    None,
    /// This value alone.
    Value(f32),
}

impl Background {
    /// What [`Self::Auto`] stands for in this image.
    pub fn of(self, image: &Volume<f32>) -> Self {
        match self {
            Self::Auto if zero_surrounds(image) => Self::Zero,
            Self::Auto => Self::None,
            stated => stated,
        }
    }
}

fn zero_surrounds(image: &Volume<f32>) -> bool {
    let shape = image.shape();
    let (mut faces, mut zeros) = (0_u64, 0_u64);
    // A single slice has no faces across it.
    let edge = |i: usize, n: usize| n > 1 && (i == 0 || i + 1 == n);
    for (row, values) in image.data().chunks_exact(shape[0].max(1)).enumerate() {
        let (y, z) = (row % shape[1], row / shape[1]);
        let whole = edge(y, shape[1]) || edge(z, shape[2]);
        for (x, value) in values.iter().enumerate() {
            if whole || edge(x, shape[0]) {
                faces += 1;
                zeros += u64::from(*value == 0.0);
            }
        }
    }
    zeros > 0 && zeros as f64 >= SURROUNDING * faces as f64
}

impl fmt::Display for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Zero => f.write_str("zero"),
            Self::None => f.write_str("none"),
            Self::Value(value) => write!(f, "{value}"),
        }
    }
}

impl Serialize for Background {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => serializer.serialize_f32(*value),
            named => serializer.collect_str(named),
        }
    }
}

impl<'de> Deserialize<'de> for Background {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected \"auto\", \"zero\", \"none\" or a number"
        )]
        enum Form {
            Value(f32),
            Name(String),
        }
        let named = |name: String| match name.as_str() {
            "auto" => Ok(Self::Auto),
            "zero" => Ok(Self::Zero),
            "none" => Ok(Self::None),
            other => Err(format!(
                "found {other:?}, expected \"auto\", \"zero\", \"none\" or a number"
            )),
        };
        match Form::deserialize(deserializer)? {
            Form::Value(value) if value.is_finite() => Ok(Self::Value(value)),
            Form::Value(value) => Err(format!("found {value}, expected a finite number")),
            Form::Name(name) => named(name),
        }
        .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::Affine;

    /// A cube of 5 voxels with `outside` on its faces and, inside, `inside` but for
    /// one voxel of 0.
    fn cube(outside: f32, inside: f32) -> Volume<f32> {
        let mut cube = Volume::filled([5; 3], Affine::identity(), outside).unwrap();
        for i in 0..27 {
            let at = cube.index([1 + i % 3, 1 + i / 3 % 3, 1 + i / 9]);
            cube.data_mut()[at] = if i == 13 { 0.0 } else { inside };
        }
        cube
    }

    #[test]
    fn zero_is_background_where_it_surrounds() {
        assert_eq!(Background::Auto.of(&cube(0.0, 7.0)), Background::Zero);
        assert_eq!(Background::Auto.of(&cube(-1024.0, 35.0)), Background::None);
        // Of 98 voxels on the faces, 9 and 10: below and above a tenth.
        for (zeros, expected) in [(9, Background::None), (10, Background::Zero)] {
            let mut noisy = cube(3.0, 7.0);
            noisy.data_mut()[..zeros].fill(0.0);
            assert_eq!(Background::Auto.of(&noisy), expected);
        }
        let stated = Background::Value(-1024.0);
        assert_eq!(stated.of(&cube(0.0, 7.0)), stated);
        // A slice has edges only: 4 of its 12 voxels on edges are 0.
        let slice = [
            0., 0., 0., 0., 5., 5., 5., 5., 5., 5., 5., 5., 5., 5., 5., 5.,
        ];
        let slice = Volume::new([4, 4, 1], Affine::identity(), slice.to_vec()).unwrap();
        assert_eq!(Background::Auto.of(&slice), Background::Zero);
    }

    #[test]
    fn names_and_numbers_are_read() {
        let read = |text: &str| {
            #[derive(Deserialize)]
            struct Table {
                v: Background,
            }
            toml::from_str::<Table>(&format!("v = {text}")).map(|table| table.v)
        };
        assert_eq!(read("\"none\"").unwrap(), Background::None);
        assert_eq!(read("-1024").unwrap(), Background::Value(-1024.0));
        assert_eq!(read("0.5").unwrap(), Background::Value(0.5));
        for bad in ["\"zeros\"", "nan", "true"] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("expected"), "{error}");
        }
    }
}
