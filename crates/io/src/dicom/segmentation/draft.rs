//! A label map as a segmentation of the series that it was made from.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use dicom_core::chrono::DateTime;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_object::mem::InMemElement;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, OpenFileOptions, Tag};
use lacuna_volume::Volume;
use sha2::{Digest, Sha256};

use super::*;
use crate::atomic::write_atomic;
use crate::{Classes, Reference};

const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// What a segmentation repeats of its series: the patient, then the study.
const REPEATED: [(Tag, VR); 12] = [
    (Tag(0x0010, 0x0010), VR::PN), // PatientName
    (Tag(0x0010, 0x0020), VR::LO), // PatientID
    (Tag(0x0010, 0x0030), VR::DA), // PatientBirthDate
    (Tag(0x0010, 0x0040), VR::CS), // PatientSex
    (Tag(0x0020, 0x000D), VR::UI), // StudyInstanceUID
    (Tag(0x0008, 0x0020), VR::DA), // StudyDate
    (Tag(0x0008, 0x0030), VR::TM), // StudyTime
    (Tag(0x0008, 0x0050), VR::SH), // AccessionNumber
    (Tag(0x0008, 0x0090), VR::PN), // ReferringPhysicianName
    (Tag(0x0020, 0x0010), VR::SH), // StudyID
    (Tag(0x0020, 0x1040), VR::LO), // PositionReferenceIndicator
    (FRAME_OF_REFERENCE, VR::UI),
];

/// Writes a label map as a segmentation of the series of `reference`, a segment for each class but
/// the background. Each slice has a frame of the first class, so that what reads the file finds
/// all of the grid, and frames of those others that are in it.
///
/// # Errors
/// When the reference is no series, one of its files cannot be read, or the file cannot be
/// written.
pub(crate) fn write(
    path: &Path,
    labels: &Volume<u8>,
    classes: Classes,
    reference: &Reference,
) -> Result<(), ImageError> {
    let Some(slices) = reference.slices() else {
        return Err(ImageError::NoSeries {
            path: path.to_owned(),
        });
    };
    let headers = slices.iter().map(|file| header_of(file));
    let headers = headers.collect::<Result<Vec<_>, _>>()?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let mut named = Sha256::new();
    named.update(format!("{now:?} {:?}", slices));
    named.update(labels.data());
    let series = Series {
        headers,
        digest: named.finalize().into(),
        seconds: now.as_secs(),
    };
    let frames = frames(labels, classes.names.len());
    let object = series.segmentation(labels, classes, reference, &frames);
    let meta = FileMetaTableBuilder::new().transfer_syntax(EXPLICIT_LITTLE_ENDIAN);
    let object = object.with_meta(meta).map_err(|e| damaged(path, &e))?;
    write_atomic(path, |file| {
        object.write_all(file).map_err(io::Error::other)
    })?;
    Ok(())
}

/// A slice's elements before the pixels.
fn header_of(path: &Path) -> Result<InMemDicomObject, ImageError> {
    let open = || {
        let header = OpenFileOptions::new().read_until(PIXEL_DATA);
        header.open_file(path)
    };
    Ok(opened(path, open)?.into_inner())
}

/// Segment and slice of each frame.
fn frames(labels: &Volume<u8>, classes: usize) -> Vec<(u8, usize)> {
    let [nx, ny, nz] = labels.shape();
    let mut present = vec![[false; 256]; nz];
    for (slice, present) in labels.data().chunks(nx * ny).zip(&mut present) {
        slice
            .iter()
            .for_each(|class| present[usize::from(*class)] = true);
    }
    let segments = (1..classes).filter_map(|class| u8::try_from(class).ok());
    let of_segment = |segment: u8| {
        let shown = |slice: &usize| segment == 1 || present[*slice][usize::from(segment)];
        let slices: Vec<usize> = (0..nz).filter(shown).collect();
        slices.into_iter().map(move |slice| (segment, slice))
    };
    segments.flat_map(of_segment).collect()
}

/// The bits of the frames one after the other, the first of a byte the lowest.
fn packed(labels: &Volume<u8>, frames: &[(u8, usize)]) -> Vec<u8> {
    let [nx, ny, _] = labels.shape();
    let pixels = nx * ny;
    let bytes = (frames.len() * pixels).div_ceil(8);
    let mut bits = vec![0u8; bytes.next_multiple_of(2)];
    for (n, (segment, slice)) in frames.iter().enumerate() {
        let slice = &labels.data()[slice * pixels..(slice + 1) * pixels];
        for (at, _) in slice
            .iter()
            .enumerate()
            .filter(|(_, class)| *class == segment)
        {
            let bit = n * pixels + at;
            bits[bit / 8] |= 1 << (bit % 8);
        }
    }
    bits
}

/// The series that is segmented, and what names the new objects.
struct Series {
    /// Of its slices, in the order of the volume.
    headers: Vec<InMemDicomObject>,
    digest: [u8; 32],
    seconds: u64,
}

