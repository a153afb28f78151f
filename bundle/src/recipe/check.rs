//! What must hold between the files of a recipe, whatever the cluster. Every rule runs, whatever the others found.

use std::collections::{BTreeMap, BTreeSet};

use super::component::Kind;
use super::layout::{Condition, Credential, External, FileRule, FileSource, Leaf, Scope};
use super::{Component, Recipe, Service, template};

/// Every contradiction, one sentence each.
pub(super) fn contradictions(recipe: &Recipe) -> Vec<String> {
    let mut faults = Vec::new();
    release(recipe, &mut faults);
    for (name, component) in &recipe.release.components {
        origin(recipe, name, component, &mut faults);
    }
    packages(recipe, &mut faults);
    roles(recipe, &mut faults);
    certificates(recipe, &mut faults);
    files(recipe, &mut faults);
    faults.extend(super::install::contradictions(recipe));
    faults.extend(template::compile(&recipe.files).err());
    faults
}

fn release(recipe: &Recipe, faults: &mut Vec<String>) {
    let release = &recipe.release;
    if !is_version(&release.version) {
        faults.push(malformed_version("`version`", &release.version));
    }
    if release.arch != "amd64" {
        faults.push(format!("`arch` is `{}`: expected `amd64`", release.arch));
    }
    for (name, archive) in &release.archives {
        if archive.image.is_some() && archive.sha256.is_none() {
            faults.push(format!("archive `{name}` is an image without `sha256`, of its manifest"));
        } else if archive.pin().is_none() {
            faults.push(format!("archive `{name}` has no digest: expected `sha256` or `sha512`"));
        } else if archive.sha256.is_some() && archive.sha512.is_some() {
            faults.push(two_digests("archive", name));
        }
    }
}

/// Only one of them would be compared, and the other believed.
fn two_digests(what: &str, name: &str) -> String {
    format!("{what} `{name}` has both `sha256` and `sha512`: expected one of them")
}

/// Versions become parts of file names, and of words that scripts split at white space.
fn is_version(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '~');
    text.strip_prefix('v').is_some_and(|text| !text.is_empty() && text.chars().all(plain))
}

fn malformed_version(what: &str, version: &str) -> String {
    format!("{what} is `{version}`: expected `v` and letters, digits, `.`, `-`, `+` or `~`")
}

/// Where a component comes from, and that some digest covers it.
fn origin(recipe: &Recipe, name: &str, component: &Component, faults: &mut Vec<String>) {
    match (&component.archive, &component.member) {
        (Some(archive), Some(_)) if !recipe.release.archives.contains_key(archive) => {
            faults.push(format!("component `{name}` is in archive `{archive}`, which is not described"));
        }
        (Some(_), None) | (None, Some(_)) => {
            faults.push(format!("component `{name}` needs both `archive` and `member`, or neither"));
        }
        (None, None) if component.pin().is_none() => {
            faults.push(format!("component `{name}` has neither a digest nor an archive with one"));
        }
        _ => {}
    }
    if component.sha256.is_some() && component.sha512.is_some() {
        faults.push(two_digests("component", name));
    }
    if component.kind == Kind::Image && (component.image.is_none() || component.sha256.is_none()) {
        faults
            .push(format!("component `{name}` is an image: expected `image`, its name, and `sha256`, of its manifest"));
    }
    if let Some(version) = component.version.as_ref().filter(|version| !is_version(version)) {
        faults.push(malformed_version(&format!("`version` of component `{name}`"), version));
    }
    names_elsewhere(recipe, name, component, faults);
}

/// A name in a database is worse than none if it is that of another version.
fn names_elsewhere(recipe: &Recipe, name: &str, component: &Component, faults: &mut Vec<String>) {
    let (version, _) = recipe.release.version_of(component);
    let plain = version.strip_prefix('v').unwrap_or(version);
    let of_purl = |purl: &str| purl.split('@').nth(1)?.split(['?', '#']).next().map(str::to_owned);
    let purl = component
        .purl
        .as_deref()
        .filter(|purl| !purl.starts_with("pkg:") || of_purl(purl).is_none_or(|its| its != version && its != plain));
    if let Some(purl) = purl {
        faults.push(format!("`purl` of component `{name}` is `{purl}`: expected `pkg:TYPE/NAME@{version}`"));
    }
    let is_right =
        |cpe: &str| cpe.starts_with("cpe:2.3:") && cpe.split(':').count() == 13 && cpe.split(':').nth(5) == Some(plain);
    if let Some(cpe) = component.cpe.as_deref().filter(|cpe| !is_right(cpe)) {
        faults.push(format!(
            "`cpe` of component `{name}` is `{cpe}`: expected `cpe:2.3:a:VENDOR:PRODUCT:{plain}` and 7 more parts"
        ));
    }
}

fn packages(recipe: &Recipe, faults: &mut Vec<String>) {
    if recipe.files.get(&recipe.layout.package.copyright).is_none() {
        faults.push(format!("packages need the file `{}`, which does not exist", recipe.layout.package.copyright));
    }
    let mut groups: BTreeMap<&str, (&String, (&str, u32))> = BTreeMap::new();
    for (name, component) in &recipe.release.components {
        let version = recipe.release.version_of(component);
        let (first, same) = groups.entry(component.package(name)).or_insert((name, version));
        if *same != version {
            faults.push(format!(
                "components `{first}` and `{name}` are in one package and differ in version or revision"
            ));
        }
    }
    let lacks = |name: &&String| recipe.release.base.is_none() && !groups.contains_key(name.as_str());
    for name in recipe.layout.packages.keys().filter(lacks) {
        faults.push(format!("`[packages.{name}]` describes a package that no component is in"));
    }
}

