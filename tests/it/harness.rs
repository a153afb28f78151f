//! One user: a directory, a cluster.toml, a store, and the program.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kube_bundle::hash::Sha256;
use tempfile::TempDir;

/// A directory of its own, with its own store; nothing of the machine's user is seen.
pub(crate) struct Workspace {
    dir: TempDir,
}

pub(crate) const COMPONENTS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];

/// What a node with pods has besides, each with more keys.
const WORKER_COMPONENTS: [(&str, &str); 13] = [
    ("cni-bridge", "package = \"cni-plugins\"\npath = \"{{ lib }}/cni/bridge\"\n"),
    ("cni-host-local", "package = \"cni-plugins\"\npath = \"{{ lib }}/cni/host-local\"\n"),
    ("cni-loopback", "package = \"cni-plugins\"\npath = \"{{ lib }}/cni/loopback\"\n"),
    ("cni-portmap", "package = \"cni-plugins\"\npath = \"{{ lib }}/cni/portmap\"\n"),
    ("containerd", CONTAINERD),
    ("containerd-shim-runc-v2", CONTAINERD),
    ("coredns", ""),
    ("flanneld", ""),
    ("crictl", ""),
    ("ctr", CONTAINERD),
    ("kube-proxy", ""),
    ("kubelet", ""),
    ("runc", ""),
];
const CONTAINERD: &str = "package = \"containerd\"\n";

/// One master, ECDSA keys: quick to build.
pub(crate) const SMALL: &str = include_str!("../fixtures/small.toml");

impl Workspace {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    /// With [`SMALL`] and stand-ins of `size` bytes in `files/`, to which `recipe/` is pinned.
    pub(crate) fn small(size: usize) -> Self {
        let workspace = Self::new();
        workspace.write("cluster.toml", SMALL);
        let mut components = String::new();
        for name in COMPONENTS {
            let bytes = program(name, size);
            workspace.write(&format!("files/{name}"), &bytes);
            components += &component(name, "", &bytes);
        }
        workspace.recipe(&components);
        workspace
    }

    /// The same, and the machine is a member of etcd too.
    pub(crate) fn stacked() -> Self {
        let workspace = Self::small(3000);
        workspace.add_etcd("recipe");
        workspace.edit("cluster.toml", "[etcd]\nendpoints = [\"https://192.0.2.1:2379\"]\n", "");
        workspace.edit("cluster.toml", "roles = [\"master\"]", "roles = [\"etcd\", \"master\"]");
        workspace
    }

    /// The same as [`Self::small`], and the machine runs pods too.
    pub(crate) fn worker() -> Self {
        let workspace = Self::small(3000);
        workspace.add_etcd("recipe");
        let mut text = workspace.text("recipe/recipe.toml");
        for (name, more) in WORKER_COMPONENTS {
            let bytes = program(name, 3000);
            workspace.write(&format!("files/{name}"), &bytes);
            text += &(component(name, "", &bytes) + more);
        }
        workspace.write("recipe/recipe.toml", text + &workspace.add_pause());
        workspace.edit("cluster.toml", "roles = [\"master\"]", "roles = [\"master\", \"worker\"]");
        workspace
    }

