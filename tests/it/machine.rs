//! A machine for `install.sh`: a root directory of its own in namespaces of its own, with this machine's
//! coreutils, and a stand-in for systemd that notes what it is asked.
//!
//! Time passes only when somebody looks at the clock, so nothing waits. Where namespaces can't be made, tests that need
//! a machine are left out, which is listed at the end of the run, and fail in CI.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{Run, Workspace, files, has};

/// A machine with the address of [`crate::harness::SMALL`]'s only node.
pub(crate) struct Machine {
    workspace: Workspace,
}

/// Enters the machine: what is its own is bound over what it borrows.
const ENTER: &str = r#"
set -eu
root=$1; shift
mount --rbind /dev "$root/dev"
# In a namespace of an ordinary user what is root's is nobody's, and overlays write their notes where users may.
options=; [ "$(stat -c %u /usr)" -eq 0 ] || options=,userxattr
if [ -d "$root/usr-changes" ]; then
  # What a package manager changes in /usr stays with the machine, and programs of the tests' own machine are not seen.
  mount -t overlay overlay -o "lowerdir=/usr,upperdir=$root/usr-changes,workdir=$root/usr-work$options" "$root/usr"
  for other in bin/kube-apiserver bin/kube-controller-manager bin/kube-scheduler bin/kubectl sbin/policy-rc.d; do
    [ -e "$root/usr-changes/$other" ] || rm -f "$root/usr/$other"
  done
elif [ -n "$options" ]; then
  # A directory of an overlay belongs to whom its upper one does.
  mkdir -p "$root/usr-own" "$root/usr-work"
  mount -t overlay overlay -o "lowerdir=/usr,upperdir=$root/usr-own,workdir=$root/usr-work$options" "$root/usr"
else
  mount --rbind /usr "$root/usr"
fi
# Its own, or numbers of processes would be looked up among this machine's.
mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
mount --bind "$root/local" "$root/usr/local"
ip link set lo up
export PATH=/usr/bin:/bin:/usr/sbin:/sbin
for unit in $(ls "$root/run/units" 2>/dev/null); do chroot "$root" /fake/listen "$unit" & done
ip address add 192.0.2.1/32 dev lo
exec chroot "$root" /usr/bin/env -i PATH=/fake:/usr/bin:/bin:/usr/sbin:/sbin "$@"
"#;

/// Units are files below /run/units that hold their state; the ones that /run/crashing names die all the time. Jobs and what
/// units start after are below /run/Job-of and /run/After-of, how their last runs ended below /run/result-of.
const SYSTEMCTL: &str = r#"#!/bin/sh
mkdir -p /run/units
while case $1 in --*) ;; *) false ;; esac; do shift; done
verb=$1; shift
case $verb in show | is-active | is-enabled) ;; *) echo "$verb $*" >>/run/calls ;; esac
value=false; properties=
for word; do
  case $word in
  --now | --no-block | --quiet | --) ;;
  --value) value=true ;;
  --property=*) properties=${word#--property=} ;;
  *) case $verb in
    start | restart) [ ! -e /run/Job-of/$word ] || continue; /fake/listen $word & echo active >/run/units/$word; echo "$(cat /run/pid 2>/dev/null || echo 1)0" >/run/pid ;;
    enable) mkdir -p /run/enabled; : >/run/enabled/$word ;;
    disable | stop) rm -f /run/units/$word; [ $verb = stop ] || rm -f /run/enabled/$word ;;
    preset) mkdir -p /etc/systemd/system/multi-user.target.wants; ln -sf /lib/systemd/system/$word /etc/systemd/system/multi-user.target.wants ;;
    is-enabled) [ -L /etc/systemd/system/multi-user.target.wants/$word ] || [ -e /run/enabled/$word ] && echo enabled || echo disabled ;;
    is-active) cat /run/units/$word 2>/dev/null || { echo inactive; exit 3; } ;;
    show)
      state=$(cat /run/units/$word 2>/dev/null || echo inactive)
      for property in $(echo $properties | tr , ' '); do
        case $property in
        ActiveState) answer=$state ;;
        SubState) answer=$(cat /run/sub-state-of/$word 2>/dev/null || echo exited) ;;
        Unit) answer=${word%.timer}.service ;;
        Result) answer=$(cat /run/result-of/$word 2>/dev/null || echo success) ;;
        Job | After) answer=$(cat /run/$property-of/$word 2>/dev/null) || answer= ;;
        RemainAfterExit) case $word in kube-bootstrap*) answer=yes ;; *) answer=no ;; esac ;;
        *) case " $(cat /run/crashing 2>/dev/null) " in *" $word "*) answer=$(date +%s) ;; *) answer=1 ;; esac ;;
        esac
        if $value; then echo "$answer"; else echo "$property=$answer"; fi
      done ;;
    esac ;;
  esac
