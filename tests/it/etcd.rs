//! etcd on nodes of the cluster: what cluster.toml may say, and what members get.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Run, Workspace, has, tool};

/// Three nodes that are masters and members of etcd.
fn three() -> Workspace {
    let workspace = Workspace::stacked();
    let more: String = (2..=3)
        .map(|number| {
            format!(
                "[[nodes]]\nname = \"node-{number}\"\naddress = \"192.0.2.{number}\"\nroles = [\"etcd\", \"master\"]\n"
            )
        })
        .collect();
    workspace.edit("cluster.toml", "[pki]", &format!("{more}[pki]"));
    workspace
}

/// The text of a file on a node, as it is planned.
fn text(workspace: &Workspace, node: usize, path: &str) -> String {
    let plan: serde_json::Value =
        serde_json::from_str(&workspace.run(&["plan", "--json"]).success().stdout).expect("JSON");
    let files = plan["nodes"][node]["files"].as_array().expect("a list");
    let file = files.iter().find(|file| file["path"] == path).expect("the file");
    file["source"]["text"].as_str().expect("text").to_owned()
}

#[test]
fn api_servers_ask_their_own_member_first() {
    let workspace = three();
    let servers = |node| {
        let unit = text(&workspace, node, "etc/systemd/system/kube-apiserver.service");
        let (_, rest) = unit.split_once("--etcd-servers=").expect("the flag");
        rest.split_once(' ').expect("another flag").0.to_owned()
    };
    assert_eq!(servers(0), "https://192.0.2.1:2379,https://192.0.2.2:2379,https://192.0.2.3:2379");
    assert_eq!(servers(2), "https://192.0.2.3:2379,https://192.0.2.1:2379,https://192.0.2.2:2379");
}

#[test]
fn a_members_certificate_has_the_names_of_all_members_and_its_key_is_etcds_alone() {
    if !has("openssl") {
        return;
    }
    let workspace = three();
    workspace.build().success();
    let path = workspace.path("pki/etcd-member/node-2.pem").display().to_string();
    let certificate = tool("openssl", &["x509", "-noout", "-text", "-in", &path]);
    for part in [
        "Issuer: CN = etcd-ca",
        "Subject: CN = etcd",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "DNS:localhost, DNS:node-2, DNS:only, DNS:node-3",
        "IP Address:127.0.0.1, IP Address:192.0.2.2, IP Address:192.0.2.1, IP Address:192.0.2.3",
    ] {
        assert!(certificate.contains(part), "no {part} in {certificate}");
    }
    assert!(
        !workspace.path("out/small/operator/etcd").exists(),
        "members have their certificates in their own bundles"
    );
    let archive = workspace.path("out/small/nodes/node-2/small-node-2-v1.16.0-amd64.tar.gz").display().to_string();
    let files = tool("tar", &["-xOzf", &archive, "small-node-2-v1.16.0-amd64/FILES"]);
    let owners: BTreeMap<_, _> = files
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .map(|words| (words[2], (words[0], words.get(3).copied())))
        .collect();
    assert_eq!(owners["var/lib/etcd"], ("0755", None));
    assert_eq!(owners["var/lib/etcd/data"], ("0700", Some("etcd:etcd")));
    assert_eq!(owners["var/lib/kube-etcd"], ("0700", Some("etcd:etcd")));
    assert_eq!(owners["var/lib/kube-etcd/etcd-key.pem"], ("0600", Some("etcd:etcd")));
    assert_eq!(owners["var/backups/etcd"], ("0700", None));
}

#[test]
fn etcd_is_on_nodes_or_elsewhere_and_never_both() {
    let workspace = three();
    let with = |table: &str| {
        let before = workspace.text("cluster.toml");
        workspace.write("cluster.toml", format!("{before}{table}"));
        let run = workspace.run(&["plan"]);
        workspace.write("cluster.toml", before);
        run
    };
    let urls = |addresses: &[&str]| {
        let urls: Vec<_> = addresses.iter().map(|address| format!("\"https://{address}:2379\"")).collect();
        format!("[etcd]\nendpoints = [{}]\n", urls.join(", "))
    };
    let members = urls(&["192.0.2.3", "192.0.2.1", "192.0.2.2"]);
    with(&members).success();
    with(&urls(&["192.0.2.9"])).exits(2).says(&["`endpoints` are others than the nodes with the role `etcd`"]);
    with(&format!("{members}ca = \"a\"\ncert = \"b\"\nkey = \"c\"\n"))
        .exits(2)
        .says(&["`ca`, `cert` and `key` belong to an etcd that exists"]);
    workspace.edit("cluster.toml", "192.0.2.3\"\nroles = [\"etcd\", \"master\"]", "192.0.2.3\"\nroles = [\"master\"]");
    with("").success().says(&["warning: etcd with 2 members tolerates no more failures than with 1"]);
    workspace.write("cluster.toml", workspace.text("cluster.toml").replace("\"etcd\", ", ""));
    with("").exits(2).says(&["the cluster has no etcd", "add the role `etcd` to an odd number"]);
}

