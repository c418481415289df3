//! Loading a compressed volume: a made one of 128^3 voxels, and the real
//! FLAIR images when the build knows the folder of `LACUNA_DATA`.

use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lacuna_io::{Reference, read_image, read_reference, write_image};
use lacuna_volume::{Affine, Volume};

fn load(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let made = folder.path().join("made.nii.gz");
    write_made(&made);
    let mut files = vec![("made".to_owned(), made)];
    if let Some(data) = option_env!("LACUNA_DATA_FOLDER") {
        for name in ["brats2015/pat0003", "ms_lesion/patient07"] {
            let path = PathBuf::from(data).join(name).join("FLAIR.nii.gz");
            files.push((name.replace('/', "-"), path));
        }
    }

    let mut group = c.benchmark_group("load");
    group.sample_size(10);
    for (name, path) in files {
        let header = read_reference(&path).expect("the file is sound");
        let voxels: usize = header.shape().iter().product();
        group.throughput(Throughput::Bytes((voxels * header.voxel_bytes()) as u64));
        group.bench_function(name, |b| b.iter(|| read_image(&path)));
    }
    group.finish();
}

/// Zeros around a ball of noise, so that it compresses as a head does.
fn write_made(path: &Path) {
    let n = 128usize;
    let mut data = Vec::with_capacity(n * n * n);
    let mut noise = 1u32;
    for i in 0..n * n * n {
        let place = [i % n, i / n % n, i / n / n];
        let from_centre: i64 = place.map(|p| (p as i64 - 64).pow(2)).iter().sum();
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let inside = from_centre < 50 * 50;
        data.push(if inside { (noise >> 20) as f32 } else { 0.0 });
    }
    let volume = Volume::new([n; 3], Affine::identity(), data).expect("the shape fits");
    write_image(path, &volume, &Reference::from_grid(&volume.grid())).expect("the disk has room");
}

criterion_group!(benches, load);
criterion_main!(benches);