done
"#;

/// What a unit would listen on. It ends with the machine.
const LISTEN: &str = r#"#!/bin/sh
case $1 in
kube-apiserver*) port=6443 ;; kube-controller-manager*) port=10257 ;; kube-scheduler*) port=10259 ;; *) exit ;;
esac
[ "$1" != "$(cat /run/deaf 2>/dev/null)" ] || exit
exec python3 -c "import socket,time; s=socket.create_server(('127.0.0.1',$port)); time.sleep(60)" 2>/dev/null
"#;

/// Each look at the clock finds it a second later.
const DATE: &str = r#"#!/bin/sh
[ "$*" = +%s ] || exec /usr/bin/date "$@"
looks=$(($(cat /run/looks 2>/dev/null || echo 0) + 1))
echo $looks >/run/looks
echo $(($(/usr/bin/date +%s) + looks + $(cat /run/clock-is-off-by 2>/dev/null || echo 0)))
"#;

impl Machine {
    /// With a dpkg that has nothing installed, and packages in `/one`. `None` where this machine can't make another, or
    /// has no dpkg.
    pub(crate) fn with_dpkg() -> Option<Self> {
        if !has("dpkg") || !has("deb-systemd-helper") {
            return None;
        }
        let machine = Self::new()?;
        for directory in ["usr-changes", "usr-work", "var/lib/dpkg/info", "var/lib/dpkg/updates"] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        // Where packages put files, so that these directories are root's for ordinary users too.
        for directory in ["bin", "sbin", "lib/systemd/system", "share/doc", "share/lintian/overrides"] {
            fs::create_dir_all(machine.path("usr-changes").join(directory)).unwrap();
        }
        machine.write("var/lib/dpkg/status", "");
        machine.write("var/lib/dpkg/available", "");
        let entered = machine.run("true");
        if entered.code != Some(0) {
            left_out("no overlay can be mounted in a namespace here", &entered);
            return None;
        }
        machine.carry_packages("one", |_| {});
        Some(machine)
    }

    /// Builds packages as `change` leaves the bundle, and copies them to `/NAME` on the machine.
    pub(crate) fn carry_packages(&self, name: &str, change: impl FnOnce(&Workspace)) {
        change(&self.workspace);
        self.workspace.build_packages(&["-o", name]).success();
        let from = self.workspace.path(name).join("deb").display().to_string();
        crate::harness::tool("cp", &["-a", &from, &self.path(name).display().to_string()]);
    }

