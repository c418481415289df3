//! A segmentation as a label map: each voxel holds the number of its segment.

use std::path::Path;

use dicom_core::value::Value;
use dicom_object::{DefaultDicomObject, InMemDicomObject, Tag};

use super::*;
use crate::Reference;
use crate::encoding::{Datatype, Encoding};
use crate::lps::{cross, from_lps};
use crate::voxels::{Layout, Voxels};

/// Frames whose places miss whole steps by a larger share of one are no volume.
const UNEVEN: f64 = 0.02;
/// Places closer than this (mm) are one.
const SAME_PLACE_MM: f64 = 0.01;
/// Most slices of a volume, of which most may have no frame.
const MOST_SLICES: f64 = 16384.0;

const CONVERT: &str = "convert it to NIfTI, for example with dcmqi";

/// One frame.
struct Frame {
    /// Of the first pixel (left-posterior-superior, mm).
    position: [f64; 3],
    segment: u16,
}

/// Opens a segmentation, which [`is_one`](super::is_one) has found. Slices without a frame between
/// others, as many programs leave out those that are empty, are background.
pub(in super::super) fn open(path: &Path) -> Result<(Reference, Voxels), ImageError> {
    let object = opened(path, || dicom_object::open_file(path))?;
    let file = File {
        path,
        object: &object,
    };
    file.refuse_unread()?;
    let [rows, columns] = [ROWS, COLUMNS].map(|tag| file.number(&object, tag));
    let size = [columns? as usize, rows? as usize];
    let shared = file.items(&object, SHARED_GROUPS);
    let shared = shared.first();
    let per_frame = file.items(&object, PER_FRAME_GROUPS);
    let frames = (per_frame.iter())
        .map(|group| file.frame(group, shared))
        .collect::<Result<Vec<_>, _>>()?;
    let bits = file.bits(&object, size[0] * size[1], frames.len())?;
    let [xx, xy, xz, yx, yy, yz] =
        file.of_group(&per_frame, shared, PLANE_ORIENTATION, IMAGE_ORIENTATION)?;
    let [between_rows, between_columns] =
        file.of_group(&per_frame, shared, PIXEL_MEASURES, PIXEL_SPACING)?;
    let (x, y) = ([xx, xy, xz], [yx, yy, yz]);
    let declared = [SPACING_BETWEEN, SLICE_THICKNESS]
        .into_iter()
        .find_map(|tag| {
            let [mm] = file
                .of_group(&per_frame, shared, PIXEL_MEASURES, tag)
                .ok()?;
            (mm > 0.0).then_some(mm)
        });
    let stack = file.stack(&frames, cross(x, y), declared)?;
    let columns = [
        x.map(|d| d * between_columns),
        y.map(|d| d * between_rows),
        stack.step,
    ];
    let affine = from_lps(columns, stack.origin);
    if !affine.places_voxels() {
        let expected = "finite numbers, and axes in three directions";
        let field = "ImageOrientationPatient, PixelSpacing";
        return Err(file.wrong(field, format!("{columns:?}"), expected));
    }
    let mut layout = Layout {
        shape: [size[0], size[1], stack.slices],
        volumes: 1,
        affine,
        encoding: Encoding {
            datatype: Datatype::U16,
            big_endian: false,
            scaling: None,
        },
        offset: 0,
        interleaved: false,
    };
    let reference = Reference::of_layout(&mut layout, 3);
    let labels = file.painted(&frames, &stack, &bits, size)?;
    let bytes = labels.into_iter().flat_map(u16::to_le_bytes).collect();
    let source = crate::source::Source::of_bytes(path, bytes);
    Ok((reference, Voxels::open(source, layout)?))
}

/// Where the frames lie.
struct Stack {
    origin: [f64; 3],
    step: [f64; 3],
    slices: usize,
    /// Slice of each frame.
    of_frame: Vec<usize>,
}

struct File<'a> {
    path: &'a Path,
    object: &'a DefaultDicomObject,
}

