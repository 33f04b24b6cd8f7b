//! Puts into the program what a pack's author needs beside a compiler: the sources of the SDK and the templates of new
//! packs. Each becomes a list of paths and texts; what they are for is decided in `src/author`.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// The lists: a name, the folder they are read from, and what of it belongs to them.
const LISTS: [(&str, &str, &[&str]); 2] =
    [("SDK", "../sdk", &["Cargo.toml", "src", "macros/Cargo.toml", "macros/src"]), ("TEMPLATES", "templates", &[""])];

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut code = String::new();
    for (name, folder, parts) in LISTS {
        let folder = here.join(folder).canonicalize()?;
        let mut files = Vec::new();
        for part in parts {
            println!("cargo::rerun-if-changed={}", folder.join(part).display());
            collect(&folder.join(part), &mut files)?;
        }
        files.sort();
        let _ = writeln!(code, "pub(super) static {name}: &[(&str, &str)] = &[");
        for file in files {
            let path = file.strip_prefix(&folder).unwrap_or(&file).to_string_lossy();
            let _ = writeln!(code, "    ({path:?}, include_str!({:?})),", file.to_string_lossy());
        }
        code.push_str("];\n");
    }
    for name in ["Cargo.toml", "LICENSE"] {
        let path = here.join("..").join(name).canonicalize()?;
        println!("cargo::rerun-if-changed={}", path.display());
        let constant = name.replace('.', "_").to_uppercase();
        let _ = writeln!(code, "pub(super) static {constant}: &str = include_str!({:?});", path.to_string_lossy());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("embedded.rs"), code)
}

/// The files below a path, without the hidden ones.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}
