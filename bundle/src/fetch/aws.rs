//! Who asks an object store, and where it is: from the variables and files that all tools for S3 read.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::regular::{self, Links};
use crate::secret::Secret;

/// Bytes of the largest file that is read.
const LONGEST: u64 = 1 << 20;

/// An access key, which signs requests.
#[derive(Clone)]
pub struct Keys {
    id: String,
    secret: Secret,
    token: Option<Secret>,
}

impl Keys {
    /// Name, key, and the token of keys that end soon. Called so that every use of a secret can be found.
    pub(super) fn expose(&self) -> (&str, &str, Option<&str>) {
        (&self.id, text(&self.secret), self.token.as_ref().map(text))
    }
}

/// A secret that was made of text.
fn text(secret: &Secret) -> &str {
    secret.expose_text().unwrap_or_default()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[keys]")
    }
}

/// How an object store is asked.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// URL of one that is not Amazon's.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Without them nothing is signed, which does for what everybody may read.
    pub keys: Option<Keys>,
}

/// Variables or a file of keys can't be used.
#[derive(Debug, thiserror::Error)]
#[error("could not read the keys for object stores in `{place}`: {why}")]
pub struct Unreadable {
    place: String,
    why: String,
}

/// Looks into `variable`, and then into the profile that it names, of `~/.aws/credentials` and `~/.aws/config`.
///
/// # Errors
/// Half a pair of keys, or a profile that is not there, or gets its keys from another program or service.
pub fn find(variable: &dyn Fn(&str) -> Option<String>) -> Result<Access, Unreadable> {
    let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
    let profile = profile(variable)?;
    let setting = |name: &str| profile.settings.get(name).map(|value| value.to_string());
    let given = pair(&|name| variable(&name.to_ascii_uppercase()));
    let given = given.map_err(|why| Unreadable { place: "AWS_ACCESS_KEY_ID".to_owned(), why })?;
    Ok(Access {
        endpoint: first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]).or_else(|| setting("endpoint_url")),
        region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).or_else(|| setting("region")),
        keys: if given.is_some() { given } else { profile.keys()? },
    })
}

/// The keys among settings, by the names that variables have as well, in capitals.
fn pair(setting: &dyn Fn(&str) -> Option<String>) -> Result<Option<Keys>, String> {
    let token = setting("aws_session_token").map(Secret::new);
    match (setting("aws_access_key_id"), setting("aws_secret_access_key")) {
        (Some(id), Some(secret)) => Ok(Some(Keys { id, secret: Secret::new(secret), token })),
        (None, None) => Ok(None),
        (Some(_), None) => Err("an access key ID without its secret key".to_owned()),
        (None, Some(_)) => Err("a secret key without its access key ID".to_owned()),
    }
}

/// Settings of one profile.
struct Profile {
    name: String,
    /// The file that has keys.
    path: PathBuf,
    settings: Settings,
}

type Settings = BTreeMap<String, Zeroizing<String>>;

impl Profile {
    fn keys(&self) -> Result<Option<Keys>, Unreadable> {
        let keys = pair(&|name| self.settings.get(name).map(|value| value.to_string()));
        let keys = keys.map_err(|why| self.unreadable(format!("in the profile `{}`, {why}", self.name)))?;
        let other = ["credential_process", "role_arn", "sso_session", "sso_start_url"]
            .into_iter()
            .find(|name| self.settings.contains_key(*name));
        match other {
            Some(other) if keys.is_none() => Err(self
                .unreadable(format!("the profile `{}` gets its keys by `{other}`, which is not done here", self.name))),
            _ => Ok(keys),
        }
    }

    fn unreadable(&self, why: String) -> Unreadable {
        Unreadable { place: self.path.display().to_string(), why }
    }
}

fn profile(variable: &dyn Fn(&str) -> Option<String>) -> Result<Profile, Unreadable> {
    let named = variable("AWS_PROFILE").or_else(|| variable("AWS_DEFAULT_PROFILE"));
    let name = named.clone().unwrap_or_else(|| "default".to_owned());
    let home = variable("HOME").map(|home| Path::new(&home).join(".aws"));
    let file = |name: &str, usual: &str| {
        variable(name).map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(usual))).unwrap_or_default()
    };
    let path = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let general = section(&file("AWS_CONFIG_FILE", "config"), &format!("profile {name}"), &name)?;
    let own = section(&path, &name, &name)?;
    let is_known = general.is_some() || own.is_some() || named.is_none();
    // What the file of keys says counts more.
    let settings = general.into_iter().chain(own).flatten().collect();
    let profile = Profile { name, path, settings };
    if is_known { Ok(profile) } else { Err(profile.unreadable(format!("there is no profile `{}`", profile.name))) }
}

