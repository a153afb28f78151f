//! Images and network plugins that texts of a bundle name must be in the bundle: machines have no network to get them from.

use std::collections::BTreeSet;

use super::{NodePlan, Source};
use crate::spec::{ImageName, ImageReference};

/// Images and network plugins that some text names and no machine gets, a sentence each.
pub(super) fn missing(nodes: &[NodePlan]) -> Vec<String> {
    let files = || nodes.iter().flat_map(|node| &node.files);
    let carried: BTreeSet<String> = files()
        .filter_map(|file| match &file.source {
            Source::Images(images) => Some(images),
            _ => None,
        })
        .flatten()
        .flat_map(names)
        .collect();
    let programs: BTreeSet<&str> =
        files().filter_map(|file| file.path.as_str().rsplit_once("/cni/")).map(|it| it.1).collect();
    let mut faults = BTreeSet::new();
    for file in files() {
        let Source::Images(images) = &file.source else { continue };
        for pair in images.windows(2).filter(|pair| pair[0].name == pair[1].name) {
            faults.insert(format!(
                "the image `{}` has two digests: {} and {}",
                pair[0].name, pair[0].digest, pair[1].digest
            ));
        }
    }
    for file in files() {
        let Source::Text(text) = &file.source else { continue };
        for image in named_images(text).filter(|image| !carried.contains(&completed(image))) {
            faults.insert(format!("`/{}` names the image `{image}`, which is not in the bundle", file.path));
        }
        if file.path.as_str().ends_with(".conflist") {
            for plugin in quoted_values(text, "\"type\": \"").filter(|plugin| !programs.contains(*plugin)) {
                // Plugins that assign addresses, such as `host-local`, are programs as well.
                faults.insert(format!(
                    "`/{}` names the network plugin `{plugin}`, which is not in the bundle",
                    file.path
                ));
            }
        }
    }
    faults.into_iter().collect()
}

/// The names under which a machine has an image.
fn names(image: &ImageReference) -> [String; 2] {
    [image.name.to_string(), format!("{}@sha256:{}", image.name.without_tag(), image.digest)]
}

/// As containerd completes it. Behind a digest, the tag means nothing.
fn completed(image: &str) -> String {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    let with_tag = if digest.is_some() && !last.contains(':') { format!("{name}:any") } else { name.to_owned() };
    match (with_tag.parse::<ImageName>(), digest) {
        (Ok(name), Some(digest)) => format!("{}@{digest}", name.without_tag()),
        (Ok(name), None) => name.to_string(),
        (Err(_), _) => image.to_owned(),
    }
}

/// Images in manifests (`image: NAME`), in the configuration of containerd and on the command line of the kubelet.
fn named_images(text: &str) -> impl Iterator<Item = &str> {
    let in_manifests = text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("image: "));
    let of_kubelet = text.split_whitespace().filter_map(|word| word.strip_prefix("--pod-infra-container-image="));
    let all = in_manifests.chain(of_kubelet).map(|name| name.trim_matches(['"', '\'']));
    all.chain(quoted_values(text, "sandbox_image = \""))
}

/// What stands between `before` and the next quotation mark.
fn quoted_values<'t>(text: &'t str, before: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split_once('"')).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_wherever_they_are_named() {
        let text = "containers:\n- image: \"a.b/c:1\"\n  image: d:2\nExecStart=/x --pod-infra-container-image=e.f/g:3 \\\nsandbox_image = \"h.i/j:4\"\n";
        assert_eq!(named_images(text).collect::<Vec<_>>(), ["a.b/c:1", "d:2", "e.f/g:3", "h.i/j:4"]);
        assert_eq!(completed("d:2"), "docker.io/library/d:2");
        assert_eq!(completed("d@sha256:0"), "docker.io/library/d@sha256:0");
        assert_eq!(completed("a.b:5000/d:1@sha256:0"), "a.b:5000/d@sha256:0");
    }
}
