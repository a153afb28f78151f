//! Nodes with pods: what each gets, and what is refused before anything is built.

use kube_bundle::hash::Sha256;

use crate::harness::{Workspace, files, has, tool};

/// Another worker, at this address.
fn add_worker(workspace: &Workspace, name: &str, address: &str) {
    let node = format!("[[nodes]]\nname = \"{name}\"\naddress = \"{address}\"\nroles = [\"worker\"]\n[pki]");
    workspace.edit("cluster.toml", "[pki]", &node);
}

fn plan(workspace: &Workspace) -> serde_json::Value {
    serde_json::from_str(&workspace.run(&["plan", "--json"]).success().stdout).unwrap()
}

/// The text of a file of a node, by the end of its path.
fn text(plan: &serde_json::Value, node: usize, path: &str) -> String {
    let files = plan["nodes"][node]["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["path"].as_str().unwrap().ends_with(path));
    file.unwrap_or_else(|| panic!("no {path}"))["source"]["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_node_keeps_its_pods_addresses_whoever_comes_or_goes() {
    let workspace = Workspace::worker();
    let range = |node| {
        let text = text(&plan(&workspace), node, "10-kubernetes.conflist");
        text.split("\"subnet\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    assert_eq!(range(0), "10.10.1.0/24");
    add_worker(&workspace, "later", "192.0.2.7");
    assert_eq!((range(0), range(1)), ("10.10.1.0/24".to_owned(), "10.10.7.0/24".to_owned()));
    workspace.edit("cluster.toml", "192.0.2.7\"", "192.0.2.7\"\npod_cidr = \"10.10.200.0/25\"");
    assert_eq!(range(1), "10.10.200.0/25");
    assert!(text(&plan(&workspace), 0, "kube-routes").contains("route 10.10.200.0/25 via 192.0.2.7 dev"));
}

#[test]
fn a_node_with_a_small_range_takes_no_more_pods_than_it_has_addresses_for() {
    let workspace = Workspace::worker();
    add_worker(&workspace, "later", "192.0.2.7");
    workspace.edit("cluster.toml", "192.0.2.7\"", "192.0.2.7\"\npod_cidr = \"10.10.200.0/28\"");
    let plan = plan(&workspace);
    assert!(text(&plan, 0, "/kubelet.yaml").contains("\nmaxPods: 110\n"));
    assert!(text(&plan, 1, "/kubelet.yaml").contains("\nmaxPods: 13\n"));
}

#[test]
fn ranges_that_overlap_or_lie_elsewhere_are_refused() {
    let workspace = Workspace::worker();
    add_worker(&workspace, "later", "203.0.113.1");
    workspace.run(&["plan"]).exits(2).says(&["two nodes would give their pods the same addresses: `10.10.1.0/24`"]);
    workspace.edit("cluster.toml", "203.0.113.1\"", "203.0.113.1\"\npod_cidr = \"10.11.0.0/24\"");
    workspace.run(&["plan"]).exits(2).says(&["the range `10.11.0.0/24` is outside `pod_cidr`"]);
    workspace.edit("cluster.toml", "10.11.0.0/24", "10.10.9.7/24");
    workspace.run(&["plan"]).exits(2).says(&["the range `10.10.9.7/24` has host bits set", "write `10.10.9.0/24`"]);
    workspace.edit("cluster.toml", "10.10.9.7/24", "10.10.9.6/31");
    workspace.run(&["plan"]).exits(2).says(&["the range `10.10.9.6/31` is too small"]);
    workspace.edit("cluster.toml", "[pki]", "[network]\nplugin = \"none\"\n[pki]");
    workspace.run(&["plan"]).exits(2).says(&["this node gets no range of the pod network"]);
}

#[test]
fn what_pods_need_is_checked_before_anything_is_built() {
    let workspace = Workspace::worker();
    let with = |table: &str| {
        let other = Workspace::worker();
        other.edit("cluster.toml", "[pki]", &format!("{table}\n[pki]"));
        other.run(&["plan"])
    };
    with("[dns]\naddress = \"10.33.0.10\"").exits(2).says(&["`10.33.0.10` can't be the address of DNS"]);
    with("[dns]\naddress = \"10.32.0.1\"").exits(2).says(&["`10.32.0.1` can't be the address of DNS"]);
    with("[dns]\nupstream = [\"127.0.0.53\"]").exits(2).says(&["`127.0.0.53` would ask itself"]);
    with("[dns]\naddress = \"10.32.255.255\"").exits(2).says(&["`10.32.255.255` can't be the address of DNS"]);
    with("[dns]\nupstream = [\"10.32.0.10\"]").exits(2).says(&["`10.32.0.10` would ask itself"]);
    with("[dns]\nupstream = [\"192.0.2.53\"]").success();
    let other = Sha256::of(b"other");
    with(&format!("[images]\nextra = [\"k8s.gcr.io/pause:3.1@sha256:{other}\"]"))
        .exits(2)
        .says(&["the image `k8s.gcr.io/pause:3.1` has two digests"]);
    with("[network]\nplugin = \"calico\"").exits(2).says(&["expected `routes`, `flannel` or `none`"]);
    let image = format!("registry.example/a:1@sha256:{}", Sha256::of(b"x"));
    with(&format!("[images]\nextra = [\"{image}\", \"{image}\"]")).exits(2).says(&["is named twice"]);
    workspace.edit("cluster.toml", "\"worker\"", "\"etcd\"");
    workspace.edit("cluster.toml", "[etcd]\nendpoints = [\"https://192.0.2.1:2379\"]\n", "");
    workspace.edit("cluster.toml", "[pki]", &format!("[images]\nextra = [\"{image}\"]\n[pki]"));
    workspace.run(&["plan"]).exits(2).says(&["no node runs pods, so no node needs images"]);
}

#[test]
fn without_upstream_servers_nothing_is_forwarded() {
    let workspace = Workspace::worker();
    let corefile = text(&plan(&workspace), 0, "Corefile");
    assert!(!corefile.contains("forward") && corefile.contains("rcode NXDOMAIN"), "{corefile}");
    assert!(!text(&plan(&workspace), 0, "config/resolv.conf").contains("nameserver"));
    workspace.edit("cluster.toml", "[pki]", "[dns]\nupstream = [\"192.0.2.53\", \"192.0.2.54\"]\n[pki]");
    let corefile = text(&plan(&workspace), 0, "Corefile");
    assert_eq!(corefile.matches("forward . 192.0.2.53 192.0.2.54").count(), 2, "{corefile}");
    assert!(
        text(&plan(&workspace), 0, "config/resolv.conf").contains("nameserver 192.0.2.53\nnameserver 192.0.2.54\n")
    );
}

/// Three lines that have to agree, in three programs' files.
#[test]
fn programs_agree_about_cgroups_and_the_sandbox_image() {
    let plan = plan(&Workspace::worker());
    let (kubelet, containerd) = (text(&plan, 0, "config/kubelet.yaml"), text(&plan, 0, "containerd.toml"));
    assert!(kubelet.contains("cgroupDriver: cgroupfs\n") && containerd.contains("SystemdCgroup = false\n"));
    let sandbox = containerd.split("sandbox_image = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(text(&plan, 0, "kubelet.service").contains(&format!("--pod-infra-container-image={sandbox} ")));
    let images =
        plan["nodes"][0]["files"].as_array().unwrap().iter().find_map(|file| file["source"]["images"].as_array());
    assert_eq!(images.unwrap()[0]["name"], sandbox);
}

#[test]
fn a_machine_with_an_api_server_needs_no_gateway_to_one() {
    let workspace = Workspace::worker();
    add_worker(&workspace, "later", "192.0.2.7");
    let plan = plan(&workspace);
    let units = |node: usize| plan["nodes"][node]["install"]["units"].to_string();
    assert!(!units(0).contains("kube-api-gateway") && units(1).contains("kube-api-gateway"));
    assert!(text(&plan, 1, "kube-api-gateway.service").contains("--endpoints=192.0.2.1:6443 "));
    let paths = |node: usize| plan["nodes"][node]["files"].to_string();
    assert!(!paths(0).contains("usr/local/bin/etcd\"") && paths(1).contains("usr/local/bin/etcd\""));
    assert!(!paths(1).contains("ca-key.pem") && !paths(1).contains("service-account"), "a worker holds a master's key");
}

#[test]
fn flannel_learns_ranges_from_the_api_server_and_masters_learn_routes() {
    let workspace = Workspace::worker();
    workspace.edit("cluster.toml", "[pki]", "[network]\nplugin = \"flannel\"\n[pki]");
    workspace.edit("cluster.toml", "\"master\", \"worker\"", "\"master\"");
    add_worker(&workspace, "later", "192.0.2.7");
    let with_pods = plan(&workspace);
    let units = with_pods["nodes"][1]["install"]["units"].to_string();
    assert!(units.contains("\"flanneld.service\"") && units.contains("\"kube-routes.timer\""), "{units}");
    let of_worker = text(&with_pods, 1, "kube-routes");
    assert!(of_worker.contains("route 10.32.0.0/16 dev") && !of_worker.contains("kubectl"), "{of_worker}");
    let of_master = text(&with_pods, 0, "kube-routes");
    // What kubectl caches as root lies where others can't write.
    assert!(of_master.contains("--cache-dir=/run/kube-routes "), "{of_master}");
    let unit = text(&with_pods, 0, "kube-routes.service");
    assert!(
        unit.contains("\nRuntimeDirectory=kube-routes\n") && unit.contains("\nEnvironment=HOME=/run/kube-routes\n")
    );
    assert!(of_master.contains("kubectl") && !of_master.contains("route 10."), "{of_master}");
    assert!(text(&with_pods, 0, "kube-controller-manager.service").contains("--allocate-node-cidrs=true"));
    workspace.edit("cluster.toml", "192.0.2.7\"", "192.0.2.7\"\npod_cidr = \"10.10.200.0/25\"");
    workspace.run(&["plan"]).exits(2).says(&["this node gets no range of the pod network"]);
}

/// dpkg leaves a file of an earlier version beside those of this one.
#[test]
fn a_new_cluster_gets_what_its_bundle_has_and_nothing_that_lies_beside_it() {
    let workspace = Workspace::worker();
    let plan = plan(&workspace);
    let unit = text(&plan, 0, "kube-bootstrap.service").replace("\\\n", "");
    let (_, command) = unit.split_once("\nExecStart=").unwrap();
    let mut named: Vec<_> = command.lines().next().unwrap().split_whitespace().skip(1).collect();
    named.sort_unstable();
    let files = plan["nodes"][0]["files"].as_array().unwrap();
    let paths: Vec<_> = files.iter().map(|file| format!("/{}", file["path"].as_str().unwrap())).collect();
    let mut there: Vec<_> = paths.iter().filter(|path| path.starts_with("/etc/kubernetes/bootstrap/")).collect();
    there.sort_unstable();
    assert_eq!(named, there);
    workspace.write("applied/bin/kubectl", "#!/bin/sh\necho \"$*\" >>\"$0.log\"\n");
    let directory = workspace.path("applied").display().to_string();
    let script = text(&plan, 0, "lib/kube-bundle/kube-bootstrap")
        .replace("/usr/local/bin/", &format!("{directory}/bin/"))
        .replace("keys=/var/lib/kubernetes", &format!("keys={directory}"))
        .replace("state=/var/lib/kube-bootstrap", &format!("state={directory}"));
    workspace.write("applied/bootstrap-token.yaml", "");
    workspace.write("applied/script", script);
    tool("sh", &["-c", &format!("cd {directory} && chmod +x bin/kubectl && sh script /one.yaml /two.yaml")]);
    let applied = workspace.text("applied/bin/kubectl.log");
    assert!(["--filename=/one.yaml", "--filename=/two.yaml"].iter().all(|file| applied.contains(file)), "{applied}");
    assert!(!applied.contains("/etc/kubernetes/bootstrap"), "{applied}");
}

#[test]
fn a_cluster_without_pods_has_nothing_of_them() {
    let workspace = Workspace::small(3000);
    let plan = plan(&workspace).to_string();
    for word in ["coredns", "kube-routes", "containerd", "kube-dns"] {
        assert!(!plan.contains(word), "{word}");
    }
    assert!(plan.contains("--allocate-node-cidrs=true"), "machines that join later may need ranges");
}

#[test]
fn packages_of_a_worker_name_what_they_need_of_debian() {
    if !has("dpkg-deb") {
        return;
    }
    let workspace = Workspace::worker();
    workspace.build_packages(&[]).success();
    let field = |name: &str, field: &str| {
        let package = workspace.package("out/small", name).display().to_string();
        tool("dpkg-deb", &["--field", &package, field]).trim().to_owned()
    };
    let depends = field("small-only", "Depends");
    for package in ["conntrack", "iptables", "iproute2", "kmod"] {
        assert!(depends.split(", ").any(|relation| relation == package), "{depends}");
    }
    assert!(!depends.contains("coreutils") && !depends.contains("util-linux"), "essential packages: {depends}");
    assert!(depends.contains("small-images (= 1.16.0-1)"), "{depends}");
    assert!(field("kube-bundle-containerd", "Conflicts").contains("containerd.io"));
    let images = workspace.package("out/small", "small-images").display().to_string();
    let listed = tool("dpkg-deb", &["--contents", &images]);
    assert!(listed.contains("./usr/lib/kube-bundle/images/index.json"), "{listed}");
    workspace.run(&["verify", "--deep", "out/small"]).success();
}

#[test]
fn a_build_is_the_same_twice_and_carries_images_as_they_are() {
    let workspace = Workspace::worker();
    workspace.run(&["build", "--offline", "--from", "files", "--format", "tarball,deb,nocloud"]).success();
    let first = files(&workspace.path("out/small"));
    workspace.run(&["build", "--offline", "--from", "files", "--format", "tarball,deb,nocloud"]).success();
    assert!(first == files(&workspace.path("out/small")), "another build, other bytes");
}

#[test]
fn what_a_text_names_is_in_the_bundle() {
    let workspace = Workspace::worker();
    let pod = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: registry.example/dns:1\n";
    let kube_dns = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../recipes/v1.16.0/roles/master/manifests/kube-dns.yaml"
    ));
    workspace.write("recipe/roles/master/manifests/kube-dns.yaml", kube_dns.unwrap() + "---\n" + pod);
    let says = "names the image `registry.example/dns:1`, which is not in the bundle";
    workspace.run(&["plan"]).exits(2).says(&[says]);
    let sha256 = Sha256::of(b"x");
    let images = format!("[images]\nextra = [\"registry.example/dns:1@sha256:{sha256}\"]\n[pki]");
    workspace.edit("cluster.toml", "[pki]", &images);
    workspace.run(&["plan"]).success();
    workspace.edit("recipe/recipe.toml", "/cni/portmap", "/other/portmap");
    workspace.run(&["plan"]).exits(2).says(&["names the network plugin `portmap`, which is not in the bundle"]);
}

/// They are for people to copy, so they have to be right.
#[test]
fn every_example_is_a_cluster_that_builds() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let other = Workspace::small(1000);
    other.build().success();
    let mut count = 0;
    for example in std::fs::read_dir(directory).unwrap().flatten() {
        let workspace = Workspace::worker();
        let text = std::fs::read_to_string(example.path()).unwrap();
        // Stand-ins, and keys that are quick to make.
        let text = text.replace("recipe = \"v1.16.0\"", "recipe = \"./recipe\"");
        let text = if text.contains("[pki]") { text } else { text + "\n[pki]\n" };
        workspace.write("cluster.toml", text.replace("[pki]", "[pki]\nkey = \"ecdsa-p256\""));
        for (from, to) in [
            ("ca.pem", "cluster-ca.pem"),
            ("ca-key.pem", "cluster-ca-key.pem"),
            ("etcd-ca.pem", "etcd-ca.pem"),
            ("apiserver-etcd-client/only.pem", "etcd-client.pem"),
            ("apiserver-etcd-client/only-key.pem", "etcd-client-key.pem"),
        ] {
            workspace.write(to, other.read(&format!("pki/{from}")));
        }
        workspace.run(&["build", "--offline", "--from", "files", "-q"]).success();
        count += 1;
    }
    assert!(count >= 4, "the examples are gone");
}

/// kubectl refuses a file in which a name is there twice.
#[test]
fn a_node_may_have_the_name_of_its_cluster() {
    let workspace = Workspace::worker();
    workspace.edit("cluster.toml", "name = \"only\"", "name = \"small\"");
    workspace.build().success();
    let text = workspace.text("out/small/operator/admin.kubeconfig");
    assert_eq!((text.matches("name: small\n").count(), text.matches("name: default\n").count()), (1, 1), "{text}");
}

#[test]
fn a_fat_package_takes_the_place_of_the_images_too() {
    if !has("dpkg-deb") {
        return;
    }
    let workspace = Workspace::worker();
    workspace.build_packages(&["--deb-layout", "fat"]).success();
    let package = workspace.package("out/small", "small-only").display().to_string();
    for field in ["Conflicts", "Replaces"] {
        let said = tool("dpkg-deb", &["--field", &package, field]);
        assert!(said.trim().split(", ").any(|name| name == "small-images"), "{field}: {said}");
    }
}

/// So that `install.sh --check` can ask them, whatever the roles are called.
#[test]
fn units_name_the_machines_that_they_connect_to() {
    let workspace = Workspace::worker();
    add_worker(&workspace, "later", "192.0.2.7");
    let plan = plan(&workspace);
    for (node, unit, connects_to) in [
        (0, "kube-apiserver.service", "/var/lib/kubernetes/etcd-ca.pem https://192.0.2.1:2379"),
        (1, "kube-api-gateway.service", "/var/lib/kubernetes/ca.pem https://192.0.2.1:6443"),
    ] {
        let text = text(&plan, node, unit);
        assert!(text.contains(&format!("\nX-Connects-To={connects_to}\n")), "{text}");
        let ca = connects_to.split(' ').next().unwrap().trim_start_matches('/');
        let files = plan["nodes"][node]["files"].as_array().unwrap();
        assert!(files.iter().any(|file| file["path"] == ca), "{ca}");
    }
}
