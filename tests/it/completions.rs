//! Completions in real shells, as they are installed: what a user gets who presses the key.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::harness::{Workspace, has, tool};

/// A shell on a terminal.
struct Shell {
    child: Child,
    screen: Receiver<Vec<u8>>,
    seen: String,
    /// Keys that put all candidates into the line, instead of the word.
    all: &'static str,
}

impl Shell {
    /// `bash` as a distribution starts it, with the completions in the directory of the user.
    fn bash(workspace: &Workspace) -> Self {
        let setup = format!("PS1='READY> '; . {}\n", installed(workspace, "bash", "kube-bundle.bash"));
        Self::start(workspace, "bash --norc --noprofile -i", &setup, "\u{1b}*")
    }

    /// `zsh` with the completions in its path of functions.
    fn zsh(workspace: &Workspace) -> Self {
        let file = installed(workspace, "zsh", "_kube-bundle");
        let directory = Path::new(&file).parent().unwrap().display().to_string();
        // `_all_matches` is zsh's own, and puts all candidates into the line.
        let setup = format!(
            "PS1='READY> '; fpath=({directory} $fpath); autoload -Uz compinit; compinit -u -D; \
             zstyle ':completion:all-matches:*' completer _all_matches _complete; \
             zstyle ':completion:all-matches:*' insert yes; \
             zle -C all-matches complete-word _generic; bindkey '^Xa' all-matches\n"
        );
        Self::start(workspace, "zsh -f -i", &setup, "\u{18}a")
    }

