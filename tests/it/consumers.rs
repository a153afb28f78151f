//! The real readers judge: tar, sh, systemd, kubectl.

use crate::harness::{Workspace, files, has, tool};

#[test]
fn gnu_tar_restores_modes_dates_and_names() {
    let workspace = Workspace::small(3000);
    workspace.build().success();
    let list =
        tool("tar", &["--utc", "--full-time", "-tvzf", &workspace.path(Workspace::ARCHIVE).display().to_string()]);
    for line in list.lines() {
        assert!(line.contains(" root/root ") && line.contains(" 2019-09-18 00:00:00 "), "{line}");
    }
    assert!(list.contains("drwx------ root/root") && list.contains("-rw------- root/root"));
}

#[test]
fn every_other_reader_of_archives_reads_ours() {
    let workspace = Workspace::small(3000);
    workspace.build().success();
    let archive = workspace.path(Workspace::ARCHIVE).display().to_string();
    let expected: Vec<_> =
        tool("tar", &["-tzf", &archive]).lines().map(|line| line.trim_end_matches('/').to_owned()).collect();
    if has("python3") {
        let script = "import tarfile,sys\nfor mode in ('r:*','r|*'):\n  t=tarfile.open(sys.argv[1],mode)\n  print('\\n'.join(m.name for m in t)); print('--')";
        let names = tool("python3", &["-c", script, &archive]);
        for listing in names.split("--\n").filter(|listing| !listing.is_empty()) {
            assert_eq!(listing.lines().collect::<Vec<_>>(), expected);
        }
    }
    for (reader, args) in [("bsdtar", vec!["-tzf"]), ("busybox", vec!["tar", "-tzf"])] {
        if has(reader) {
            let names = tool(reader, &[&args[..], &[&archive]].concat());
            assert_eq!(names.lines().map(|line| line.trim_end_matches('/')).collect::<Vec<_>>(), expected, "{reader}");
        }
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_a_unit() {
    if !has("systemd-analyze") {
        return;
    }
    let workspace = Workspace::stacked();
    workspace.build().success();
    let root = workspace.unpack().join("root");
    // systemd looks for the programs and for units of a whole system; ours are what is judged.
    for unit in [
        "network-online.target",
        "multi-user.target",
        "sysinit.target",
        "basic.target",
        "shutdown.target",
        "system.slice",
        "network.target",
    ] {
        std::fs::create_dir_all(root.join("usr/lib/systemd/system")).unwrap();
        std::fs::write(root.join("usr/lib/systemd/system").join(unit), "[Unit]\n").unwrap();
    }
    std::fs::create_dir_all(root.join("bin")).unwrap();
    std::fs::copy("/bin/mkdir", root.join("bin/mkdir")).unwrap();
    for unit in [
        "etcd.service",
        "kube-etcd-backup.service",
        "kube-etcd-backup.timer",
        "kube-apiserver.service",
        "kube-controller-manager.service",
        "kube-scheduler.service",
        "kube-bootstrap.service",
    ] {
        let output = std::process::Command::new("systemd-analyze")
            .arg("verify")
            .arg(format!("--root={}", root.display()))
            .arg("--man=no")
            .arg(unit)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<_> = said.lines().filter(|line| line.contains("kube-") || line.contains("etcd")).collect();
        assert!(output.status.success() && ours.is_empty(), "{unit}: {said}");
    }
}

#[test]
fn scripts_are_plain_posix_shell() {
    if !has("shellcheck") || !has("dash") {
        return;
    }
    let workspace = Workspace::stacked();
    workspace.build().success();
    let inside = workspace.unpack();
    for script in ["install.sh", "root/usr/local/lib/kube-bundle/kube-bootstrap", "root/usr/local/bin/kube-etcd"] {
        tool("shellcheck", &["--shell=sh", &inside.join(script).display().to_string()]);
        tool("dash", &["-n", &inside.join(script).display().to_string()]);
    }
}

/// Coreutils, systemd and the shell itself: what a bare machine has. openssl is used where it is installed.
#[test]
fn the_installer_calls_nothing_that_a_bare_machine_lacks() {
    let workspace = Workspace::small(1000);
    workspace.build().success();
    let script = std::fs::read_to_string(workspace.unpack().join("install.sh")).unwrap();
    assert!(script.contains("is_listening()"), "with all that it includes");
    for tool in ["grep", "sed", "awk", "find", "cmp", "diff", "xargs", "ss ", "ip ", "python", "curl"] {
        let used = script
            .lines()
            .filter(|line| !line.trim_start().starts_with('#') && !line.contains('`'))
            .any(|line| line.split([' ', '(', '|', ';']).any(|word| word == tool.trim()));
        assert!(!used, "install.sh calls {tool}");
    }
}

#[test]
fn kubectl_reads_every_kubeconfig_and_says_what_was_planned() {
    if !has("kubectl") {
        return;
    }
    let workspace = Workspace::small(3000);
    workspace.build().success();
    let inside = workspace.unpack().join("root/var/lib/kubernetes");
    let operator = workspace.path("out/small/operator");
    let (master, local) = ("https://192.0.2.1:6443", "https://127.0.0.1:6443");
    for (file, server, user) in [
        (inside.join("kube-controller-manager.kubeconfig"), local, "system:kube-controller-manager"),
        (inside.join("kube-scheduler.kubeconfig"), local, "system:kube-scheduler"),
        (inside.join("kube-bootstrap.kubeconfig"), local, "kube-bundle-bootstrap"),
        (operator.join("admin.kubeconfig"), master, "admin"),
        (operator.join("bootstrap-kubeconfig"), master, "kubelet-bootstrap"),
    ] {
        let flag = format!("--kubeconfig={}", file.display());
        let json = tool("kubectl", &["config", "view", "--raw", "--minify", "-o", "json", &flag]);
        let config: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(config["clusters"][0]["cluster"]["server"], server, "{user}");
        assert_eq!(config["clusters"][0]["name"], "small");
        assert_eq!(config["users"][0]["name"], user);
        assert_eq!(config["contexts"][0]["context"]["user"], user);
        if user == "kubelet-bootstrap" {
            let token: serde_json::Value = serde_json::from_slice(&workspace.read("pki/bootstrap-token.json")).unwrap();
            let expected = format!("{}.{}", token["id"].as_str().unwrap(), token["secret"].as_str().unwrap());
            assert_eq!(config["users"][0]["user"]["token"], expected);
        } else {
            assert!(config["users"][0]["user"]["client-key-data"].is_string());
        }
    }
    // The endpoint may be away.
    let flag = format!("--kubeconfig={}", operator.join("admin.kubeconfig").display());
    let json = tool("kubectl", &["config", "view", "--raw", "--minify", "-o", "json", "--context=only", &flag]);
    let config: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(config["clusters"][0]["cluster"]["server"], master);
}

#[test]
fn kubectl_takes_every_manifest_apart() {
    if !has("kubectl") {
        return;
    }
    let workspace = Workspace::small(3000);
    workspace.build().success();
    let root = workspace.unpack().join("root");
    let mut objects = Vec::new();
    for file in [
        "etc/kubernetes/bootstrap/kube-apiserver-to-kubelet.yaml",
        "etc/kubernetes/bootstrap/kubelet-bootstrap.yaml",
        "var/lib/kubernetes/bootstrap-token.yaml",
    ] {
        // `annotate --local` parses objects without a server.
        let path = root.join(file).display().to_string();
        objects.push(tool(
            "kubectl",
            &[
                "annotate",
                "--local",
                "--overwrite",
                "-f",
                &path,
                "read=back",
                "-o",
                "jsonpath={.kind} {.metadata.name} {.apiVersion}{\"\\n\"}",
            ],
        ));
    }
    let text = objects.concat();
    for object in [
        "ClusterRole system:kube-apiserver-to-kubelet rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding system:kube-apiserver rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding create-csrs-for-bootstrapping rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding auto-approve-csrs-for-group rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding auto-approve-renewals-for-nodes rbac.authorization.k8s.io/v1",
        "Secret bootstrap-token-",
    ] {
        assert!(text.contains(object), "{object} in:\n{text}");
    }
}

#[test]
fn the_installer_refuses_a_damaged_archive_before_it_looks_at_anything_else() {
    let workspace = Workspace::small(3000);
    workspace.build().success();
    let inside = workspace.unpack();
    let script = inside.join("install.sh").display().to_string();
    let install = |args: &[&str]| std::process::Command::new("sh").arg(&script).args(args).output().unwrap();
    assert_eq!(install(&["--help"]).status.code(), Some(0));
    assert_eq!(install(&["--hlep"]).status.code(), Some(2));
    std::fs::write(inside.join("root/usr/local/bin/kubectl"), "worm").unwrap();
    let run = install(&["--dry-run"]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1));
    assert!(
        said.contains("root/usr/local/bin/kubectl: changed")
            && said.contains("fix: copy the archive again")
            && said.contains("Nothing was changed."),
        "{said}"
    );
    assert!(files(&workspace.path("unpacked")).len() > 20);
}
