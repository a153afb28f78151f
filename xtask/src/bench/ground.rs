//! What is measured on: programs, clusters of any size, and places to forget.
#![expect(clippy::disallowed_methods, reason = "chores run programs and touch files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use kube_bundle::pack::codec;
use kube_bundle::spec::Compression;

use super::measure::Run;

pub(super) const COMPONENTS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];
/// Bytes of the programs of v1.16.0, for stand-ins of the same size.
const SIZES: [usize; 4] = [52_899_840, 47_226_880, 35_422_208, 38_035_456];
const PORT: &str = "18016";

pub(super) struct Ground {
    pub(super) work: PathBuf,
    pub(super) binaries: PathBuf,
    pub(super) real: bool,
    pub(super) nfpm: Option<PathBuf>,
    pub(super) processors: usize,
}

impl Ground {
    pub(super) fn prepare(binaries: Option<&Path>, nfpm: Option<&Path>) -> Result<Self> {
        ensure!(Path::new("/usr/bin/time").exists(), "`/usr/bin/time` is missing; its package is `time`");
        crate::run("cargo", &["build", "--quiet", "--release", "--package", "kube-bundle", "--package", "xtask"])?;
        let work = super::repository("target/bench");
        // What a killed run has left mounted.
        let _ = Command::new("umount").arg(work.join("xfs")).stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).context("could not make a directory to work in")?;
        // Not every tool takes a path with `..` in it.
        let work = fs::canonicalize(work).context("could not find the directory to work in")?;
        let real = binaries.is_some();
        let binaries = match binaries {
            Some(from) => {
                // Those alone, whatever else lies there.
                let to = work.join("binaries");
                fs::create_dir_all(&to)?;
                for name in COMPONENTS {
                    fs::copy(from.join(name), to.join(name)).with_context(|| format!("could not copy `{name}`"))?;
                }
                to
            }
            None => pseudo_programs(&work)?,
        };
        let nfpm = nfpm.map(std::path::absolute).transpose()?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { work, binaries, real, nfpm, processors })
    }

    pub(super) fn program(name: &str) -> Result<String> {
        Ok(std::path::absolute(super::repository("target/release").join(name))?.display().to_string())
    }

    fn run(&self, what: &str, program: &str, arguments: &[&str]) -> Run {
        Run {
            what: what.to_owned(),
            program: program.to_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            directory: self.work.clone(),
            variables: Vec::new(),
        }
    }

    pub(super) fn shell(&self, script: &str) -> Run {
        self.run(script, "sh", &["-c", script])
    }

    /// A pass of our codec, in a process of its own.
    pub(super) fn pass_command(&self) -> Run {
        let program = Self::program("xtask").unwrap_or_default();
        self.run("one pass", &program, &["bench", "--pass", &self.binaries.display().to_string()])
    }

    /// Copies, and waits until the disk has it, as a build does.
    pub(super) fn copy(&self, from: &Path) -> Run {
        let to = self.work.join("copy");
        self.shell(&format!("cp -r {} {to} && sync -f {to}", from.display(), to = to.display()))
    }

    pub(super) fn forget_copy(&self) -> Result<()> {
        forget(&self.work.join("copy"))
    }

    pub(super) fn forget_peers(&self) -> Result<()> {
        forget(&self.work.join("peers"))?;
        fs::create_dir_all(self.work.join("peers")).context("could not make a directory")
    }

    /// A cluster of so many masters; the first three run etcd.
    pub(super) fn cluster(&self, name: &str, nodes: u32) -> Result<Cluster> {
        let directory = self.work.join(name);
        fs::create_dir_all(&directory).context("could not make a cluster's directory")?;
        let address = |node: u32| format!("10.200.{}.{}", node / 200, node % 200 + 1);
        let mut text = "[cluster]\nname = \"roc\"\nrecipe = \"./recipe\"\nendpoint = \"https://10.200.0.1:6443\"\n\
                        pod_cidr = \"10.10.0.0/16\"\nservice_cidr = \"10.32.0.0/16\"\n[etcd]\nendpoints = [\"https://10.200.0.1:2379\"]\n\
                        [output.seed]\nlayout = \"split\"\n"
            .to_owned();
        for node in 0..nodes {
            text += &node_text(&format!("master-{}", node + 1), &address(node));
        }
        fs::write(directory.join("cluster.toml"), text).context("could not write cluster.toml")?;
        let cluster = Cluster {
            binaries: self.binaries.clone(),
            cache: self.work.join("cache"),
            directory,
            changes: AtomicUsize::new(0),
        };
        cluster.kube_bundle("recipe", &["recipe", "export", "v1.16.0", "recipe"]).output("recipe export")?;
        let from = self.binaries.display().to_string();
        cluster.kube_bundle("pin", &["recipe", "pin", "recipe", "--from", &from]).output("recipe pin")?;
        Ok(cluster)
    }

    /// The same on another disk, with XFS; nothing where none can be made.
    pub(super) fn where_blocks_are_shared(&self) -> Result<Option<Shared>> {
        let (image, work) = (self.work.join("xfs.img"), self.work.join("xfs"));
        fs::create_dir_all(&work).context("could not make a directory")?;
        fs::File::create(&image).and_then(|file| file.set_len(8 << 30)).context("could not make a disk")?;
        let does = |program: &str, arguments: &[&std::ffi::OsStr]| {
            Command::new(program).args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        let made = does("mkfs.xfs", &["-q".as_ref(), image.as_ref()])
            && does("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), work.as_ref()]);
        if !made {
            return Ok(None);
        }
        let Self { binaries, real, nfpm, processors, .. } = self;
        let ground =
            Self { work, binaries: binaries.clone(), real: *real, nfpm: nfpm.clone(), processors: *processors };
        Ok(Some(Shared { ground }))
    }

    /// A web server over the programs.
    pub(super) fn serve(&self) -> Result<Server> {
        let mut python = Command::new("python3");
        python.args(["-m", "http.server", "--bind", "127.0.0.1", PORT]).current_dir(&self.binaries);
        let child = python.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("could not run python3")?;
        let server = Server { child, url: format!("http://127.0.0.1:{PORT}") };
        // Python is slower to start than anything that is measured.
        std::thread::sleep(std::time::Duration::from_secs(2));
        Ok(server)
    }
}

fn node_text(name: &str, address: &str) -> String {
    format!("[[nodes]]\nname = \"{name}\"\naddress = \"{address}\"\nroles = [\"master\"]\n")
}

fn forget(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(why).context("could not remove a directory"),
        _ => Ok(()),
    }
}

