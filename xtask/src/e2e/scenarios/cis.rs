//! The scored master and etcd items of the CIS Kubernetes Benchmark 1.5 (1.6 has the same), checked on a running machine: command
//! lines from /proc, permissions and owners from the disk.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

use super::tarball::unpack;
use crate::e2e::cluster::Cluster;
use crate::e2e::environment::ScenarioContext;
use crate::e2e::machine::{Machine, wait};
use crate::e2e::units::wait_units_active;
use crate::e2e::{STAND_INS, report_ok, report_skipped};

/// What an item requires of a flag's value; lists have commas between their words.
enum Requirement {
    Is(&'static str),
    IsOrAbsent(&'static str),
    Absent,
    Set,
    Has(&'static str),
    Lacks(&'static str),
    AtLeast(u64),
}

use Requirement::{Absent, AtLeast, Has, Is, IsOrAbsent, Lacks, Set};

const API: &str = "kube-apiserver";
const MANAGER: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";
const ETCD: &str = "etcd";

/// Item, component, flag, requirement.
const FLAGS: &[(&str, &str, &str, Requirement)] = &[
    ("1.2.2", API, "basic-auth-file", Absent),
    ("1.2.3", API, "token-auth-file", Absent),
    ("1.2.4", API, "kubelet-https", IsOrAbsent("true")),
    ("1.2.5", API, "kubelet-client-certificate", Set),
    ("1.2.5", API, "kubelet-client-key", Set),
    ("1.2.6", API, "kubelet-certificate-authority", Set),
    ("1.2.7", API, "authorization-mode", Lacks("AlwaysAllow")),
    ("1.2.8", API, "authorization-mode", Has("Node")),
    ("1.2.9", API, "authorization-mode", Has("RBAC")),
    ("1.2.11", API, "enable-admission-plugins", Lacks("AlwaysAdmit")),
    ("1.2.14", API, "disable-admission-plugins", Lacks("ServiceAccount")),
    ("1.2.15", API, "disable-admission-plugins", Lacks("NamespaceLifecycle")),
    ("1.2.17", API, "enable-admission-plugins", Has("NodeRestriction")),
    ("1.2.18", API, "insecure-bind-address", Absent),
    ("1.2.19", API, "insecure-port", Is("0")),
    ("1.2.20", API, "secure-port", AtLeast(1)),
    ("1.2.21", API, "profiling", Is("false")),
    ("1.2.22", API, "audit-log-path", Set),
    ("1.2.23", API, "audit-log-maxage", AtLeast(30)),
    ("1.2.24", API, "audit-log-maxbackup", AtLeast(10)),
    ("1.2.25", API, "audit-log-maxsize", AtLeast(100)),
    ("1.2.27", API, "service-account-lookup", IsOrAbsent("true")),
    ("1.2.28", API, "service-account-key-file", Set),
    ("1.2.29", API, "etcd-certfile", Set),
    ("1.2.29", API, "etcd-keyfile", Set),
    ("1.2.30", API, "tls-cert-file", Set),
    ("1.2.30", API, "tls-private-key-file", Set),
    ("1.2.31", API, "client-ca-file", Set),
    ("1.2.32", API, "etcd-cafile", Set),
    ("1.3.2", MANAGER, "profiling", Is("false")),
    ("1.3.3", MANAGER, "use-service-account-credentials", Is("true")),
    ("1.3.4", MANAGER, "service-account-private-key-file", Set),
    ("1.3.5", MANAGER, "root-ca-file", Set),
    ("1.3.6", MANAGER, "feature-gates", Lacks("RotateKubeletServerCertificate=false")),
    ("1.3.7", MANAGER, "bind-address", IsOrAbsent("127.0.0.1")),
    ("1.4.1", SCHEDULER, "profiling", Is("false")),
    ("1.4.2", SCHEDULER, "bind-address", IsOrAbsent("127.0.0.1")),
    ("2.1", ETCD, "cert-file", Set),
    ("2.1", ETCD, "key-file", Set),
    ("2.2", ETCD, "client-cert-auth", Is("true")),
    ("2.3", ETCD, "auto-tls", IsOrAbsent("false")),
    ("2.4", ETCD, "peer-cert-file", Set),
    ("2.4", ETCD, "peer-key-file", Set),
    ("2.5", ETCD, "peer-client-cert-auth", Is("true")),
    ("2.6", ETCD, "peer-auto-tls", IsOrAbsent("false")),
    ("2.7", ETCD, "trusted-ca-file", Is("/var/lib/kube-etcd/ca.pem")),
    ("3.2.1", API, "audit-policy-file", Set),
];

const POD_SECURITY_POLICY: (&str, &str, &str, Requirement) =
    ("1.2.16", API, "enable-admission-plugins", Has("PodSecurityPolicy"));

/// Items, files (shell patterns), the most permissions that they may have. etcd's are etcd's, all others root's.
const FILES: &[(&str, &str, u32)] = &[
    ("1.1.7, 1.1.8", "/etc/systemd/system/etcd.service", 0o644),
    ("1.1.11, 1.1.12", "/var/lib/etcd/data", 0o700),
    ("1.1.21", "/var/lib/kube-etcd/*-key.pem", 0o600),
    ("1.1.1, 1.1.2", "/etc/systemd/system/kube-apiserver.service", 0o644),
    ("1.1.3, 1.1.4", "/etc/systemd/system/kube-controller-manager.service", 0o644),
    ("1.1.5, 1.1.6", "/etc/systemd/system/kube-scheduler.service", 0o644),
    ("1.1.5, 1.1.6", "/etc/kubernetes/config/kube-scheduler.yaml", 0o644),
    ("1.1.15, 1.1.16", "/var/lib/kubernetes/kube-scheduler.kubeconfig", 0o600),
    ("1.1.17, 1.1.18", "/var/lib/kubernetes/kube-controller-manager.kubeconfig", 0o600),
    ("1.1.19", "/var/lib/kubernetes", 0o700),
    ("1.1.19, 1.1.20", "/var/lib/kubernetes/*.pem", 0o644),
    ("1.1.21", "/var/lib/kubernetes/*-key.pem", 0o600),
];

/// Whether files belong to the user etcd.
fn is_etcds(files: &str) -> bool {
    files.starts_with("/var/lib/etcd") || files.starts_with("/var/lib/kube-etcd")
}

type Flags = BTreeMap<String, String>;

/// The flags on the command line of a component's process.
fn flags(machine: &Machine, component: &str) -> Result<Flags> {
    let read = format!("tr '\\0' '\\n' </proc/$(systemctl show --property=MainPID --value {component})/cmdline");
    let words = machine.sh(&read)?;
    let flag = |word: &str| {
        let flag = word.strip_prefix("--")?;
        let (name, value) = flag.split_once('=').unwrap_or((flag, "true"));
        Some((name.to_owned(), value.to_owned()))
    };
    Ok(words.lines().filter_map(flag).collect())
}

fn meets(value: Option<&str>, requirement: &Requirement) -> bool {
    let has = |wanted: &str| value.is_some_and(|value| value.split(',').any(|part| part == wanted));
    match requirement {
        Is(wanted) => value == Some(wanted),
        IsOrAbsent(wanted) => value.is_none_or(|value| value == *wanted),
        Absent => value.is_none(),
        Set => value.is_some_and(|value| !value.is_empty()),
        Has(wanted) => has(wanted),
        Lacks(unwanted) => !has(unwanted),
        AtLeast(least) => value.and_then(|value| value.parse::<u64>().ok()).is_some_and(|value| value >= *least),
    }
}

fn check_flag(
    running: &BTreeMap<&str, Flags>,
    (item, component, flag, requirement): &(&str, &str, &str, Requirement),
    failed: &mut Vec<String>,
) {
    let value = running[component].get(*flag).map(String::as_str);
    let passes = meets(value, requirement);
    let evidence = value.map_or_else(|| format!("no --{flag}"), |value| format!("--{flag}={value}"));
    report_ok(&format!("{item:14} {} {component} {evidence}", if passes { "pass" } else { "FAIL" }));
    if !passes {
        failed.push((*item).to_owned());
    }
}

/// 2.7 asks for another CA than the cluster's.
fn ensure_ca_of_its_own(machine: &Machine) -> Result<()> {
    machine.sh("! cmp -s /var/lib/kube-etcd/ca.pem /var/lib/kubernetes/ca.pem")?;
    report_ok("2.7            pass etcd's CA is not the cluster's");
    Ok(())
}

fn check_files(machine: &Machine, files: &[(&str, &str, u32)], failed: &mut Vec<String>) -> Result<()> {
    for (items, files, most) in files {
        for line in machine.sh(&format!("stat -c '%a %U:%G %n' {files}"))?.lines() {
            let mode = line.split(' ').next().and_then(|mode| u32::from_str_radix(mode, 8).ok());
            let passes = mode.is_some_and(|mode| mode & !most == 0)
                && line.contains(if is_etcds(files) { " etcd:etcd " } else { " root:root " });
            report_ok(&format!("{items:14} {} {line}", if passes { "pass" } else { "FAIL" }));
            if !passes {
                failed.push((*items).to_owned());
            }
        }
    }
    Ok(())
}

pub(super) fn check(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let bundle = cluster.build("one", &[])?;
    let machine = cluster.machines(context)?.remove(0);
    let there = unpack(&bundle, &machine, "one")?;
    machine.sh(&format!("{there}/install.sh"))?;
    wait_units_active(&machine)?;

    let look = || -> Result<BTreeMap<&str, Flags>> {
        [API, MANAGER, SCHEDULER, ETCD].into_iter().map(|name| Ok((name, flags(&machine, name)?))).collect()
    };
    let mut failed = Vec::new();
    let running = look()?;
    for item in FLAGS {
        check_flag(&running, item, &mut failed);
    }
    check_files(&machine, FILES, &mut failed)?;
    ensure!(failed.is_empty(), "items that fail: {}", failed.join("; "));
    ensure_ca_of_its_own(&machine)?;
    report_ok("1.1.9, 1.1.10  waived: this machine has no files of the pod network");
    report_ok("1.1.13, 1.1.14 waived: admin.conf is not installed on a master");
    let value = running[API].get(POD_SECURITY_POLICY.2).map(String::as_str);
    ensure!(!meets(value, &POD_SECURITY_POLICY.3), "1.2.16 is no longer an option");
    report_ok("1.2.16         waived: an option, `pod_security_policy = true` in cluster.toml");

    cluster.edit("cluster.toml", "[cluster]\n", "[cluster]\npod_security_policy = true\n")?;
    let there = unpack(&cluster.build("two", &[])?, &machine, "two")?;
    machine.sh(&format!("{there}/install.sh"))?;
    wait_units_active(&machine)?;
    check_flag(&look()?, &POD_SECURITY_POLICY, &mut failed);
    ensure!(failed.is_empty(), "1.2.16 fails with the option");
    if !context.real {
        report_skipped("the policies are there", STAND_INS);
        return Ok(());
    }
    machine.wait_until("its bootstrap", 60, "systemctl show --property=SubState kube-bootstrap | grep -q exited")?;
    let policies = bundle.kubectl(&machine, "get podsecuritypolicies -o name")?.stdout;
    ensure!(policies.contains("/restricted") && policies.contains("/privileged"), "{policies}");
    report_ok("the policies that come with 1.2.16 are there");
    drop(machine);
    cluster.discard()?;
    check_worker(context)
}

/// Files of a worker, as [`FILES`].
const FILES_OF_WORKERS: &[(&str, &str, u32)] = &[
    ("4.1.1, 4.1.2", "/etc/systemd/system/kubelet.service", 0o644),
    ("4.1.3, 4.1.4", "/var/lib/kubernetes/kube-proxy.kubeconfig", 0o644),
    ("4.1.5, 4.1.6", "/var/lib/kubernetes/kubelet.kubeconfig", 0o644),
    ("4.1.7, 4.1.8", "/var/lib/kubernetes/ca.pem", 0o644),
    ("4.1.9, 4.1.10", "/etc/kubernetes/config/kubelet.yaml", 0o644),
    ("1.1.9, 1.1.10", "/etc/kubernetes/cni/*.conflist", 0o644),
];

/// Item, path in the kubelet's configuration, value. What is `null` has the value that turns it off, and is not printed.
const KUBELET: &[(&str, &str, &str)] = &[
    ("4.2.1", "/authentication/anonymous/enabled", "false"),
    ("4.2.2", "/authorization/mode", "\"Webhook\""),
    ("4.2.3", "/authentication/x509/clientCAFile", "\"/var/lib/kubernetes/ca.pem\""),
    ("4.2.4", "/readOnlyPort", "null"),
    ("4.2.5", "/streamingConnectionIdleTimeout", "\"4h0m0s\""),
    ("4.2.6", "/protectKernelDefaults", "true"),
    ("4.2.7", "/makeIPTablesUtilChains", "true"),
    ("4.2.9", "/eventRecordQPS", "0"),
    ("4.2.10", "/tlsCertFile", "\"/var/lib/kubernetes/kubelet.pem\""),
    ("4.2.10", "/tlsPrivateKeyFile", "\"/var/lib/kubernetes/kubelet-key.pem\""),
    ("4.2.11", "/rotateCertificates", "true"),
    ("4.2.12", "/featureGates/RotateKubeletServerCertificate", "true"),
];

/// Section 4, on a machine that has all roles: what the kubelet itself says of its configuration.
fn check_worker(context: &ScenarioContext) -> Result<()> {
    if let Some(reason) = context.lacks_pods() {
        report_skipped("section 4, worker nodes", reason);
        return Ok(());
    }
    let cluster = Cluster::on_one_machine(context)?;
    let bundle = cluster.build("one", &[])?;
    let machine = cluster.machines(context)?.remove(0);
    let there = unpack(&bundle, &machine, "one")?;
    machine.sh(&format!("{there}/install.sh"))?;
    let mut failed = Vec::new();
    check_files(&machine, FILES_OF_WORKERS, &mut failed)?;
    let path = "get --raw /api/v1/nodes/master-1/proxy/configz";
    wait("the kubelet's configuration", 60, || Ok(bundle.kubectl(&machine, path)?.success()))?;
    let said = bundle.kubectl(&machine, path)?.stdout;
    let config: serde_json::Value = serde_json::from_str(&said).context("the configuration is not JSON")?;
    for (item, pointer, wanted) in KUBELET {
        let value = config["kubeletconfig"].pointer(pointer).map_or("null".to_owned(), ToString::to_string);
        let passes = value == *wanted;
        report_ok(&format!("{item:14} {} kubelet {pointer} {value}", if passes { "pass" } else { "FAIL" }));
        if !passes {
            failed.push((*item).to_owned());
        }
    }
    let overridden = flags(&machine, "kubelet")?.contains_key("hostname-override");
    report_ok(&format!(
        "4.2.8          {} kubelet has no --hostname-override",
        if overridden { "FAIL" } else { "pass" }
    ));
    ensure!(failed.is_empty() && !overridden, "items that fail: {}", failed.join("; "));
    Ok(())
}