impl Series {
    fn segmentation(
        &self,
        labels: &Volume<u8>,
        classes: Classes,
        reference: &Reference,
        frames: &[(u8, usize)],
    ) -> InMemDicomObject {
        let [columns, rows, _] = labels.shape().map(|n| n as u16);
        let written = DateTime::from_timestamp(self.seconds as i64, 0).unwrap_or_default();
        let [date, time] = ["%Y%m%d", "%H%M%S"].map(|form| written.format(form).to_string());
        let mut elements: Vec<InMemElement> = vec![
            text(Tag(0x0008, 0x0005), VR::CS, "ISO_IR 192"),
            text(Tag(0x0008, 0x0008), VR::CS, "DERIVED\\PRIMARY"),
            text(SOP_CLASS_UID, VR::UI, SOP_CLASS),
            text(SOP_INSTANCE_UID, VR::UI, self.uid("instance")),
            text(Tag(0x0008, 0x0021), VR::DA, date.as_str()),
            text(Tag(0x0008, 0x0023), VR::DA, date.as_str()),
            text(Tag(0x0008, 0x0031), VR::TM, time.as_str()),
            text(Tag(0x0008, 0x0033), VR::TM, time.as_str()),
            text(Tag(0x0008, 0x0060), VR::CS, "SEG"),
            text(Tag(0x0008, 0x0070), VR::LO, "Lacuna"),
            text(Tag(0x0008, 0x103E), VR::LO, "Segmentation by Lacuna"),
            text(Tag(0x0008, 0x1090), VR::LO, "lacuna"),
            text(Tag(0x0018, 0x1000), VR::LO, "0"),
            text(Tag(0x0018, 0x1020), VR::LO, env!("CARGO_PKG_VERSION")),
            text(SERIES_UID, VR::UI, self.uid("series")),
            text(Tag(0x0020, 0x0011), VR::IS, "1000"),
            text(Tag(0x0020, 0x0013), VR::IS, "1"),
            number(Tag(0x0028, 0x0002), 1),
            text(Tag(0x0028, 0x0004), VR::CS, "MONOCHROME2"),
            text(NUMBER_OF_FRAMES, VR::IS, frames.len().to_string()),
            number(ROWS, rows),
            number(COLUMNS, columns),
            number(BITS_ALLOCATED, 1),
            number(Tag(0x0028, 0x0101), 1),
            number(Tag(0x0028, 0x0102), 0),
            number(Tag(0x0028, 0x0103), 0),
            text(Tag(0x0028, 0x2110), VR::CS, "00"),
            text(SEGMENTATION_TYPE, VR::CS, "BINARY"),
            text(Tag(0x0070, 0x0080), VR::CS, "SEGMENTATION"),
            text(Tag(0x0070, 0x0081), VR::LO, "Segmentation by Lacuna"),
            text(Tag(0x0070, 0x0084), VR::PN, ""),
            sequence(Tag(0x0062, 0x0002), segments(classes)),
            self.referenced_series(),
            sequence(SHARED_GROUPS, vec![self.shared(reference)]),
            DataElement::new(
                PIXEL_DATA,
                VR::OB,
                PrimitiveValue::U8(packed(labels, frames).into()),
            ),
        ];
        elements.extend(self.repeated());
        elements.extend(self.dimensions());
        let per_frame = frames.iter().map(|frame| self.frame(*frame)).collect();
        elements.push(sequence(PER_FRAME_GROUPS, per_frame));
        InMemDicomObject::from_element_iter(elements)
    }

    /// Patient and study, empty where the series does not tell.
    fn repeated(&self) -> Vec<InMemElement> {
        let repeated = REPEATED.into_iter().map(|(tag, vr)| {
            let element = self.headers.first().and_then(|header| header.get(tag));
            match (element, tag) {
                (Some(element), _) => element.clone(),
                // Frames need one.
                (None, FRAME_OF_REFERENCE) => text(tag, vr, self.uid("frame of reference")),
                (None, _) => text(tag, vr, ""),
            }
        });
        repeated.collect()
    }

    fn referenced_series(&self) -> InMemElement {
        let instances = self.headers.iter().map(|header| object(instance(header)));
        let instances = sequence(Tag(0x0008, 0x114A), instances.collect());
        let series = copied(self.headers.first(), SERIES_UID);
        let items = [instances].into_iter().chain(series);
        sequence(Tag(0x0008, 0x1115), vec![object(items)])
    }

    /// What all frames have in common.
    fn shared(&self, reference: &Reference) -> InMemDicomObject {
        let first = self.headers.first();
        let apart = format!("{:.6}", reference.grid().spacing().0[2]);
        let measures = [
            text(SLICE_THICKNESS, VR::DS, apart.as_str()),
            text(SPACING_BETWEEN, VR::DS, apart.as_str()),
        ];
        let measures = measures.into_iter().chain(copied(first, PIXEL_SPACING));
        object([
            sequence(PIXEL_MEASURES, vec![object(measures)]),
            sequence(
                PLANE_ORIENTATION,
                vec![object(copied(first, IMAGE_ORIENTATION))],
            ),
        ])
    }