    /// Every file that packages may touch, without what dpkg itself keeps, and what deb-systemd-helper leaves when it
    /// is killed while it writes down what it enabled.
    pub(crate) fn owned_files(&self) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut found = self.files();
        let is_helpers = |name: &str| name.starts_with("var/lib/systemd/deb-systemd-helper") && name.ends_with(".tmp");
        let is_dpkgs = |name: &str| name.starts_with("var/lib/dpkg/") || name == "var/log/dpkg.log";
        found.retain(|name, _| !is_dpkgs(name) && !is_helpers(name));
        let usr = files(&self.path("usr-changes"));
        found.extend(usr.into_iter().map(|(name, content)| (format!("usr/{name}"), content)));
        found
    }

    /// `None` where this machine can't make another.
    pub(crate) fn new() -> Option<Self> {
        let machine = Self { workspace: Workspace::small(3000) };
        for directory in [
            "usr",
            "proc",
            "dev",
            "tmp",
            "etc/systemd/system",
            "var/lib",
            "var/log",
            "run/systemd/system",
            "local/bin",
            "local/lib",
        ] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        for link in ["bin", "lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{link}"), machine.path(link)).unwrap();
        }
        // Scripts set their own PATH, which begins with it.
        std::os::unix::fs::symlink("fake", machine.path("sbin")).unwrap();
        for (name, script) in [
            ("systemctl", SYSTEMCTL),
            ("listen", LISTEN),
            ("date", DATE),
            // The tests' own machine has other things to do, and when it was asked is all that matters.
            ("sync", "#!/bin/sh\n: >/run/synced\n"),
            ("sleep", "#!/bin/sh\nexec /usr/bin/sleep 0.02\n"),
        ] {
            machine.write(&format!("fake/{name}"), script);
            fs::set_permissions(machine.path(&format!("fake/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let entered = machine.run("true");
        if entered.code == Some(0) {
            return Some(machine);
        }
        left_out("no namespaces can be made here", &entered);
        None
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.workspace.path(&format!("machine/{name}"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.workspace.write(&format!("machine/{name}"), text);
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.workspace.text(&format!("machine/{name}"))
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("unshare");
        // Root needs no user namespace, and gets real ownership without one.
        let flags = if is_root() { "-mnpf" } else { "-rmnpf" };
        command.args([flags, "--kill-child", "sh", "-c", ENTER, "enter"]).arg(self.path("")).args(["sh", "-c", script]);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a shell script on the machine.
    pub(crate) fn run(&self, script: &str) -> Run {
        match self.command(script).output() {
            Ok(output) => Run::from(output),
            Err(why) => Run { code: None, stdout: String::new(), stderr: why.to_string() },
        }
    }

    /// Runs it, and kills it after a while. When this returns, nothing of it runs any more.
    pub(crate) fn run_and_kill(&self, script: &str, milliseconds: u64) {
        let mut child = self.command(script).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        child.kill().unwrap();
        // The kernel kills what is in the namespace after `unshare`; the pipe ends with the last of it.
        child.wait_with_output().unwrap();
    }

    /// Where its bundles are built.
    pub(crate) fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Builds the bundle as `change` leaves it, and unpacks it as `/NAME` on the machine.
    pub(crate) fn carry(&self, name: &str, change: impl FnOnce(&Workspace)) {
        self.workspace.run(&["recipe", "export", "./recipe", name]).success();
        change(&self.workspace);
        self.carry_built(name, &["--recipe", &format!("./{name}")]);
    }

    /// Builds the bundle, signs it with the key in the workspace, and unpacks it as `/NAME` on the machine.
    pub(crate) fn carry_signed(&self, name: &str, key: &str) {
        self.carry_built(name, &["--sign", key]);
    }

    fn carry_built(&self, name: &str, options: &[&str]) {
        self.workspace.run(&[&["build", "--offline", "--from", "files", "-q"], options].concat()).success();
        fs::create_dir_all(self.path(name)).unwrap();
        let archive = self.workspace.path(Workspace::ARCHIVE).display().to_string();
        let target = self.path(name).display().to_string();
        crate::harness::tool("tar", &["--no-same-owner", "-xzf", &archive, "-C", &target, "--strip-components=1"]);
    }

    /// What was asked of systemd since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("run/calls")).unwrap_or_default();
        self.write("run/calls", "");
        calls.lines().map(str::to_owned).collect()
    }

    /// Every file that an installation may touch, with mode and content.
    pub(crate) fn files(&self) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        for directory in ["etc", "var", "local"] {
            let below = files(&self.path(directory));
            found.extend(below.into_iter().map(|(name, content)| (format!("{directory}/{name}"), content)));
        }
        found
    }
}

/// With the first line of what the kernel or a tool said, so that a person can do something about it.
fn left_out(reason: &str, entered: &Run) {
    crate::harness::left_out(&format!("{reason}: {}", entered.stderr.lines().next().unwrap_or("no message")));
}

fn is_root() -> bool {
    crate::harness::tool("id", &["-u"]).trim() == "0"
}