impl File<'_> {
    fn refuse_unread(&self) -> Result<(), ImageError> {
        let kind = self.object.get(SEGMENTATION_TYPE);
        let kind = kind.and_then(|e| Some(e.to_str().ok()?.trim().to_owned()));
        let syntax = self.object.meta().transfer_syntax();
        let plain = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"];
        let what = match kind.as_deref() {
            Some("BINARY") if plain.contains(&syntax.trim_end_matches(['\0', ' '])) => {
                return Ok(());
            }
            Some("BINARY") => format!("a segmentation whose pixels are compressed ({syntax})"),
            kind => format!("a segmentation of the type {}", kind.unwrap_or("(none)")),
        };
        Err(ImageError::not_read(self.path, FORMAT, what, CONVERT))
    }

    fn frame(
        &self,
        group: &InMemDicomObject,
        shared: Option<&&InMemDicomObject>,
    ) -> Result<Frame, ImageError> {
        let position = self.of_group(&[group], shared, PLANE_POSITION, IMAGE_POSITION)?;
        let [segment] =
            self.of_group(&[group], shared, SEGMENT_IDENTIFICATION, REFERENCED_SEGMENT)?;
        match (1.0..=f64::from(u16::MAX)).contains(&segment) {
            true => Ok(Frame {
                position,
                segment: segment as u16,
            }),
            false => Err(self.wrong("ReferencedSegmentNumber", segment.to_string(), "from 1")),
        }
    }

    /// Slices at whole steps from the first along the normal.
    fn stack(
        &self,
        frames: &[Frame],
        normal: [f64; 3],
        declared: Option<f64>,
    ) -> Result<Stack, ImageError> {
        let dot = |a: [f64; 3]| a.iter().zip(normal).map(|(a, b)| a * b).sum::<f64>();
        let along: Vec<f64> = frames.iter().map(|frame| dot(frame.position)).collect();
        let mut places = along.clone();
        places.sort_by(f64::total_cmp);
        places.dedup_by(|a, b| (*a - *b).abs() < SAME_PLACE_MM);
        let gaps = places.windows(2).map(|w| w[1] - w[0]);
        let smallest = gaps.fold(f64::INFINITY, f64::min);
        // By the header where that fits: all neighbours of a slice may be empty.
        let whole = |step: f64| {
            let off = |place: &f64| {
                let steps = (place - places[0]) / step;
                (steps - steps.round()).abs()
            };
            places.iter().all(|place| off(place) < UNEVEN)
        };
        let steps = [declared, Some(smallest).filter(|gap| gap.is_finite())];
        let length = steps.into_iter().flatten().find(|step| whole(*step));
        let last = places.last().copied().unwrap_or(f64::NAN);
        let length = match (length, places.len()) {
            (None, 1) => 1.0,
            (Some(length), _) if (last - places[0]) / length < MOST_SLICES => length,
            _ => {
                let what = "frames that are unevenly apart";
                return Err(ImageError::not_read(self.path, FORMAT, what, CONVERT));
            }
        };
        let slice = |along: &f64| ((along - places[0]) / length).round() as usize;
        let first = along
            .iter()
            .position(|along| slice(along) == 0)
            .unwrap_or(0);
        Ok(Stack {
            origin: frames[first].position,
            step: normal.map(|n| n * length),
            slices: slice(&last) + 1,
            of_frame: along.iter().map(slice).collect(),
        })
    }

    /// The packed pixels, enough for all frames.
    fn bits(
        &self,
        object: &InMemDicomObject,
        pixels: usize,
        frames: usize,
    ) -> Result<Vec<u8>, ImageError> {
        let announced = self.number(object, NUMBER_OF_FRAMES)?;
        if frames == 0 || announced != frames as f64 {
            let expected = format!("{frames}, as many as there are groups for frames, above 0");
            return Err(self.wrong("NumberOfFrames", announced.to_string(), &expected));
        }
        let bits = object
            .get(PIXEL_DATA)
            .and_then(|e| Some(e.to_bytes().ok()?.into_owned()));
        let bits = bits.unwrap_or_default();
        let expected = (pixels as u64).saturating_mul(frames as u64).div_ceil(8);
        if (bits.len() as u64) < expected || pixels == 0 {
            return Err(ImageError::Truncated {
                path: self.path.to_owned(),
                what: "pixels",
                found: bits.len() as u64,
                expected,
            });
        }
        Ok(bits)
    }

    /// The segment of each voxel.
    fn painted(
        &self,
        frames: &[Frame],
        stack: &Stack,
        bits: &[u8],
        [nx, ny]: [usize; 2],
    ) -> Result<Vec<u16>, ImageError> {
        let pixels = nx * ny;
        let mut labels = Vec::new();
        let voxels = pixels.saturating_mul(stack.slices);
        if labels.try_reserve_exact(voxels).is_err() {
            return Err(ImageError::TooLarge {
                path: self.path.to_owned(),
                bytes: 2 * voxels as u128,
            });
        }
        labels.resize(voxels, 0u16);
        for (n, (frame, slice)) in frames.iter().zip(&stack.of_frame).enumerate() {
            let slice = &mut labels[slice * pixels..(slice + 1) * pixels];
            for (at, label) in slice.iter_mut().enumerate() {
                let bit = n * pixels + at;
                if (bits[bit / 8] >> (bit % 8)) & 1 == 0 {
                    continue;
                }
                if *label != 0 && *label != frame.segment {
                    let what = format!("segments that overlap ({label} and {})", frame.segment);
                    let remedy = "write those that overlap into files of their own";
                    return Err(ImageError::not_read(self.path, FORMAT, what, remedy));
                }
                *label = frame.segment;
            }
        }
        Ok(labels)
    }

    /// Numbers of an element in the sequence `group` of a frame, or of all frames.
    fn of_group<const N: usize>(
        &self,
        frames: &[&InMemDicomObject],
        shared: Option<&&InMemDicomObject>,
        group: Tag,
        tag: Tag,
    ) -> Result<[f64; N], ImageError> {
        let groups = frames.first().into_iter().chain(shared);
        let mut found = groups.filter_map(|groups| {
            let item = *self.items(groups, group).first()?;
            item.get(tag)?.to_multi_float64().ok()
        });
        let numbers = found.next().unwrap_or_default();
        <[f64; N]>::try_from(numbers).map_err(|numbers| {
            let expected = format!("{N} numbers that place the frames");
            self.wrong(&tag.to_string(), format!("{numbers:?}"), &expected)
        })
    }

    /// The items of a sequence; none where it is absent.
    fn items<'a>(&self, object: &'a InMemDicomObject, tag: Tag) -> Vec<&'a InMemDicomObject> {
        match object.get(tag).map(|element| element.value()) {
            Some(Value::Sequence(sequence)) => sequence.items().iter().collect(),
            _ => Vec::new(),
        }
    }

    fn number(&self, object: &InMemDicomObject, tag: Tag) -> Result<f64, ImageError> {
        let number = object.get(tag).and_then(|e| e.to_float64().ok());
        number.ok_or_else(|| self.wrong(&tag.to_string(), "absent".to_owned(), "a number"))
    }

    fn wrong(&self, field: &str, found: String, expected: &str) -> ImageError {
        ImageError::header(self.path, FORMAT, field, found, expected)
    }
}