    /// What the two indices of each frame count: segments, and places of slices.
    fn dimensions(&self) -> [InMemElement; 2] {
        let organisation = text(Tag(0x0020, 0x9164), VR::UI, self.uid("dimensions"));
        let pointers = [
            (REFERENCED_SEGMENT, SEGMENT_IDENTIFICATION),
            (IMAGE_POSITION, PLANE_POSITION),
        ];
        let index = pointers.map(|(to, group)| {
            let tag = |tag: Tag, to: Tag| {
                DataElement::new(tag, VR::AT, PrimitiveValue::Tags(vec![to].into()))
            };
            object([
                organisation.clone(),
                tag(Tag(0x0020, 0x9165), to),
                tag(Tag(0x0020, 0x9167), group),
            ])
        });
        [
            sequence(Tag(0x0020, 0x9221), vec![object([organisation.clone()])]),
            sequence(Tag(0x0020, 0x9222), index.to_vec()),
        ]
    }

    fn frame(&self, (segment, slice): (u8, usize)) -> InMemDicomObject {
        let header = self.headers.get(slice);
        let indices = PrimitiveValue::U32(vec![u32::from(segment), slice as u32 + 1].into());
        let source = header.map(instance).unwrap_or_default();
        let purpose = code(
            "121322",
            "DCM",
            "Source image for image processing operation",
        );
        let source = source
            .into_iter()
            .chain([sequence(Tag(0x0040, 0xA170), vec![purpose])]);
        let derivation = [
            sequence(Tag(0x0008, 0x2112), vec![object(source)]),
            sequence(
                Tag(0x0008, 0x9215),
                vec![code("113076", "DCM", "Segmentation")],
            ),
        ];
        let content = DataElement::new(Tag(0x0020, 0x9157), VR::UL, indices);
        object([
            sequence(Tag(0x0008, 0x9124), vec![object(derivation)]),
            sequence(Tag(0x0020, 0x9111), vec![object([content])]),
            sequence(PLANE_POSITION, vec![object(copied(header, IMAGE_POSITION))]),
            sequence(
                SEGMENT_IDENTIFICATION,
                vec![object([number(REFERENCED_SEGMENT, u16::from(segment))])],
            ),
        ])
    }

    /// A new identifier, of what is written and of when (PS3.5, B.2).
    fn uid(&self, of: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(self.digest);
        digest.update(of);
        let digest: [u8; 32] = digest.finalize().into();
        let half = digest.first_chunk().copied().unwrap_or_default();
        format!("2.25.{}", u128::from_le_bytes(half))
    }
}

/// Class and instance of a slice, as a reference to it.
fn instance(header: &InMemDicomObject) -> Vec<InMemElement> {
    let of = |from: Tag, to: Tag| {
        let uid = header
            .get(from)
            .and_then(|e| Some(e.to_str().ok()?.into_owned()));
        text(to, VR::UI, uid.unwrap_or_default())
    };
    vec![
        of(SOP_CLASS_UID, Tag(0x0008, 0x1150)),
        of(SOP_INSTANCE_UID, Tag(0x0008, 0x1155)),
    ]
}

/// A segment for each class but the background, numbered by the class index.
fn segments(classes: Classes) -> Vec<InMemDicomObject> {
    let named = classes.names.iter().enumerate().skip(1);
    let segment = |(class, name): (usize, &String)| {
        // What the classes are in anatomy is not known; Slicer's default is the same.
        let tissue = || vec![code("85756007", "SCT", "Tissue")];
        // Backslashes part values, of at most 64 letters.
        let label: String = name.replace('\\', "/").chars().take(64).collect();
        object([
            sequence(Tag(0x0062, 0x0003), tissue()),
            number(Tag(0x0062, 0x0004), class as u16),
            text(Tag(0x0062, 0x0005), VR::LO, label),
            text(Tag(0x0062, 0x0008), VR::CS, "AUTOMATIC"),
            text(Tag(0x0062, 0x0009), VR::LO, "lacuna"),
            sequence(Tag(0x0062, 0x000F), tissue()),
        ])
    };
    named.map(segment).collect()
}

fn code(value: &str, scheme: &str, meaning: &str) -> InMemDicomObject {
    object([
        text(Tag(0x0008, 0x0100), VR::SH, value),
        text(Tag(0x0008, 0x0102), VR::SH, scheme),
        text(Tag(0x0008, 0x0104), VR::LO, meaning),
    ])
}

fn copied(from: Option<&InMemDicomObject>, tag: Tag) -> Option<InMemElement> {
    from?.get(tag).cloned()
}

fn object(elements: impl IntoIterator<Item = InMemElement>) -> InMemDicomObject {
    InMemDicomObject::from_element_iter(elements)
}

fn text(tag: Tag, vr: VR, value: impl Into<String>) -> InMemElement {
    DataElement::new(tag, vr, PrimitiveValue::from(value.into()))
}

fn number(tag: Tag, value: u16) -> InMemElement {
    DataElement::new(tag, VR::US, PrimitiveValue::from(value))
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> InMemElement {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}
