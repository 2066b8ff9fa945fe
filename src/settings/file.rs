//! The files that settings name. One that cannot be read is told of with what named it, at the
//! start: a file of our own that is not there is no server that is away.

use std::fs::File;
use std::path::Path;

use super::SettingsError;

/// The text of a file.
pub(crate) fn read_file(path: &Path, given_by: &str) -> Result<String, SettingsError> {
    std::fs::read_to_string(path).map_err(unreadable(path, given_by))
}

/// Whether the files of a connection's TLS can be read: the authorities, the client's certificate,
/// its key. `given_by` takes the key that names one.
pub(crate) fn check_tls_files(
    files: [Option<&Path>; 3],
    given_by: impl Fn(&str) -> String,
) -> Result<(), SettingsError> {
    for (key, path) in ["ssl_ca_file", "ssl_cert_file", "ssl_key_file"].into_iter().zip(files) {
        let Some(path) = path else { continue };
        File::open(path).map_err(unreadable(path, &given_by(key)))?;
    }
    Ok(())
}

fn unreadable(path: &Path, given_by: &str) -> impl FnOnce(std::io::Error) -> SettingsError {
    let (path, given_by) = (path.to_owned(), given_by.to_owned());
    |source| SettingsError::Unreadable { path, given_by, source }
}