    fn start(workspace: &Workspace, shell: &str, setup: &str, all: &'static str) -> Self {
        let mut child = command(workspace, "script")
            .args(["--quiet", "--command", shell, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, screen) = channel();
        let mut output = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut bytes = vec![0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes)
                && send.send(bytes[..count].to_vec()).is_ok()
            {}
        });
        let mut shell = Self { child, screen, seen: String::new(), all };
        shell.type_keys(setup);
        shell.wait_for("READY> ");
        shell
    }

    fn type_keys(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// What is on the screen up to `text`.
    fn wait_for(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let more = self.screen.recv_timeout(Duration::from_mins(1));
            let more = more.unwrap_or_else(|_| panic!("no {text:?} on the screen: {:?}", self.seen));
            self.seen += &String::from_utf8_lossy(&more);
        }
    }

    /// The command line after the keys: the shell echoes it.
    fn line(&mut self, typed: &str, keys: &str) -> String {
        self.type_keys(&format!("{typed}{keys}\u{1}echo 'LI''NE' \u{5} 'EN''D'\r"));
        self.wait_for("LINE ");
        let line = self.wait_for("END").trim_end_matches("END").trim().to_owned();
        self.wait_for("READY> ");
        line
    }

    /// The last word, completed.
    fn word(&mut self, typed: &str) -> String {
        self.line(typed, "\t").rsplit(' ').next().unwrap().to_owned()
    }

    /// All candidates for the last word, sorted.
    fn all(&mut self, typed: &str) -> Vec<String> {
        let words = typed.split(' ').filter(|word| !word.is_empty()).count();
        let fixed = if typed.ends_with(' ') { words } else { words - 1 };
        let line = self.line(typed, self.all);
        let mut all: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).skip(fixed).map(str::to_owned).collect();
        all.sort();
        all
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Without its terminal the shell ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// With the program under test as `kube-bundle`.
fn command(workspace: &Workspace, program: &str) -> Command {
    let own = Path::new(env!("CARGO_BIN_EXE_kube-bundle")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut command = Command::new(program);
    command.current_dir(workspace.path(".")).env_clear().env("PATH", path).env("TERM", "xterm");
    command.env("HOME", workspace.path(".")).env("XDG_CACHE_HOME", workspace.path("cache"));
    command
}

/// What `kube-bundle completions` prints, in a file of the name that packages give it.
fn installed(workspace: &Workspace, shell: &str, name: &str) -> String {
    let file = format!("completions/{name}");
    workspace.write(&file, workspace.run(&["completions", shell]).success().stdout);
    workspace.path(&file).display().to_string()
}

fn workspace() -> Workspace {
    let workspace = Workspace::small(1000);
    workspace.write("other.toml", workspace.text("cluster.toml").replace("\"only\"", "\"other\""));
    workspace.write("broken.toml", "[cluster");
    workspace
}

const LEAVES: [&str; 4] = ["admin", "kubernetes/only", "bootstrap-token", "kube-scheduler/only"];

fn completes(shell: &mut Shell) {
    // First what a shell has to load the file for.
    assert_eq!(shell.word("kube-bundle bu"), "build");
    assert_eq!(shell.word("kube-bundle build --deb-c"), "--deb-compression");
    assert_eq!(shell.word("kube-bundle recipe ex"), "export");
    assert_eq!(shell.word("kube-bundle build --format tarball,de"), "tarball,deb");
    assert_eq!(shell.word("kube-bundle build --color=al"), "--color=always");
    assert_eq!(shell.word("kube-bundle explain nodes.ro"), "nodes.roles");
    assert_eq!(shell.word("kube-bundle plan -c clu"), "cluster.toml");
    assert_eq!(shell.word("kube-bundle recipe show ./rec"), "./recipe/");
    assert_eq!(shell.all("kube-bundle build --deb-compression "), ["gzip", "xz", "zstd"]);
    let recipes = shell.all("kube-bundle plan --recipe v");
    assert_eq!(recipes, ["v1.16.0", "v1.16.15"]);
    let ids = shell.all("kube-bundle pki renew ");
    assert!(LEAVES.iter().all(|id| ids.contains(&(*id).to_owned())) && !ids.contains(&"ca".to_owned()), "{ids:?}");
    assert_eq!(shell.word("kube-bundle pki renew -c other.toml kubernetes/"), "kubernetes/other");
    // What can't be completed is left as it is, and nothing is said about it.
    for nothing in
        ["kube-bundle pki renew -c broken.toml adm", "kube-bundle pki renew nonesuch", "kube-bundle nonesuch"]
    {
        assert_eq!(shell.line(nothing, "\t"), nothing);
        assert!(!shell.seen.contains("error"), "{}", shell.seen);
    }
}

#[test]
fn bash_completes_commands_options_and_values() {
    let workspace = workspace();
    if !has("bash") || !has("script") {
        return;
    }
    let mut shell = Shell::bash(&workspace);
    completes(&mut shell);
    assert!(!workspace.path("cache").exists() && !workspace.path("pki").exists(), "a key press leaves nothing behind");
}

#[test]
fn zsh_completes_commands_options_and_values() {
    let workspace = workspace();
    if !has("zsh") || !has("script") {
        return;
    }
    let mut shell = Shell::zsh(&workspace);
    completes(&mut shell);
}

#[test]
fn fish_completes_commands_options_and_values() {
    let workspace = workspace();
    if !has("fish") {
        return;
    }
    let file = installed(&workspace, "fish", "kube-bundle.fish");
    let offered = |line: &str| -> Vec<String> {
        let script = format!("source {file}; complete --do-complete '{line}'");
        let output = command(&workspace, "fish").args(["--no-config", "-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    assert_eq!(offered("kube-bundle bu"), ["build\tBuild the bundle"]);
    assert!(offered("kube-bundle build --deb-c")[0].starts_with("--deb-compression\t"));
    assert!(offered("kube-bundle build --format tarball,de")[0].starts_with("tarball,deb\t"));
    assert!(offered("kube-bundle build --color=al")[0].starts_with("--color=always\t"));
    assert!(offered("kube-bundle explain nodes.ro")[0].starts_with("nodes.roles\t"));
    assert_eq!(offered("kube-bundle plan -c clu"), ["cluster.toml"]);
    assert_eq!(offered("kube-bundle recipe show ./rec"), ["./recipe/"]);
    assert_eq!(offered("kube-bundle plan --recipe v"), ["v1.16.0\tembedded", "v1.16.15\tembedded"]);
    let ids = offered("kube-bundle pki renew ");
    assert!(LEAVES.iter().all(|id| ids.iter().any(|line| line.starts_with(&format!("{id}\t")))), "{ids:?}");
    assert_eq!(offered("kube-bundle pki renew -c other.toml kubernetes/").len(), 1);
    assert!(offered("kube-bundle pki renew -c broken.toml adm").is_empty());
}

/// What `completions` prints is what packages install.
#[test]
fn completions_are_those_that_packages_install() {
    let workspace = Workspace::new();
    for (shell, name) in [("bash", "kube-bundle.bash"), ("zsh", "_kube-bundle"), ("fish", "kube-bundle.fish")] {
        let file = format!("{}/../docs/completions/{name}", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(
            workspace.run(&["completions", shell]).success().stdout.trim_end(),
            tool("cat", &[&file]).trim_end()
        );
    }
}