    /// Writes an OCI image layout with an image `pause` beside the programs; returns its component.
    fn add_pause(&self) -> String {
        let layer = b"\x1f\x8bnot a layer, but it begins like one";
        let config = "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[\"sha256:0\"]}}";
        let descriptor = |bytes: &[u8]| {
            let (size, sha256) = (bytes.len(), Sha256::of(bytes));
            format!("{{\"mediaType\":\"x\",\"size\":{size},\"digest\":\"sha256:{sha256}\"}}")
        };
        let (of_config, of_layer) = (descriptor(config.as_bytes()), descriptor(layer));
        let manifest = format!("{{\"schemaVersion\":2,\"config\":{of_config},\"layers\":[{of_layer}]}}");
        for bytes in [&layer[..], config.as_bytes(), manifest.as_bytes()] {
            self.write(&format!("files/blobs/sha256/{}", Sha256::of(bytes)), bytes);
        }
        let sha256 = Sha256::of(manifest.as_bytes());
        let name = "k8s.gcr.io/pause:3.1";
        let annotations = format!("{{\"org.opencontainers.image.ref.name\":\"{name}\"}}");
        let entry = format!(
            "{{\"mediaType\":\"x\",\"digest\":\"sha256:{sha256}\",\"size\":{},\"annotations\":{annotations}}}",
            manifest.len()
        );
        self.write("files/index.json", format!("{{\"schemaVersion\":2,\"manifests\":[{entry}]}}"));
        format!("[components.pause]\nkind = \"image\"\nimage = \"{name}\"\nsha256 = \"{sha256}\"\n")
    }

    /// Adds stand-ins of etcd's programs, and the components, to a recipe.
    pub(crate) fn add_etcd(&self, recipe: &str) {
        let mut text = self.text(&format!("{recipe}/recipe.toml"));
        for name in ["etcd", "etcdctl"] {
            let bytes = program(name, 3000);
            self.write(&format!("files/{name}"), &bytes);
            text += &(component(name, "", &bytes) + "version = \"v3.4.13\"\npackage = \"etcd\"\n");
        }
        self.write(&format!("{recipe}/recipe.toml"), text);
    }

    /// Writes `recipe/`: the embedded one with other components.
    pub(crate) fn recipe(&self, components: &str) {
        let head = "version = \"v1.16.0\"\narch = \"amd64\"\nbase = \"v1.16.0\"\nreleased = \"2019-09-18T00:00:00Z\"\n";
        self.write("recipe/recipe.toml", format!("{head}[vars]\ncontrollers = \"*\"\n{components}"));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// Replaces text in a file that must hold it.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, text.replace(from, to));
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-bundle"));
        command.args(args).current_dir(self.dir.path()).env_clear();
        command
            .env("HOME", self.dir.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("PATH", std::env::var_os("PATH").unwrap());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::from(self.command(args).output().unwrap())
    }

    /// Builds from `files/`, offline.
    pub(crate) fn build(&self) -> Run {
        self.run(&["build", "--offline", "--from", "files"])
    }

    /// The one archive of [`SMALL`].
    pub(crate) const ARCHIVE: &'static str = "out/small/nodes/only/small-only-v1.16.0-amd64.tar.gz";

    /// Builds packages from `files/`, offline.
    pub(crate) fn build_packages(&self, more: &[&str]) -> Run {
        self.run(&[&["build", "--offline", "--from", "files", "--format", "deb", "-q"], more].concat())
    }

    /// The package of this name in the output directory `out`.
    pub(crate) fn package(&self, out: &str, name: &str) -> PathBuf {
        let prefix = format!("{name}_");
        let mut packages = fs::read_dir(self.path(out).join("deb")).unwrap().map(|entry| entry.unwrap().path());
        let is_it = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(&prefix);
        packages.find(is_it).unwrap_or_else(|| panic!("no package {name} in {out}"))
    }

    /// Unpacks [`Self::ARCHIVE`] into `unpacked/` and returns what is inside.
    pub(crate) fn unpack(&self) -> PathBuf {
        fs::create_dir_all(self.path("unpacked")).unwrap();
        let tar = Command::new("tar")
            .arg("-xzf")
            .arg(self.path(Self::ARCHIVE))
            .arg("-C")
            .arg(self.path("unpacked"))
            .output()
            .unwrap();
        assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
        self.path("unpacked/small-only-v1.16.0-amd64")
    }

    /// Digests that the store holds as blobs.
    pub(crate) fn blobs(&self) -> Vec<String> {
        files(&self.path("cache/kube-bundle/blobs"))
            .keys()
            .map(|path| path.rsplit('/').next().unwrap().to_owned())
            .collect()
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Run {
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that stderr has every one of `texts`.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "no {text:?} in:\n{}", self.stderr);
        }
        self
    }
}

