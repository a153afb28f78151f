//! Advisories, and which versions they are about.

use serde::Deserialize;

use super::version::Version;

/// One entry of a database.
#[derive(Debug, Deserialize)]
pub struct Advisory {
    pub(super) id: String,
    /// When the entry was last changed, RFC 3339 in UTC.
    pub(super) modified: String,
    #[serde(default)]
    pub(super) withdrawn: Option<String>,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    #[serde(default)]
    pub(super) summary: String,
    #[serde(default)]
    pub(super) affected: Vec<Affected>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Affected {
    pub(super) package: Package,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    ecosystem_specific: Specific,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) ecosystem: String,
    pub(super) name: String,
}

#[derive(Debug, Default, Deserialize)]
struct Specific {
    /// The packages of the module that are affected; all, if there are none.
    #[serde(default)]
    imports: Vec<Import>,
}

#[derive(Debug, Deserialize)]
struct Import {
    path: String,
}

#[derive(Debug, Deserialize)]
struct Range {
    r#type: String,
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Introduced(String),
    Fixed(String),
    LastAffected(String),
    Limit(String),
}

impl Event {
    /// `None` is `0`, which is before every version.
    fn version(&self) -> Option<Version> {
        let (Self::Introduced(text) | Self::Fixed(text) | Self::LastAffected(text) | Self::Limit(text)) = self;
        Version::parse(text).filter(|_| text != "0")
    }
}

impl Affected {
    /// Whether it is about a version.
    pub(super) fn is_about(&self, version: &Version) -> bool {
        let is_named = self.versions.iter().filter_map(|text| Version::parse(text)).any(|one| one == *version);
        let names_none = self.versions.is_empty() && self.ranges().next().is_none();
        is_named || names_none || self.ranges().any(|range| range.has(version))
    }

    /// The first version after this one that is not affected.
    pub(super) fn fixed_after(&self, version: &Version) -> Option<Version> {
        self.ranges().find(|range| range.has(version))?.fixed_after(version)
    }

    /// Those of versions, not of commits.
    fn ranges(&self) -> impl Iterator<Item = &Range> {
        self.ranges.iter().filter(|range| range.r#type != "GIT")
    }

    /// Whether it may be about a package of unknown version.
    pub(super) fn may_be_about(&self, package: &str) -> bool {
        let imports = &self.ecosystem_specific.imports;
        imports.is_empty() || package == self.package.name || imports.iter().any(|import| import.path == package)
    }
}

impl Range {
    /// The events in the order of versions.
    fn sorted(&self) -> Vec<(Option<Version>, &Event)> {
        let mut events: Vec<_> = self.events.iter().map(|event| (event.version(), event)).collect();
        events.sort_by(|(one, _), (other, _)| one.cmp(other));
        events
    }

    fn has(&self, version: &Version) -> bool {
        let mut is_in = false;
        for (at, event) in self.sorted() {
            match event {
                Event::Introduced(_) if at.as_ref() <= Some(version) => is_in = true,
                Event::Fixed(_) if at.as_ref() <= Some(version) => is_in = false,
                Event::LastAffected(_) if at.as_ref() < Some(version) => is_in = false,
                _ => {}
            }
        }
        is_in
    }

    fn fixed_after(&self, version: &Version) -> Option<Version> {
        let fixed = self.sorted().into_iter().filter(|(_, event)| matches!(event, Event::Fixed(_)));
        fixed.filter_map(|(at, _)| at).find(|at| at > version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_ranges_that_an_advisory_names() {
        let text = r#"{"package":{"ecosystem":"Go","name":"x"},"ranges":[{"type":"SEMVER","events":[
            {"introduced":"1.17.0"},{"fixed":"1.16.2"},{"introduced":"0"},{"fixed":"1.17.3"}]},
            {"type":"SEMVER","events":[{"introduced":"2.0.0"},{"last_affected":"2.1.0"}]},
            {"type":"GIT","events":[{"introduced":"0"}]}]}"#;
        let affected: Affected = serde_json::from_str(text).expect("an entry");
        let fixed = |text: &str| {
            let version = Version::parse(text).expect("a version");
            affected.is_about(&version).then(|| affected.fixed_after(&version).map(|fixed| fixed.to_string()))
        };
        assert_eq!(fixed("v1.16.0"), Some(Some("1.16.2".to_owned())));
        assert_eq!(fixed("v0.0.0-20190101000000-abcdef123456"), Some(Some("1.16.2".to_owned())));
        assert_eq!(fixed("v1.16.2"), None);
        assert_eq!(fixed("v1.17.0+incompatible"), Some(Some("1.17.3".to_owned())));
        assert_eq!(fixed("v1.17.3"), None);
        assert_eq!((fixed("v2.1.0"), fixed("v2.1.1")), (Some(None), None));
    }
}
