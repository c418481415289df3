//! What a case consists of: files by their names, the first of them the one that is read.

use std::io;
use std::path::Path;

/// Random numbers by SplitMix64 (Steele, Lea and Flood 2014).
pub struct Random(u64);

impl Random {
    /// Those of a case, the same at any time and on any machine.
    pub fn of_case(target: &str, seed: u64, case: u64) -> Self {
        let mut random = Self(seed);
        for byte in target.bytes() {
            random.0 = random.next() ^ u64::from(byte);
        }
        random.0 = random.next() ^ case;
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 where that is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// The files of a case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    pub files: Vec<(String, Vec<u8>)>,
}

impl Input {
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::default().with(name, bytes)
    }

    pub fn with(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), bytes.into()));
        self
    }

    /// The name of the file that is read.
    pub fn name(&self) -> &str {
        &self.files[0].0
    }

    pub fn bytes(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Writes the files into `folder`, which is emptied of those of the case `before`.
    pub fn write(&self, folder: &Path, before: &Self) -> io::Result<()> {
        for (name, _) in &before.files {
            if !self.files.iter().any(|(own, _)| own == name) {
                std::fs::remove_file(folder.join(name))?;
            }
        }
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            match std::fs::write(&path, bytes) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
                    std::fs::write(&path, bytes)?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// The files of a folder that was kept, the one called `first` first.
    pub fn read(folder: &Path, first: &str) -> io::Result<Self> {
        let mut input = Self::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(inside) = folders.pop() {
            for entry in std::fs::read_dir(inside)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(folder).unwrap_or(&path);
                let name = name.to_string_lossy().into_owned();
                input.files.push((name, std::fs::read(&path)?));
            }
        }
        input.files.sort();
        input.files.sort_by_key(|(name, _)| name != first);
        Ok(input)
    }
}
