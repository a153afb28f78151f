//! Passwords for registries, from the files in which `skopeo login`, `podman login`, `docker login` and `oras login` keep
//! them (containers-auth.json(5), and Docker's `config.json`).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::regular::{self, Links};
use crate::secret::Secret;

/// Bytes of the largest file that is read.
const LONGEST: u64 = 1 << 20;

/// A name and a password for one registry.
#[derive(Clone)]
pub struct Credential {
    pub(super) user: String,
    password: Secret,
    /// The file that they are from.
    pub(super) origin: String,
}

impl Credential {
    pub(super) fn password(&self) -> &str {
        // It is made of text.
        self.password.expose_text().unwrap_or_default()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[credential]")
    }
}

/// A file of passwords can't be used.
#[derive(Debug, thiserror::Error)]
#[error("could not read passwords in `{}`: {why}", path.display())]
pub struct Unreadable {
    path: PathBuf,
    why: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Passwords {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
}

/// Looks for the password of a repository in `files`, of which the first that knows one decides. A file that is not there
/// knows none.
///
/// # Errors
/// A file that can't be understood, or that leaves the password to another program, which is not run.
pub fn find(files: &[PathBuf], registry: &str, repository: &str) -> Result<Option<Credential>, Unreadable> {
    for path in files {
        let unreadable = |why: String| Unreadable { path: path.clone(), why };
        let text = match regular::read(path, Links::Follow, LONGEST) {
            Ok(text) => Secret::new(text),
            Err(why) if why.kind() == io::ErrorKind::NotFound => continue,
            Err(why) => return Err(unreadable(why.to_string())),
        };
        // The message of a parser may quote what it read.
        let malformed = |_| unreadable("it is not the JSON of a `login`".to_owned());
        let passwords: Passwords = serde_json::from_slice(text.expose()).map_err(malformed)?;
        if let Some(found) = of_file(&passwords, registry, repository, path).map_err(unreadable)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn of_file(passwords: &Passwords, registry: &str, repository: &str, path: &Path) -> Result<Option<Credential>, String> {
    // The most special key counts: that of a repository, of what it lies below, then of the registry.
    let whole = format!("{registry}/{repository}");
    let keys = std::iter::successors(Some(whole.as_str()), |key| key.rsplit_once('/').map(|(above, _)| above));
    for key in keys {
        if let Some((_, entry)) = passwords.auths.iter().find(|(name, _)| normal(name) == key) {
            if let Some(auth) = entry.auth.as_ref().filter(|auth| !auth.is_empty()) {
                return decode(auth, path).map(Some);
            }
            if entry.identitytoken.is_some() {
                return Err(format!("for `{key}` it has a token for another service, not a password"));
            }
        }
        let helper = passwords.cred_helpers.iter().find(|(name, _)| normal(name) == key).map(|(_, helper)| helper);
        let store = passwords.creds_store.as_ref().filter(|_| passwords.auths.keys().any(|name| normal(name) == key));
        if let Some(helper) = helper.or(store) {
            return Err(format!("the one for `{key}` is kept by `docker-credential-{helper}`, and no program is run"));
        }
    }
    Ok(None)
}

/// A key without the parts of a URL that docker writes: `https://index.docker.io/v1/`.
fn normal(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    let key = key.strip_suffix("/v1").or(key.strip_suffix("/v2")).unwrap_or(key);
    if key == "index.docker.io" { "docker.io" } else { key }
}

fn decode(auth: &str, path: &Path) -> Result<Credential, String> {
    let malformed = || "`auth` is not a name and a password in Base64".to_owned();
    let bytes = Secret::new(STANDARD.decode(auth.trim()).map_err(|_| malformed())?);
    let text = bytes.expose_text().map_err(|_| malformed())?;
    let (user, password) = text.split_once(':').ok_or_else(malformed)?;
    // Docker pads with zeros.
    let password = Secret::new(password.trim_end_matches('\0'));
    Ok(Credential { user: user.to_owned(), password, origin: path.display().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, registry: &str, repository: &str) -> Result<Option<(String, String)>, String> {
        let passwords = serde_json::from_str(text).expect("JSON");
        let found = of_file(&passwords, registry, repository, Path::new("auth.json"))?;
        Ok(found.map(|it| (it.user.clone(), it.password().to_owned())))
    }

    #[test]
    fn the_key_that_says_most_counts_and_docker_hub_has_its_old_name() {
        let text = r#"{"auths": {"r.example": {"auth": "YTpi"}, "r.example/team": {"auth": "YzpkOmU="},
                       "https://index.docker.io/v1/": {"auth": "ZjpnAAA="}}}"#;
        let pair = |user: &str, password: &str| Ok(Some((user.to_owned(), password.to_owned())));
        assert_eq!(of(text, "r.example", "other/roc"), pair("a", "b"));
        assert_eq!(of(text, "r.example", "team/roc"), pair("c", "d:e"));
        assert_eq!(of(text, "docker.io", "team/roc"), pair("f", "g"));
        assert_eq!(of(text, "r.example:5000", "team/roc"), Ok(None));
    }

    #[test]
    fn no_other_program_is_run_for_a_password() {
        let helper = r#"{"credHelpers": {"r.example": "pass"}}"#;
        assert!(of(helper, "r.example", "roc").expect_err("a helper").contains("docker-credential-pass"));
        let store = r#"{"auths": {"r.example": {}}, "credsStore": "osxkeychain"}"#;
        assert!(of(store, "r.example", "roc").expect_err("a store").contains("docker-credential-osxkeychain"));
        assert_eq!(of(store, "s.example", "roc"), Ok(None));
        let token = r#"{"auths": {"r.example": {"identitytoken": "x"}}}"#;
        assert!(of(token, "r.example", "roc").expect_err("a token").contains("another service"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let found = decode("YTpi", Path::new("auth.json")).expect("a credential");
        assert_eq!(format!("{found:?}"), "[credential]");
    }
}