/// The settings below one of two headings, in a file that may not be there.
fn section(path: &Path, heading: &str, or: &str) -> Result<Option<Settings>, Unreadable> {
    let failed = |why: String| Unreadable { place: path.display().to_string(), why };
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let bytes = match regular::read(path, Links::Follow, LONGEST) {
        Ok(text) => Secret::new(text),
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(failed(why.to_string())),
    };
    let text = bytes.expose_text().map_err(|_| failed("it is no text".to_owned()))?;
    let (mut settings, mut is_inside) = (None, false);
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_inside = [heading, or].contains(&name.trim());
            if is_inside {
                settings.get_or_insert_with(Settings::new);
            }
        } else if let (true, Some((name, value)), Some(settings)) = (is_inside, line.split_once('='), &mut settings)
            // What is indented belongs to the setting above.
            && !line.starts_with([' ', '\t', '#', ';'])
        {
            settings.insert(name.trim().to_ascii_lowercase(), Zeroizing::new(value.trim().to_owned()));
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys, region and endpoint that are found with these variables, where the files are in a directory.
    fn find_in(
        files: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<(Option<[String; 3]>, Option<String>), String> {
        let home = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = home.path().join(".aws").join(name);
            crate::out::make_parent(&path).expect("a directory");
            crate::out::write_atomically(&path, text.as_bytes(), crate::target::Mode::PRIVATE).expect("a file");
        }
        let variable = |name: &str| match name {
            "HOME" => Some(home.path().display().to_string()),
            name => variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()),
        };
        let access = find(&variable).map_err(|why| why.to_string())?;
        let keys = access.keys.map(|keys| {
            let (id, secret, token) = keys.expose();
            [id, secret, token.unwrap_or("-")].map(str::to_owned)
        });
        Ok((keys, access.region))
    }

    const CREDENTIALS: (&str, &str) = (
        "credentials",
        "# keys\n[default]\naws_access_key_id = A\naws_secret_access_key=b=c\n\n[other]\naws_access_key_id = D\naws_secret_access_key = e\naws_session_token = f\n",
    );
    const CONFIG: (&str, &str) = (
        "config",
        "[default]\nregion = eu-1\ns3 =\n  region = nonsense\n[profile other]\nregion = eu-2\n[profile login]\nsso_session = x\n",
    );

    fn keys(texts: [&str; 3]) -> [String; 3] {
        texts.map(str::to_owned)
    }

    #[test]
    fn variables_count_more_than_files_and_the_profile_is_the_one_that_is_named() {
        let files = [CREDENTIALS, CONFIG];
        let region = |name: &str| Some(name.to_owned());
        assert_eq!(find_in(&[], &[]), Ok((None, None)));
        assert_eq!(find_in(&files, &[]), Ok((Some(keys(["A", "b=c", "-"])), region("eu-1"))));
        assert_eq!(find_in(&files, &[("AWS_PROFILE", "other")]), Ok((Some(keys(["D", "e", "f"])), region("eu-2"))));
        let given = [("AWS_ACCESS_KEY_ID", "G"), ("AWS_SECRET_ACCESS_KEY", "h"), ("AWS_REGION", "us-1")];
        assert_eq!(find_in(&files, &given), Ok((Some(keys(["G", "h", "-"])), region("us-1"))));
    }

    #[test]
    fn keys_that_are_not_there_are_missed_and_none_is_shown() {
        let files = [CREDENTIALS, CONFIG];
        let failed = |variables: &[(&str, &str)]| find_in(&files, variables).expect_err("no keys");
        assert!(failed(&[("AWS_PROFILE", "nobody")]).contains("there is no profile `nobody`"));
        assert!(failed(&[("AWS_PROFILE", "login")]).contains("gets its keys by `sso_session`"));
        let half = failed(&[("AWS_SECRET_ACCESS_KEY", "hush")]);
        assert!(half.contains("a secret key without its access key ID") && !half.contains("hush"), "{half}");
        let keys = Keys { id: "A".to_owned(), secret: Secret::new("hush"), token: None };
        assert_eq!(format!("{keys:?}"), "[keys]");
    }
}
