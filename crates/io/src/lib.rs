//! NIfTI files and atomic writes.