/// A disk, mounted until it is dropped.
pub(super) struct Shared {
    pub(super) ground: Ground,
}

impl Shared {
    /// Bytes of the disk that are in use.
    pub(super) fn used(&self) -> Result<u64> {
        let work = self.ground.work.display().to_string();
        let said = crate::e2e::said("df", &["--output=used", "--block-size=1", &work]).context("df said nothing")?;
        said.lines().last().unwrap_or_default().trim().parse().context("df said no number")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.ground.work).status();
    }
}

/// Serves until it is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A release engineer's directory.
pub(super) struct Cluster {
    directory: PathBuf,
    binaries: PathBuf,
    cache: PathBuf,
    changes: AtomicUsize,
}

impl Cluster {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn kube_bundle(&self, what: &str, arguments: &[&str]) -> Run {
        Run {
            what: what.to_owned(),
            program: Ground::program("kube-bundle").unwrap_or_default(),
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

    /// Size of a package with all programs in it.
    pub(super) fn fat_package(&self) -> Result<String> {
        let mut run = self.build("fat", "deb");
        run.arguments.extend(["--deb-layout".to_owned(), "fat".to_owned(), "--seed".to_owned(), "whole".to_owned()]);
        run.output("a fat package")?;
        let sizes = fs::read_dir(self.path("fat/deb"))?.flatten().filter_map(|entry| {
            entry.path().extension().filter(|extension| *extension == "deb")?;
            entry.metadata().ok().map(|about| about.len())
        });
        Ok(super::measure::megabytes(sizes.max().unwrap_or_default()))
    }

    /// Bytes of everything in the output directory.
    pub(super) fn written(&self) -> Result<u64> {
        fn size(path: &Path) -> Result<u64> {
            let mut sum = 0;
            for entry in fs::read_dir(path)?.flatten() {
                let about = entry.metadata()?;
                sum += if about.is_dir() { size(&entry.path())? } else { about.len() };
            }
            Ok(sum)
        }
        size(&self.path("out"))
    }

    pub(super) fn forget_store(&self) -> Result<()> {
        forget(&self.cache)
    }

    pub(super) fn forget_store_and_keys(&self) -> Result<()> {
        forget(&self.cache)?;
        forget(&self.path("pki"))
    }

    pub(super) fn forget_output(&self) -> Result<()> {
        forget(&self.path("out"))
    }

    pub(super) fn forget(&self) -> Result<()> {
        forget(&self.directory)
    }

    pub(super) fn empty(&self, name: &str) -> Result<()> {
        forget(&self.path(name))?;
        fs::create_dir_all(self.path(name)).context("could not make a directory")
    }

    pub(super) fn change_flag(&self) -> Result<()> {
        let path = self.path("recipe/units/kube-scheduler.service");
        let text = fs::read_to_string(&path)?;
        let level = 3 + self.changes.fetch_add(1, Ordering::Relaxed);
        let line = text.lines().find(|line| line.contains("--v=")).context("the unit has no --v")?;
        let begin = line.find("--v=").unwrap_or_default();
        let end = line[begin..].find(' ').map_or(line.len(), |end| begin + end);
        let changed = format!("{}--v={level}{}", &line[..begin], &line[end..]);
        fs::write(&path, text.replace(line, &changed)).context("could not change a flag")
    }

    pub(super) fn add_node(&self) -> Result<()> {
        let number = 100 + self.changes.fetch_add(1, Ordering::Relaxed);
        let path = self.path("cluster.toml");
        let text = fs::read_to_string(&path)? + &node_text(&format!("more-{number}"), &format!("10.200.9.{number}"));
        fs::write(&path, text).context("could not add a machine")
    }
}

/// Every block of every program, on all processors, to nowhere.
pub(super) fn pass(binaries: &Path) -> Result<()> {
    let how = Compression::Gzip;
    let programs = COMPONENTS.map(|name| fs::read(binaries.join(name)));
    let programs = programs.into_iter().collect::<std::io::Result<Vec<_>>>().context("could not read the programs")?;
    let blocks: Vec<_> = programs.iter().flat_map(|program| program.chunks(codec::block(how))).collect();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let done = kube_bundle::workers::each(processors, &blocks, |content| codec::piece(how, content));
    done.map(drop).context("could not compress")
}

/// Files of the size of the real ones that compress as these do, the same everywhere.
fn pseudo_programs(work: &Path) -> Result<PathBuf> {
    let directory = work.join("binaries");
    fs::create_dir_all(&directory).context("could not make a directory")?;
    for (name, size) in COMPONENTS.into_iter().zip(SIZES) {
        let mut state =
            name.bytes().fold(0x9e37_79b9_7f4a_7c15u64, |state, byte| state.rotate_left(8) ^ u64::from(byte));
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let words: Vec<[u8; 12]> = (0..6000)
            .map(|_| {
                let (one, other) = (next().to_le_bytes(), next().to_le_bytes());
                std::array::from_fn(|at| if at < 8 { one[at] } else { other[at - 8] })
            })
            .collect();
        // An ELF header for x86-64, and then words, the first ones more often, of different lengths.
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0];
        while bytes.len() < size {
            let draw = next();
            let skew = usize::try_from((draw % 6000) * ((draw >> 20) % 6000) / 6000)?;
            let length = 5 + usize::try_from((draw >> 40) % 8)?;
            bytes.extend_from_slice(&words[skew][..length]);
        }
        bytes.truncate(size);
        fs::write(directory.join(name), bytes).with_context(|| format!("could not write `{name}`"))?;
    }
    Ok(directory)
}
