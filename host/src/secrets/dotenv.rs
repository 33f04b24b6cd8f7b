//! Reads a `.env` file. An error names a line by its number; the line itself may hold a secret.

use std::{collections::BTreeMap, fs, io, path::Path};

use zeroize::Zeroizing;

use super::Error;

/// Larger files are no settings; a wrong path is likelier.
const LARGEST: u64 = 1 << 20;

/// The names and values of a file; none when there is no file. Of a name written twice the last value counts, as in a shell.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Zeroizing<String>>, Error> {
    let unreadable = |source| Error::DotenvRead { path: path.to_owned(), source };
    let text = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(unreadable(error)),
        Ok(metadata) if metadata.len() > LARGEST => {
            return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 1 MiB")));
        }
        Ok(_) => Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?),
    };
    parse(&text).map_err(|line| Error::DotenvLine { path: path.to_owned(), line })
}

/// # Errors
/// The number of the line that cannot be read.
fn parse(text: &str) -> Result<BTreeMap<String, Zeroizing<String>>, usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut values = BTreeMap::new();
    for item in dotenvy::from_read_iter(text.as_bytes()) {
        match item {
            Ok((name, value)) => {
                values.insert(name, Zeroizing::new(value));
            }
            Err(dotenvy::Error::LineParse(line, _)) => {
                let line = Zeroizing::new(line);
                let start = text.find(line.trim_end()).unwrap_or(0);
                return Err(text[..start].matches('\n').count() + 1);
            }
            // Neither reading from memory nor a lookup fails otherwise.
            Err(_) => return Err(1),
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let text = "\u{feff}# comment\nA=plain\nexport B='with space # and $A'\n\nC=\"two\nlines\"\nA=last\nEMPTY=\nD=x # note\r\nE=abc==";
        let values = parse(text).unwrap();
        let value = |name: &str| values.get(name).map(|value| value.as_str());
        assert_eq!(value("A"), Some("last"));
        assert_eq!(value("B"), Some("with space # and $A"));
        assert_eq!(value("C"), Some("two\nlines"));
        assert_eq!(value("EMPTY"), Some(""));
        assert_eq!(value("D"), Some("x"));
        assert_eq!(value("E"), Some("abc=="));
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        for (text, line) in [
            ("A=1\nB = \n this-is-canary\n", 3),
            ("A=1\nB='canary\nC=2\n", 2),
            ("A=1\n\n# note\nB=canary canary\n", 4),
            ("canary", 1),
            ("=canary", 1),
            ("1X=canary", 1),
        ] {
            assert_eq!(parse(text).unwrap_err(), line, "{text:?}");
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(".env");
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            assert_eq!(error.to_string(), format!("{}: line {line} is not of the form NAME=value", path.display()));
            assert!(!format!("{error:?} {}", error.hint()).contains("canary"));
        }
    }

    #[test]
    fn files() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&folder.path().join("none")).unwrap().is_empty());
        let error = read(folder.path()).unwrap_err();
        assert!(matches!(error, Error::DotenvRead { .. }), "{error}");
        let large = folder.path().join("large");
        fs::write(&large, "#".repeat(1 << 21)).unwrap();
        assert!(read(&large).unwrap_err().to_string().contains("larger than 1 MiB"));
        let bytes = folder.path().join("bytes");
        fs::write(&bytes, b"A=\xff\n").unwrap();
        assert!(matches!(read(&bytes).unwrap_err(), Error::DotenvRead { .. }));
    }
}