/// With the guide's addresses and token, its `etcdctl member list` prints these IDs.
#[test]
fn member_ids_are_those_that_the_guide_prints() {
    let workspace = Workspace::stacked();
    let script = text(&workspace, 0, "usr/local/bin/kube-etcd");
    let start = script.find("peer_url() {").expect("the function");
    let peer_url = script[start..].lines().next().expect("a line");
    let start = script.find("member_id() {").expect("the function");
    let member_id = script[start..].split_inclusive("\n}\n").next().expect("its end");
    let ids: BTreeSet<_> = ["10.200.16.79", "10.200.17.6", "10.200.16.70"]
        .into_iter()
        .map(|address| {
            let say = "say() { printf '%s\\n' \"$*\"; }";
            let call = format!("{say}\n{peer_url}\n{member_id}member_id {address} etcd-cluster-0\n");
            tool("sh", &["-c", &call]).trim().to_owned()
        })
        .collect();
    let expected = ["a7f995caeeaf7a59", "b90901a06e9aec53", "ba126eb695f5ba71"].map(str::to_owned);
    assert_eq!(ids, BTreeSet::from(expected));
}

/// `kube-etcd check-removal` of node-2, whose cluster is as `list` says, a line of etcdctl for each member, and `up` answer.
fn check_removal(workspace: &Workspace, list: &str, up: &[&str]) -> Run {
    let directory = workspace.path("member").display().to_string();
    let asked: Vec<_> = up.iter().map(|address| format!("*https://{address}:2379*)")).collect();
    let answers: String = asked.iter().map(|pattern| format!("{pattern} cat {directory}/list ;;\n")).collect();
    workspace.write("member/etcdctl", format!("#!/bin/sh\ncase \"$*\" in\n{answers}*) exit 1 ;;\nesac\n"));
    workspace.write("member/list", list);
    workspace.write("member/etcd-key.pem", "");
    let script = text(workspace, 1, "usr/local/bin/kube-etcd")
        .replace("etcdctl=/usr/local/bin/etcdctl", &format!("etcdctl={directory}/etcdctl"))
        .replace("keys=/var/lib/kube-etcd", &format!("keys={directory}"));
    workspace.write("member/kube-etcd", script);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "chmod +x etcdctl && sh kube-etcd check-removal"]).current_dir(workspace.path("member"));
    Run::from(command.output().expect("a shell"))
}

#[test]
fn a_member_is_not_removed_while_others_count_on_it() {
    if !has("awk") {
        return;
    }
    let workspace = three();
    let line = |number: usize| {
        format!(
            "{number}a, started, node-{number}, https://192.0.2.{number}:2380, https://192.0.2.{number}:2379, false\n"
        )
    };
    let list = |numbers: &[usize]| numbers.iter().map(|number| line(*number)).collect::<String>();
    check_removal(&workspace, &list(&[1, 2]), &["192.0.2.1", "192.0.2.2"]).exits(1).says(&[
        "without it, 1 of 2 members work, and 2 are needed",
        "member remove 2a",
        "--force",
    ]);
    // Even where the others have a quorum: one that is listed and away counts as down.
    check_removal(&workspace, &list(&[1, 2, 3]), &["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        .exits(1)
        .says(&["without it, 2 of 3 members work, and 2 are needed"]);
    // This one is stopped already.
    check_removal(&workspace, &list(&[1, 2, 3]), &["192.0.2.1", "192.0.2.3"]).exits(1).says(&["member remove 2a"]);
    // It was taken out, is alone, or nobody is left.
    check_removal(&workspace, &list(&[1, 3]), &["192.0.2.1", "192.0.2.3"]).success();
    check_removal(&workspace, &list(&[2]), &["192.0.2.2"]).success();
    check_removal(&workspace, "", &[]).success();
}

/// `kube-etcd status` of the only member, which answers, with these files of backups and `alarms`. `hours` ago, etcd was started.
fn status(hours: u32, alarms: &str, up: bool, backups: &[&str]) -> Run {
    let workspace = Workspace::stacked();
    let directory = workspace.path("member").display().to_string();
    let fields = r#""MemberID" : 26\n"Leader" : 26\n"DBSize" : 9\n"Revision" : 5"#;
    let list = "1a, started, only, https://192.0.2.1:2380, https://192.0.2.1:2379, false";
    let health = if up { "exit 0" } else { "exit 1" };
    let etcdctl = format!(
        "#!/bin/sh\ncase \"$*\" in\n*'member list'*) echo '{list}' ;;\n*'endpoint health'*) {health} ;;\n*'endpoint status'*) {health}; printf '{fields}\\n' ;;\n*'alarm list'*) printf '{alarms}' ;;\nesac\n"
    );
    let entered = "#!/bin/sh\nup=$(cut -d. -f1 /proc/uptime)\n";
    let entered = format!("{entered}echo ActiveEnterTimestampMonotonic=$(((up - {hours} * 3600) * 1000000))\n");
    workspace.write("member/etcdctl", etcdctl.replace("exit 0; ", ""));
    workspace.write("member/systemctl", entered);
    workspace.write("member/etcd-key.pem", "");
    std::fs::create_dir(workspace.path("member/backups")).expect("a directory");
    for age in backups {
        let file = format!("{directory}/backups/etcd-only-20260101T000000Z.db");
        tool("touch", &["-d", age, &file]);
    }
    let script = text(&workspace, 0, "usr/local/bin/kube-etcd")
        .replace("etcdctl=/usr/local/bin/etcdctl", &format!("etcdctl={directory}/etcdctl"))
        .replace("keys=/var/lib/kube-etcd", &format!("keys={directory}"))
        .replace("backups=/var/backups/etcd", &format!("backups={directory}/backups"));
    workspace.write("member/kube-etcd", script);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "chmod +x etcdctl systemctl && PATH=$PWD:$PATH sh kube-etcd status"]);
    Run::from(command.current_dir(workspace.path("member")).output().expect("a shell"))
}

