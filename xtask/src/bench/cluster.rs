//! Clusters of any size, and what is removed or changed between two measurements.
#![expect(clippy::disallowed_methods, reason = "xtask touches files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use super::environment::Environment;
use super::measure::Run;

/// The directory in which a release engineer works: `cluster.toml`, the recipe, `pki/`, and output.
pub(super) struct Cluster {
    directory: PathBuf,
    binaries: PathBuf,
    /// The cache of kube-bundle, which all clusters share.
    cache: PathBuf,
    /// How often the recipe or `cluster.toml` was changed, so that each change is another one.
    changes: AtomicUsize,
}

impl Cluster {
    pub(super) fn new(directory: PathBuf, binaries: &Path, cache: PathBuf, nodes: u32) -> Result<Self> {
        fs::create_dir_all(&directory).context("could not make a cluster's directory")?;
        fs::write(directory.join("cluster.toml"), cluster_toml(nodes)).context("could not write cluster.toml")?;
        let cluster = Self { binaries: binaries.to_owned(), cache, directory, changes: AtomicUsize::new(0) };
        cluster.kube_bundle("recipe", &["recipe", "export", "v1.16.0", "recipe"]).output("recipe export")?;
        let from = binaries.display().to_string();
        cluster.kube_bundle("pin", &["recipe", "pin", "recipe", "--from", &from]).output("recipe pin")?;
        Ok(cluster)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(super) fn kube_bundle(&self, what: &str, arguments: &[&str]) -> Run {
        Run {
            what: what.to_owned(),
            program: Environment::program("kube-bundle").unwrap_or_default(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            directory: self.directory.clone(),
            variables: vec![("XDG_CACHE_HOME".to_owned(), self.cache.display().to_string())],
        }
    }

    pub(super) fn build(&self, out: &str, formats: &str) -> Run {
        let from = self.binaries.display().to_string();
        self.kube_bundle("build", &["build", "-q", "--offline", "--from", &from, "--format", formats, "-o", out])
    }

    pub(super) fn fetch(&self, url: &str) -> Run {
        self.kube_bundle("fetch", &["fetch", "-q", "--from", url])
    }

    pub(super) fn verify(&self, arguments: &[&str]) -> Run {
        self.kube_bundle("verify", &[&["verify", "-q"], arguments].concat())
    }

    /// The size of a package that contains all programs.
    pub(super) fn fat_package_size(&self) -> Result<String> {
        let mut run = self.build("fat", "deb");
        run.arguments.extend(["--deb-layout".to_owned(), "fat".to_owned(), "--seed".to_owned(), "whole".to_owned()]);
        run.output("a fat package")?;
        let sizes = fs::read_dir(self.path("fat/deb"))?.flatten().filter_map(|entry| {
            entry.path().extension().filter(|extension| *extension == "deb")?;
            entry.metadata().ok().map(|about| about.len())
        });
        Ok(super::measure::megabytes(sizes.max().unwrap_or_default()))
    }

    /// The size of all files in the output directory, in bytes.
    pub(super) fn written(&self) -> Result<u64> {
        self.size("out")
    }

    /// The size of all files in a directory of the cluster, in bytes.
    pub(super) fn size(&self, name: &str) -> Result<u64> {
        size(&self.path(name))
    }

    pub(super) fn remove_cache(&self) -> Result<()> {
        remove_directory(&self.cache)
    }

    pub(super) fn remove_cache_and_keys(&self) -> Result<()> {
        remove_directory(&self.cache)?;
        remove_directory(&self.path("pki"))
    }

    pub(super) fn remove_output(&self) -> Result<()> {
        remove_directory(&self.path("out"))
    }

    pub(super) fn remove(&self) -> Result<()> {
        remove_directory(&self.directory)
    }

    pub(super) fn empty(&self, name: &str) -> Result<()> {
        remove_directory(&self.path(name))?;
        fs::create_dir_all(self.path(name)).context("could not make a directory")
    }

    pub(super) fn change_flag(&self) -> Result<()> {
        let path = crate::e2e::find_file(&self.path("recipe"), "kube-scheduler.service")?;
        let text = fs::read_to_string(&path)?;
        let level = 3 + self.changes.fetch_add(1, Ordering::Relaxed);
        let line = text.lines().find(|line| line.contains("--v=")).context("the unit has no --v")?;
        let begin = line.find("--v=").unwrap_or_default();
        let end = line[begin..].find(' ').map_or(line.len(), |end| begin + end);
        let changed = format!("{}--v={level}{}", &line[..begin], &line[end..]);
        fs::write(&path, text.replace(line, &changed)).context("could not change a flag")
    }

    /// One more name of the API server, so that a certificate of each machine is another one.
    pub(super) fn add_server_name(&self) -> Result<()> {
        let path = self.path("cluster.toml");
        let text = fs::read_to_string(&path)?.replace("[cluster]\n", "[cluster]\napiserver_sans = [\"k8s.example\"]\n");
        fs::write(&path, text).context("could not add a name")
    }

    pub(super) fn add_node(&self) -> Result<()> {
        let number = 100 + self.changes.fetch_add(1, Ordering::Relaxed);
        let path = self.path("cluster.toml");
        let text = fs::read_to_string(&path)? + &node_text(&format!("more-{number}"), &format!("10.200.9.{number}"));
        fs::write(&path, text).context("could not add a machine")
    }
}

fn cluster_toml(nodes: u32) -> String {
    let address = |node: u32| format!("10.200.{}.{}", node / 200, node % 200 + 1);
    let nodes: String = (0..nodes).map(|node| node_text(&format!("master-{}", node + 1), &address(node))).collect();
    format!(
        "[cluster]\nname = \"roc\"\nrecipe = \"./recipe\"\nendpoint = \"https://10.200.0.1:6443\"\n\
         pod_cidr = \"10.10.0.0/16\"\nservice_cidr = \"10.32.0.0/16\"\n[etcd]\nendpoints = [\"https://10.200.0.1:2379\"]\n\
         [output.seed]\nlayout = \"split\"\n{nodes}"
    )
}

fn node_text(name: &str, address: &str) -> String {
    format!("[[nodes]]\nname = \"{name}\"\naddress = \"{address}\"\nroles = [\"master\"]\n")
}

/// The size of all files in a directory, in bytes.
pub(super) fn size(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)?.flatten() {
        let about = entry.metadata()?;
        sum += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(sum)
}

/// Removes a directory; that it is not there is no error.
pub(super) fn remove_directory(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(why).context("could not remove a directory"),
        _ => Ok(()),
    }
}
