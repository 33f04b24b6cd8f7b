//! The distribution `rig-core`, which packs for Python depend on: rig's own small wheel, made from the sources in `runners/python`. Its
//! bytes are the same in every build, so that its hash can stand in a lock. It is never looked up in a registry, where the name belongs
//! to somebody else.

use std::{
    fmt::Write as _,
    io::{Cursor, Write as _},
    sync::LazyLock,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rig_specs::Sha256;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

/// The name as it is compared.
pub(super) const NAME: &str = "rig-core";

/// The name of the wheel.
pub(super) const FILE: &str = "rig_core-0.1.0-py3-none-any.whl";

const METADATA: &str = "Metadata-Version: 2.1\nName: rig-core\nVersion: 0.1.0\n\
    Summary: What packs for rig are written against\nLicense: Apache-2.0\nRequires-Python: >=3.9\n";
const WHEEL: &str = "Wheel-Version: 1.0\nGenerator: rig\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
const RECORD: &str = "rig_core-0.1.0.dist-info/RECORD";
const FILES: [(&str, &str); 5] = [
    ("rig_core/__init__.py", include_str!("../../../../runners/python/rig_core/__init__.py")),
    ("rig_core/rtp.py", include_str!("../../../../runners/python/rig_core/rtp.py")),
    ("rig_core/runtime.py", include_str!("../../../../runners/python/rig_core/runtime.py")),
    ("rig_core-0.1.0.dist-info/METADATA", METADATA),
    ("rig_core-0.1.0.dist-info/WHEEL", WHEEL),
];

/// The bytes of the wheel.
pub(super) static WHEEL_BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // Writing to memory does not fail; an empty wheel would be refused by its name everywhere.
    build().unwrap_or_default()
});

/// Of the bytes of the wheel.
pub(super) static SHA256: LazyLock<Sha256> = LazyLock::new(|| Sha256::of(&WHEEL_BYTES));

fn build() -> zip::result::ZipResult<Vec<u8>> {
    let mut record = String::new();
    for (path, text) in FILES {
        let hash = URL_SAFE_NO_PAD.encode(Sha256::of(text.as_bytes()).as_bytes());
        let _ = writeln!(record, "{path},sha256={hash},{}", text.len());
    }
    let _ = writeln!(record, "{RECORD},,");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Stored, with the first date that the format knows: no compressor's version and no clock shows in the bytes.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644);
    for (path, text) in FILES.into_iter().chain([(RECORD, record.as_str())]) {
        zip.start_file(path, options)?;
        zip.write_all(text.as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::legacy::wheel::Wheel;

    #[test]
    fn the_wheel_is_a_wheel_and_always_the_same() {
        assert_eq!(build().unwrap(), *WHEEL_BYTES);
        let wheel = Wheel::read(FILE, &WHEEL_BYTES).unwrap();
        assert_eq!((wheel.name.as_str(), wheel.version.as_str()), (NAME, "0.1.0"));
        assert_eq!(wheel.files.len(), FILES.len());
        // Changes with the sources alone: then its version must change as well.
        assert_eq!(SHA256.to_string(), "sha256:742cbcf280215a09bd7f03f6175c4c3b226d2a99badb60c90bf17efdc13a3121");
    }
}