#[test]
fn a_member_that_makes_no_backups_is_not_well() {
    if !has("awk") {
        return;
    }
    let well = status(5, "", true, &["1 hour ago"]).success();
    assert!(well.stderr.is_empty() && well.stdout.contains("60 minutes old"), "{}{}", well.stdout, well.stderr);
    status(5, "", true, &["4 hours ago"])
        .exits(1)
        .says(&["error: the latest backup of this machine: ", "240 minutes old"]);
    status(5, "", true, &[]).exits(1).says(&["error: the latest backup of this machine: none, and the timer"]);
    // The timer has not had its time yet: a new member, or one that was away.
    status(2, "", true, &["4 hours ago"]).success();
    status(0, "", true, &[]).success();
}

#[test]
fn the_status_of_a_member_says_what_is_wrong_as_an_error() {
    if !has("awk") {
        return;
    }
    status(5, "memberID:26 alarm:NOSPACE", true, &["now"])
        .exits(1)
        .says(&["error: alarms: memberID:26 alarm:NOSPACE\n"]);
    status(5, "", false, &["now"])
        .exits(1)
        .says(&["error: not healthy: only (doesn't answer)\n", "  fix: bring them back"]);
}

/// systemd makes a unit's view of the machine before it runs anything.
#[test]
fn a_backup_is_made_even_where_its_directory_was_moved_away() {
    let unit = text(&Workspace::stacked(), 0, "etc/systemd/system/kube-etcd-backup.service");
    let lines = ["ExecStartPre=+/bin/mkdir -p -m 0700 /var/backups/etcd", "ReadWritePaths=-/var/backups/etcd /run"];
    assert!(lines.iter().all(|line| unit.lines().any(|other| other == *line)), "{unit}");
}

/// A member that took them for nothing would start an empty cluster.
#[test]
fn data_that_can_not_be_read_are_not_taken_for_none() {
    let Some(machine) = crate::machine::Machine::new() else { return };
    let script = text(&Workspace::stacked(), 0, "usr/local/bin/kube-etcd");
    machine.write("opt/kube-etcd", &script);
    machine.write("var/lib/etcd/data/member/wal/0.wal", "");
    machine.write("etc/passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n");
    machine.run("mkdir -p /run/kube-etcd; chmod 777 /run/kube-etcd; chmod -R go+rX /var/lib/etcd /opt").success();
    let prepare = "setpriv --reuid=65534 --regid=65534 --clear-groups sh /opt/kube-etcd prepare";
    let said = machine.run(prepare);
    if said.stderr.contains("setpriv") || said.stderr.contains("setresuid") {
        return crate::harness::left_out("an ordinary user can't become another one in a namespace");
    }
    said.success();
    let refused = |change: &str, texts: &[&str]| {
        machine.run(&format!("{change}; {prepare}")).exits(1).says(texts);
    };
    refused(
        "chmod 700 /var/lib/etcd/data/member",
        &[
            "error: /var/lib/etcd/data/member is there, and nobody can't read it",
            "chown -hR etcd:etcd /var/lib/etcd/data",
        ],
    );
    refused("chmod 700 /var/lib/etcd", &["error: nobody can't pass /var/lib/etcd", "fix: chmod 0755 /var/lib/etcd"]);
}

#[test]
fn a_recipe_of_before_that_has_no_etcd_says_what_it_lacks() {
    let workspace = Workspace::small(3000);
    workspace.edit("cluster.toml", "[etcd]\nendpoints = [\"https://192.0.2.1:2379\"]\n", "");
    workspace.edit("cluster.toml", "roles = [\"master\"]", "roles = [\"etcd\", \"master\"]");
    workspace.build().exits(2).says(&["a role needs the component `etcd`, which `recipe.toml` does not have"]);
}