/// A file that passes for an x86-64 program, the same for the same name and size, and hard to compress.
pub(crate) fn program(name: &str, size: usize) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    bytes.resize(18, 0);
    bytes.extend_from_slice(&[62, 0]);
    bytes.extend_from_slice(name.as_bytes());
    let mut state = name.bytes().fold(0x9e37_79b9_7f4a_7c15u64, |state, byte| state.rotate_left(8) ^ u64::from(byte));
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push(state.to_be_bytes()[3]);
    }
    bytes
}

/// A component of `recipe.toml` that is fetched alone, from below `url`.
pub(crate) fn component(name: &str, url: &str, bytes: &[u8]) -> String {
    let urls = if url.is_empty() { String::new() } else { format!("urls = [\"{url}/{name}\"]\n") };
    format!("[components.{name}]\n{urls}sha256 = \"{}\"\nsize = {}\n", Sha256::of(bytes), bytes.len())
}

/// Mode of every directory below `root`, and of `root` itself.
pub(crate) fn directories(root: &Path) -> BTreeMap<String, u32> {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let mut found = BTreeMap::from([(String::new(), mode(root))]);
    for name in files(root).into_keys() {
        for parent in Path::new(&name).ancestors().skip(1) {
            found.insert(parent.display().to_string(), mode(&root.join(parent)));
        }
    }
    found
}

/// Every file below `root` with mode and bytes; a link's bytes are where it leads.
pub(crate) fn files(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    fn walk(root: &Path, directory: &Path, found: &mut BTreeMap<String, (u32, Vec<u8>)>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                walk(root, &path, found);
                continue;
            }
            if !kind.is_symlink() && !kind.is_file() {
                continue;
            }
            let name = path.strip_prefix(root).unwrap().display().to_string();
            // A build that runs may have renamed it meanwhile.
            let read = entry.metadata().and_then(|about| {
                let bytes = if kind.is_symlink() {
                    fs::read_link(&path)?.display().to_string().into_bytes()
                } else {
                    fs::read(&path)?
                };
                Ok((about, bytes))
            });
            match read {
                Ok((about, bytes)) => drop(found.insert(name, (about.permissions().mode() & 0o7777, bytes))),
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
                Err(why) => panic!("{}: {why}", path.display()),
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

/// Whether a tool is there. In CI every tool must be; elsewhere its absence is noted and the check left out.
#[track_caller]
pub(crate) fn has(tool: &str) -> bool {
    let found = is_installed(tool);
    if !found {
        left_out(&format!("`{tool}` is not installed"));
    }
    found
}

/// Whether all of these tools are there; the absence of each is noted.
#[track_caller]
pub(crate) fn has_all(tools: &[&str]) -> bool {
    tools.iter().filter(|tool| !has(tool)).count() == 0
}

/// The same, for a tool that another can take the place of: its absence is not noted.
pub(crate) fn is_installed(tool: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|directory| directory.join(tool).is_file())
}

/// Notes that the running test leaves something out, which fails it in CI.
#[track_caller]
pub(crate) fn left_out(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}, and where CI is set no check may be left out");
    // Threads of libtest have the name of their test, but not with `--test-threads=1`.
    let thread = std::thread::current();
    let test = match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => std::panic::Location::caller().to_string(),
    };
    let mut list = fs::File::options().create(true).append(true).open(crate::left_out::list()).unwrap();
    list.write_all(format!("{test}\t{reason}\n").as_bytes()).unwrap();
    // libtest captures `eprintln!`, and not this; whoever runs one test sees it too.
    std::io::stderr().write_all(format!("LEFT OUT: {test}: {reason}\n").as_bytes()).unwrap();
}

/// Runs a tool that must succeed, and returns its stdout.
#[track_caller]
pub(crate) fn tool(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