fn roles(recipe: &Recipe, faults: &mut Vec<String>) {
    if recipe.role_catalog().providing(Service::ApiServer).is_none() {
        faults.push("no role provides `api-server`".to_owned());
    }
    // A recipe with a base has roles that were not there when it was written; planning sees whether a machine wants one.
    for (name, role) in recipe.roles.iter().filter(|_| recipe.release.base.is_none()) {
        for component in role.components.iter().filter(|name| !recipe.release.components.contains_key(*name)) {
            faults.push(format!("role `{name}` needs component `{component}`, which does not exist"));
        }
    }
}

fn certificates(recipe: &Recipe, faults: &mut Vec<String>) {
    let layout = &recipe.layout;
    let mut ids: BTreeSet<&String> = BTreeSet::new();
    let leaves = recipe.certificates().map(|(id, _)| id);
    for id in layout.authorities.keys().chain(&layout.key_pairs).chain(leaves) {
        if !ids.insert(id) {
            faults.push(format!("certificate `{id}` is described twice"));
        }
        if !is_id(id) {
            faults.push(format!("certificate `{id}`: an ID has lower-case letters, digits and `-` only"));
        }
    }
    for (id, leaf) in recipe.certificates() {
        if !layout.authorities.contains_key(&leaf.issuer) {
            faults.push(format!("certificate `{id}` is issued by `{}`, which is not an authority", leaf.issuer));
        }
    }
    for (id, _) in recipe.certificates().filter(|(_, leaf)| leaf.when == Some(Condition::NoApiServer)) {
        faults.push(format!("certificate `{id}` can't depend on a machine: `no-api-server` is for files"));
    }
    for (id, leaf) in &layout.certificates {
        if leaf.per == Scope::Node {
            faults.push(format!("certificate `{id}` belongs to no role, so it can't be `per = \"node\"`"));
        }
    }
    let replaces = |wanted: External| {
        let authorities = layout.authorities.values().filter_map(|authority| authority.external);
        authorities.chain(recipe.certificates().filter_map(|(_, leaf)| leaf.external)).any(|one| one == wanted)
    };
    for (wanted, keys) in [
        (External::ClusterCa, "`[pki] ca_cert`"),
        (External::EtcdCa, "`[etcd] ca`"),
        (External::EtcdClient, "`[etcd] cert`"),
    ] {
        if !replaces(wanted) {
            faults.push(format!("{keys} of cluster.toml would replace no certificate: expected one with `external`"));
        }
    }
    // Kubeconfigs embed it.
    if !layout.authorities.contains_key("ca") {
        faults.push("there is no authority `ca`".to_owned());
    }
    let mut names = BTreeSet::new();
    for (name, kubeconfig) in recipe.kubeconfigs() {
        if !names.insert(name) {
            faults.push(format!("kubeconfig `{name}` is described twice"));
        }
        if let Credential::Certificate(id) = &kubeconfig.credential
            && recipe.certificate(id).is_none()
        {
            faults.push(format!("kubeconfig `{name}` uses certificate `{id}`, which does not exist"));
        }
    }
}

/// An ID names a file in `pki/`; behind a slash comes whom it is for.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn files(recipe: &Recipe, faults: &mut Vec<String>) {
    for rule in &recipe.layout.operator {
        reference(recipe, "", rule, rule.per, faults);
    }
    for (name, role) in &recipe.roles {
        for rule in &role.files {
            if rule.per != Scope::Cluster {
                faults.push(format!("`{}` of role `{name}`: `per` is for `[[operator]]` only", rule.path));
            }
            reference(recipe, &format!("roles/{name}/"), rule, Scope::Node, faults);
        }
    }
}

/// The path in the recipe of a text that a file in `directory` names.
pub fn text_path(directory: &str, file: &str) -> String {
    file.strip_prefix('/').map_or_else(|| format!("{directory}{file}"), str::to_owned)
}

/// That what a file is made of exists, and is meant for as many as the file is.
fn reference(recipe: &Recipe, directory: &str, rule: &FileRule, per: Scope, faults: &mut Vec<String>) {
    let layout = &recipe.layout;
    let shared = |id: &String| layout.authorities.contains_key(id) || layout.key_pairs.contains(id);
    let fits = |leaf: &Leaf| leaf.per == Scope::Cluster || leaf.per == per;
    let known = |id: &String| shared(id) || recipe.certificate(id).is_some_and(fits);
    let missing = match &rule.source {
        FileSource::Text(file) => {
            let path = text_path(directory, file);
            recipe.files.get(&path).is_none().then(|| format!("file `{path}`"))
        }
        FileSource::Component(name) => {
            // As for the components of roles.
            let wanted = recipe.release.base.is_none() && !recipe.release.components.contains_key(name);
            wanted.then(|| format!("component `{name}`"))
        }
        FileSource::Certificate(id) | FileSource::Key(id) => (!known(id)).then(|| format!("certificate `{id}`")),
        FileSource::Kubeconfig(name) => {
            let usable = recipe.kubeconfig(name).is_some_and(|kubeconfig| match &kubeconfig.credential {
                Credential::Certificate(id) => known(id),
                Credential::BootstrapToken => true,
            });
            (!usable).then(|| format!("kubeconfig `{name}`"))
        }
        FileSource::Directory
        | FileSource::Images
        | FileSource::Link(_)
        | FileSource::BootstrapToken
        | FileSource::EncryptionConfig => None,
    };
    faults.extend(missing.map(|what| format!("`{}` needs {what}, which does not exist", rule.path)));
}
