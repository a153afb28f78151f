//! Bundles in object stores: whatever a store or a network does, what is pulled is what was pushed, or there is nothing; and
//! nobody learns the keys.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::bucket::{Bucket, ID, SECRET, error, run_as};
use crate::harness::{Run, Workspace, component, files, has, has_all, program, tool};
use crate::push::{assert_nothing, assert_same, built, json, kill_again_and_again, proxy, signed, sizes};
use crate::registry::digest;
use crate::server::{Reply, Request, Server};

const AT: &str = "s3://roc/site/1";
const PREFIX: &str = "site/1/";

fn push(workspace: &Workspace, server: &str, more: &[&str]) -> Run {
    let push = ["push", "out/small", AT, "--include-secrets", "--timeout", "60", "--retries", "1", "--json"];
    run_as(workspace, server, &[], &[&push, more].concat())
}

fn pull(workspace: &Workspace, server: &str, more: &[&str]) -> Run {
    let pull = ["pull", AT, "-o", "pulled", "--timeout", "60", "--retries", "1"];
    run_as(workspace, server, &[], &[&pull, more].concat())
}

/// A bucket with a bundle in it, and the workspace that it is from.
fn filled() -> (Workspace, Bucket) {
    let (workspace, bucket) = (built(), Bucket::default());
    push(&workspace, &bucket.serve().url(), &[]).success();
    (workspace, bucket)
}

/// Pulls from a store whose answers are changed.
fn pull_changed(
    workspace: &Workspace,
    bucket: &Bucket,
    change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
) -> Run {
    let bucket = bucket.clone();
    let server = Server::start(move |request| change(request, bucket.reply(request)));
    pull(workspace, &server.url(), &[])
}

/// The largest object, by its path below the prefix.
fn largest(bucket: &Bucket) -> String {
    let objects = bucket.objects.lock().unwrap();
    let (key, _) = objects.iter().filter(|(key, _)| key.contains("/pieces/")).max_by_key(|(_, it)| it.len()).unwrap();
    key.strip_prefix(PREFIX).unwrap().to_owned()
}

/// No output, and no file that is kept, has anything by which somebody else could ask.
#[track_caller]
fn assert_silent(workspace: &Workspace, run: &Run) {
    let kept = files(&workspace.path(".pulled.pulled"));
    let kept = kept.iter().map(|(name, (_, bytes))| (name.as_str(), String::from_utf8_lossy(bytes).into_owned()));
    let said = [("stdout", run.stdout.clone()), ("stderr", run.stderr.clone())];
    for (name, text) in kept.chain(said) {
        for word in [SECRET, "X-Amz", "Signature=", ID] {
            assert!(!text.contains(word), "{name} has {word}: {text}");
        }
    }
}

#[test]
fn a_bundle_comes_back_from_a_bucket_as_it_was() {
    if !has("ssh-keygen") {
        return;
    }
    let (workspace, bucket) = (signed(3000), Bucket::default());
    let server = bucket.serve();
    let pushed = json(&push(&workspace, &server.url(), &[]).success());
    assert_eq!(pushed["sent"], pushed["blobs"]);
    assert_eq!(pushed["reference"], AT);
    let objects = bucket.objects.lock().unwrap().clone();
    assert_eq!(pushed["blobs"], objects.len());
    let run = pull(&workspace, &server.url(), &["--trust", "trust"]).success();
    assert!(run.stdout.contains("signed by the trusted key"), "{}", run.stdout);
    assert_same(&workspace);
    assert_silent(&workspace, &run);
    // In place of the first, of which nothing is fetched again.
    let before = server.requests().len();
    pull(&workspace, &server.url(), &[]).success();
    assert_same(&workspace);
    assert!(server.requests()[before..].iter().all(|request| !request.path.contains("/pieces/")));
    // And of what is there, lists alone are sent again.
    let again = json(&push(&workspace, &server.url(), &[]).success());
    assert_eq!(again["sent"], objects.keys().filter(|key| !key.contains("/pieces/")).count());
    assert_eq!(*bucket.objects.lock().unwrap(), objects);
}

#[test]
fn what_other_tools_copy_from_a_bucket_is_a_thin_copy() {
    if !has_all(&["sha256sum", "ssh-keygen"]) {
        return;
    }
    let (workspace, bucket) = (signed(3000), Bucket::default());
    push(&workspace, &bucket.serve().url(), &[]).success();
    for (key, bytes) in bucket.objects.lock().unwrap().iter() {
        workspace.write(&format!("copy/{}", key.strip_prefix(PREFIX).unwrap()), bytes);
    }
    workspace.run(&["export", "out/small", "exported", "-q"]).success();
    let bytes = |directory: &str| {
        let files = files(&workspace.path(directory)).into_iter().map(|(name, (_, bytes))| (name, bytes));
        files.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(bytes("copy"), bytes("exported"));
    let check = "sha256sum --quiet --strict -c pieces.SHA256SUMS && sha256sum --quiet --ignore-missing -c SHA256SUMS";
    tool("sh", &["-c", &format!("cd {} && {check}", workspace.path("copy").display())]);
    workspace.run(&["import", "copy", "-o", "pulled", "--trust", "trust"]).success();
    assert_same(&workspace);
    // A thin copy can be pushed as well, and is the same.
    let server = bucket.serve();
    let run = run_as(&workspace, &server.url(), &[], &["push", "copy", AT, "--include-secrets", "--json"]).success();
    assert!(server.requests().iter().all(|it| it.method != "PUT" || !it.path.contains("/pieces/")), "{}", run.stderr);
}

#[test]
fn objects_are_there_before_the_lists_and_sha256sums_comes_last() {
    let (_workspace, bucket) = filled();
    let written = bucket.written.lock().unwrap().clone();
    let first_list = written.iter().position(|key| !key.contains("/pieces/")).unwrap();
    assert!(written[first_list..].iter().all(|key| !key.contains("/pieces/")), "{written:?}");
    assert_eq!(written.last().unwrap(), "site/1/SHA256SUMS");
    let different: BTreeSet<_> = written.iter().collect();
    assert_eq!(different.len(), written.len(), "each is sent once");
}

#[test]
fn another_bundle_takes_the_place_of_the_first_and_reuses_its_objects() {
    if !has("ssh-keygen") {
        return;
    }
    let (workspace, bucket) = (signed(400_000), Bucket::default());
    let server = bucket.serve();
    push(&workspace, &server.url(), &[]).success();
    pull(&workspace, &server.url(), &["--trust", "trust"]).success();
    workspace.edit("cluster.toml", "[cluster]", "[cluster]\napiserver_sans = [\"another.example\"]");
    workspace.run(&["build", "--offline", "--from", "files", "--format", "tarball,deb", "-q"]).success();
    let second = json(&push(&workspace, &server.url(), &[]).success());
    let sent = second["sent_bytes"].as_u64().unwrap();
    assert!(sent < 400_000, "{sent} bytes for one more name");
    // The second is not signed, and the signatures of the first are of something else.
    let written = bucket.written.lock().unwrap().clone();
    for name in ["SHA256SUMS.sig", "SHA256SUMS.ed25519", "deb/InRelease", "provenance.intoto.jsonl"] {
        assert!(written.contains(&format!("-{PREFIX}{name}")), "{name}: {written:?}");
    }
    assert_eq!(written.last().unwrap(), "site/1/SHA256SUMS");
    let server = bucket.serve();
    pull(&workspace, &server.url(), &[]).success();
    assert_same(&workspace);
    for request in server.requests() {
        let key = request.path.split('?').next().unwrap().strip_prefix("/roc/").unwrap().to_owned();
        let size = bucket.objects.lock().unwrap().get(&key).map_or(0, Vec::len);
        assert!(size < 300_000, "{key} is in the bundle that was there");
    }
    std::fs::remove_dir_all(workspace.path("pulled")).unwrap();
    pull(&workspace, &server.url(), &["--trust", "trust"]).exits(3).says(&["it has no signature"]);
    assert_nothing(&workspace);
}

#[test]
fn what_rebuilders_say_goes_along_and_not_with_another_bundle() {
    if !has("ssh-keygen") {
        return;
    }
    let (workspace, bucket) = (signed(3000), Bucket::default());
    let server = bucket.serve();
    workspace.run(&["attest", "out/small", "--key", "key", "--offline", "--from", "files", "-q"]).success();
    push(&workspace, &server.url(), &[]).success();
    let attested = || bucket.objects.lock().unwrap().keys().filter(|key| key.contains("/public.SHA256SUMS.")).count();
    assert_eq!(attested(), 1);
    pull(&workspace, &server.url(), &["--trust", "trust"]).success();
    assert_same(&workspace);
    workspace.build().success();
    push(&workspace, &server.url(), &[]).success();
    assert_eq!(attested(), 0);
    // Somebody else's files beside it stay.
    let others = ["site/1/SHA256SUMS.txt", "site/10/SHA256SUMS.sig", "other"];
    for name in others {
        bucket.objects.lock().unwrap().insert(name.to_owned(), b"mine".to_vec());
    }
    push(&workspace, &server.url(), &[]).success();
    assert!(others.iter().all(|name| bucket.objects.lock().unwrap().contains_key(*name)));
}

#[test]
fn keys_are_not_pushed_by_mistake() {
    let (workspace, bucket) = (built(), Bucket::default());
    let server = bucket.serve();
    let run = run_as(&workspace, &server.url(), &[], &["push", "out/small", AT]).exits(2);
    run.says(&["hint: encrypt them with `seal`", "`--include-secrets`", "operator/admin.kubeconfig\n"]);
    assert!(server.requests().is_empty());
}

#[test]
fn a_key_that_is_not_taken_is_not_told_to_anybody() {
    let (workspace, bucket) = filled();
    let server = bucket.serve();
    for arguments in [&["push", "out/small", AT, "--include-secrets"][..], &["pull", AT, "-o", "pulled"]] {
        let arguments = [arguments, &["--json"]].concat();
        let run = run_as(&workspace, &server.url(), &[("AWS_SECRET_ACCESS_KEY", "wrong")], &arguments).exits(1);
        let run = run.says(&["403", AT, "AWS_ACCESS_KEY_ID"]);
        assert_silent(&workspace, &run);
        let run = run_as(&workspace, &server.url(), &[("AWS_REGION", "eu-west-1")], &arguments).exits(1);
        assert_silent(&workspace, &run.says(&["403"]));
    }
    // A pull has an answer with a body, which says why.
    let wrong = [("AWS_SECRET_ACCESS_KEY", "wrong")];
    let run = run_as(&workspace, &server.url(), &wrong, &["pull", AT, "-o", "pulled"]).exits(1);
    assert_silent(&workspace, &run.says(&["403 Forbidden: SignatureDoesNotMatch"]));
    assert_nothing(&workspace);
}

/// What is kept names objects, and not what they were asked for with.
#[test]
fn no_message_and_no_file_has_a_signature_when_an_object_fails() {
    let (workspace, bucket) = filled();
    let path = largest(&bucket);
    let wanted = path.clone();
    let change = move |request: &Request, reply: Reply| {
        if request.path.contains(&wanted) { reply.cut(1000) } else { reply }
    };
    let run = pull_changed(&workspace, &bucket, change).exits(1);
    let run = run.says(&[&format!("{AT}/{path}: the connection broke after 1000 of "), "trying again", "hint: run"]);
    let sources = files(&workspace.path(".pulled.pulled/partial"));
    let source = sources.iter().find(|(name, _)| name.ends_with(".source")).unwrap();
    assert!(String::from_utf8_lossy(&source.1.1).contains(&format!("{AT}/{path}")));
    assert_silent(&workspace, &run);
    assert_nothing(&workspace);
    // The next run goes on from there.
    let server = bucket.serve();
    pull(&workspace, &server.url(), &[]).success();
    assert_same(&workspace);
    let asked: Vec<_> = server.requests().into_iter().filter(|request| request.path.contains(&path)).collect();
    assert_eq!(asked[0].headers["range"], "bytes=2000-");
}

#[test]
fn whoever_may_only_read_learns_it_before_much_is_sent() {
    let (workspace, bucket) = (Workspace::small(400_000), Bucket::default());
    workspace.build().success();
    let server = Server::start(move |request| match request.method.as_str() {
        "PUT" => error(403, "AccessDenied"),
        _ => bucket.reply(request),
    });
    push(&workspace, &server.url(), &[]).exits(1).says(&["could not push `pieces/", "403 Forbidden: AccessDenied"]);
    let sent: usize = server.requests().iter().map(|request| request.body.len()).sum();
    assert!(sent < 400_000, "{sent} bytes");
}

#[test]
fn a_whole_bucket_may_be_named() {
    let (workspace, bucket) = (built(), Bucket::default());
    let server = bucket.serve();
    let run = |arguments: &[&str]| run_as(&workspace, &server.url(), &[], arguments).success();
    run(&["push", "out/small", "s3://roc/", "--include-secrets"]);
    assert!(bucket.objects.lock().unwrap().contains_key("SHA256SUMS"));
    run(&["pull", "s3://roc", "-o", "pulled"]);
    assert_same(&workspace);
    run(&["push", "out/small", "s3://roc/a b+c&d/é", "--include-secrets"]);
    assert!(bucket.objects.lock().unwrap().contains_key("a b+c&d/é/SHA256SUMS"));
    run(&["pull", "s3://roc/a b+c&d/é", "-o", "pulled"]);
    assert_same(&workspace);
}

#[test]
fn keys_region_and_endpoint_are_found_where_all_tools_look() {
    let workspace = built();
    let bucket = Bucket { region: "eu-west-1", token: Some("a/token+="), ..Bucket::default() };
    let server = bucket.serve();
    let run = |variables: &[(&str, &str)]| {
        let mut command =
            workspace.command(&["push", "out/small", AT, "--include-secrets", "--retries", "0", "--timeout", "5"]);
        Run::from(command.envs(variables.iter().copied()).output().unwrap())
    };
    let at = [("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_ENDPOINT_URL_S3", &server.url())];
    let keys = [("AWS_ACCESS_KEY_ID", ID), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", "a/token+=")];
    run(&[&at[..], &keys, &[("AWS_DEFAULT_REGION", "eu-west-1")]].concat()).success();
    run(&[&at[..], &keys, &[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "x")]].concat()).success();
    run(&[&at[..], &keys[..2], &[("AWS_REGION", "eu-west-1")]].concat()).exits(1).says(&["403"]);
    workspace.write(
        ".aws/credentials",
        format!("[default]\naws_access_key_id = x\naws_secret_access_key = y\n\n[site]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\naws_session_token = a/token+=\n"),
    );
    let config = format!("[profile site]\nregion = eu-west-1\nendpoint_url = {}\n", server.url());
    workspace.write(".aws/config", config);
    run(&at).exits(1).says(&["403"]);
    run(&[("AWS_PROFILE", "site")]).success();
    let refused = run(&[("AWS_PROFILE", "other")]).exits(1).says(&["there is no profile `other`", "hint: set AWS_ACC"]);
    assert_silent(&workspace, &refused);
}

#[test]
fn what_everybody_may_read_needs_no_keys() {
    let (workspace, bucket) = filled();
    let server = Bucket { is_public: true, ..bucket.clone() }.serve();
    let mut command = workspace.command(&["pull", AT, "-o", "pulled"]);
    Run::from(command.env("AWS_ENDPOINT_URL", server.url()).output().unwrap()).success();
    assert_same(&workspace);
    assert!(server.requests().iter().all(|request| !request.path.contains("X-Amz")));
    let mut command = workspace.command(&["pull", "s3://roc/other", "-o", "other", "--retries", "0"]);
    let run = Run::from(command.env("AWS_ENDPOINT_URL", server.url()).output().unwrap()).exits(1);
    run.says(&["could not pull `SHA256SUMS` from s3://roc/other", "403", "hint: set AWS_ACCESS_KEY_ID"]);
}

#[test]
fn a_store_elsewhere_is_spoken_to_with_encryption_unless_somebody_allows_it() {
    let workspace = built();
    for arguments in [&["push", "out/small", AT, "--include-secrets"][..], &["pull", AT, "-o", "pulled"]] {
        let run = run_as(&workspace, "http://192.0.2.1:9000", &[], arguments).exits(2);
        run.says(&["`http://192.0.2.1:9000` is without encryption", "`--plain-http`"]);
    }
    let bucket = Bucket::default();
    push(&workspace, &bucket.serve().url().replace("127.0.0.1", "localhost"), &["--plain-http"]).success();
}

#[test]
fn wrong_bytes_are_found_out_and_nothing_of_them_is_kept() {
    let (workspace, bucket) = filled();
    let path = largest(&bucket);
    let wanted = path.clone();
    let change = move |request: &Request, reply: Reply| {
        if request.path.contains(&wanted) { Reply { body: vec![7; reply.body.len()], ..reply } } else { reply }
    };
    let run = pull_changed(&workspace, &bucket, change).exits(3);
    run.says(&[
        &path,
        "expected sha256:",
        "hint: the store serves wrong bytes; remove them, and push the bundle again",
    ]);
    assert_nothing(&workspace);
    assert!(!files(&workspace.path(".pulled.pulled/blobs")).is_empty(), "what was right is kept");
    pull_changed(&workspace, &bucket, |_, reply| reply).success();
    assert_same(&workspace);
}

#[test]
fn objects_that_are_gone_are_named_and_pushed_again_alone() {
    let (workspace, bucket) = filled();
    let path = largest(&bucket);
    bucket.objects.lock().unwrap().remove(&format!("{PREFIX}{path}"));
    let again = "hint: the store has lost them; push the bundle again";
    pull_changed(&workspace, &bucket, |_, reply| reply).exits(1).says(&[&path, "404", again]);
    assert_nothing(&workspace);
    // One that is not whole is no better.
    bucket.objects.lock().unwrap().insert(format!("{PREFIX}{path}"), b"half".to_vec());
    pull_changed(&workspace, &bucket, |_, reply| reply).exits(3).says(&[&path]);
    assert_nothing(&workspace);
    let server = bucket.serve();
    push(&workspace, &server.url(), &[]).success();
    let put = server.requests().into_iter().filter(|it| it.method == "PUT" && it.path.contains("/pieces/"));
    assert_eq!(put.filter(|request| request.path.contains(&path)).count(), 1);
    pull(&workspace, &server.url(), &[]).success();
    assert_same(&workspace);
    for name in ["manifest.json", "bundle.index"] {
        let removed = bucket.objects.lock().unwrap().remove(&format!("{PREFIX}{name}")).unwrap();
        pull_changed(&workspace, &bucket, |_, reply| reply).exits(3).says(&[&format!("{name}: missing")]);
        bucket.objects.lock().unwrap().insert(format!("{PREFIX}{name}"), removed);
    }
    let nothing = run_as(&workspace, &server.url(), &[], &["pull", "s3://roc/site/2", "-o", "other"]).exits(1);
    nothing.says(&["could not pull s3://roc/site/2: there is nothing of that name", "`aws s3 ls s3://roc/site/2/`"]);
    for arguments in [&["push", "out/small", "s3://cor/1", "--include-secrets"][..], &["pull", "s3://cor/1", "-o", "x"]]
    {
        run_as(&workspace, &server.url(), &[], arguments).exits(1).says(&["NoSuchBucket"]);
    }
}

/// Somebody pushes another bundle meanwhile, or has copied half of one.
#[test]
fn lists_of_two_bundles_are_refused() {
    let (workspace, bucket) = filled();
    let first = bucket.objects.lock().unwrap().clone();
    workspace.edit("cluster.toml", "[cluster]", "[cluster]\napiserver_sans = [\"another.example\"]");
    workspace.build().success();
    push(&workspace, &bucket.serve().url(), &[]).success();
    let second = bucket.objects.lock().unwrap().clone();
    for name in ["manifest.json", "bundle.index", "SHA256SUMS", "export.json"] {
        let mixed = Bucket::default();
        *mixed.objects.lock().unwrap() = first.clone().into_iter().chain(second.clone()).collect();
        let key = format!("{PREFIX}{name}");
        assert_ne!(first[&key], second[&key]);
        mixed.objects.lock().unwrap().insert(key.clone(), first[&key].clone());
        let run = pull(&workspace, &mixed.serve().url(), &[]).exits(3);
        run.says(&["it is not whole", "SHA256SUMS", "hint: push it again"]);
        assert_nothing(&workspace);
    }
    pull(&workspace, &bucket.serve().url(), &[]).success();
    assert_same(&workspace);
}

#[test]
fn a_broken_connection_is_tried_again_and_then_named() {
    let (workspace, bucket) = (built(), Bucket::default());
    let broken = Arc::new(AtomicUsize::new(0));
    let server = Server::start({
        let (bucket, broken) = (bucket.clone(), Arc::clone(&broken));
        move |request| {
            let is_first = request.method == "PUT" && broken.fetch_add(1, Ordering::SeqCst) == 0;
            // All of it arrived, and nobody knows.
            let reply = bucket.reply(request);
            if is_first { Reply { hang_up: true, ..reply } } else { reply }
        }
    });
    let run = push(&workspace, &server.url(), &[]).success().says(&["trying again in 1 s", &format!("{AT}/pieces/")]);
    assert_silent(&workspace, &run);
    let written = bucket.written.lock().unwrap().clone();
    assert_eq!(written.iter().collect::<BTreeSet<_>>().len(), written.len(), "what had arrived was sent again");
    let dead = format!("http://{}", crate::server::dead_address());
    let run = push(&workspace, &dead, &[]).exits(1);
    assert_silent(
        &workspace,
        &run.says(&["could not push `pieces/", "run the same command again: what the store has"]),
    );
    let busy = Server::start(|_| error(503, "SlowDown"));
    pull(&workspace, &busy.url(), &[]).exits(1).says(&["503 Service Unavailable: SlowDown (attempts: 2)"]);
}

#[test]
fn a_damaged_bundle_is_not_pushed() {
    let (workspace, bucket) = (built(), Bucket::default());
    let mut bytes = workspace.read(Workspace::ARCHIVE);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    workspace.write(Workspace::ARCHIVE, &bytes);
    let run = push(&workspace, &bucket.serve().url(), &[]).exits(3);
    run.says(&["pieces/", "it has other bytes than its digest says", "kube-bundle verify out/small"]);
    assert!(!bucket.objects.lock().unwrap().contains_key("site/1/SHA256SUMS"));
    for (key, bytes) in bucket.objects.lock().unwrap().iter() {
        assert!(key.ends_with(&digest(bytes)), "{key}");
    }
}

/// Two people push at the same time; and some stores don't know the condition that keeps them apart.
#[test]
fn what_somebody_else_has_put_meanwhile_is_not_replaced() {
    let (workspace, bucket) = (built(), Bucket::default());
    let server = Server::start({
        let bucket = bucket.clone();
        // All that is asked for is not there yet, and is there when it arrives.
        move |request| match request.method.as_str() {
            "HEAD" => error(404, "NoSuchKey"),
            "PUT" if request.path.contains("/pieces/") => {
                bucket.reply(request);
                bucket.reply(request)
            }
            _ => bucket.reply(request),
        }
    });
    let pushed = json(&push(&workspace, &server.url(), &[]).success());
    let lists = bucket.objects.lock().unwrap().keys().filter(|key| !key.contains("/pieces/")).count();
    assert_eq!(pushed["sent"], lists, "all others were there");
    let simple = Bucket::default();
    let server = Server::start({
        let simple = simple.clone();
        move |request| match request.headers.get("if-none-match") {
            Some(_) => error(501, "NotImplemented"),
            None => simple.reply(request),
        }
    });
    push(&workspace, &server.url(), &[]).success();
    pull(&workspace, &server.url(), &[]).success();
    assert_same(&workspace);
}

/// S3 answers one of two conditional requests for the same name with 409 while it works on the other.
#[test]
fn a_conflict_with_somebody_who_pushes_the_same_is_tried_again() {
    let (workspace, bucket) = (built(), Bucket::default());
    let (shared, met) = (bucket.clone(), Mutex::new(BTreeSet::new()));
    let server = Server::start(move |request| {
        let (name, mut met) = (request.path.split('?').next().unwrap().to_owned(), met.lock().unwrap());
        let is_met = request.headers.contains_key("if-none-match") && met.len() < 2 && met.insert(name);
        if is_met { error(409, "ConditionalRequestConflict") } else { shared.reply(request) }
    });
    push(&workspace, &server.url(), &[]).success();
    pull(&workspace, &bucket.serve().url(), &[]).success();
    assert_same(&workspace);
}

#[test]
fn a_bucket_in_another_region_is_said_to_be_there() {
    let workspace = built();
    let elsewhere = Server::start(|_| panic!("what is signed is for one server"));
    let to = elsewhere.url();
    let server = Server::start(move |_| {
        let reply = error(301, "PermanentRedirect").header("x-amz-bucket-region", "eu-west-1");
        reply.header("Location", &format!("{to}/roc/site/1/SHA256SUMS"))
    });
    let run = pull(&workspace, &server.url(), &[]).exits(1);
    run.says(&["301 Moved Permanently; the bucket is in the region `eu-west-1`: PermanentRedirect"]);
    push(&workspace, &server.url(), &[]).exits(1).says(&["the bucket is in the region `eu-west-1`"]);
    assert!(elsewhere.requests().is_empty());
}

/// A bundle with one object of more than 64 MiB.
fn with_large_object() -> Workspace {
    let workspace = Workspace::small(3000);
    let (small, large) = (program("kubectl", 3000), program("kubectl", 70 << 20));
    workspace.write("files/kubectl", &large);
    workspace.edit("recipe/recipe.toml", &component("kubectl", "", &small), &component("kubectl", "", &large));
    workspace.build().success();
    workspace
}

#[test]
fn large_objects_are_sent_in_parts_and_what_fails_is_given_up() {
    let (workspace, bucket) = (with_large_object(), Bucket::default());
    // What is asked has a signature, which is another one after a second; so tries are counted here.
    let pushed = |change: fn(&Request, Reply, usize) -> Reply| {
        let (shared, tries) = (bucket.clone(), Mutex::new(BTreeMap::<String, usize>::new()));
        let server = Server::start(move |request| {
            let (asked, _) = request.path.split_once("X-Amz-").unwrap();
            let (_, number) = request.path.split_once("partNumber=").unwrap_or_default();
            let is_of_upload = request.path.contains("uploadId=");
            let number = number.split('&').next().unwrap();
            let asked = format!("{} {asked} {is_of_upload} {number}", request.method);
            let before = std::mem::replace(tries.lock().unwrap().entry(asked).or_default(), 1);
            change(request, shared.reply(request), before)
        });
        let run = push(&workspace, &server.url(), &[]);
        assert!(bucket.uploads.lock().unwrap().is_empty(), "parts stay, and somebody pays for them");
        (run, server)
    };
    let is_part = |request: &Request, number: &str| request.path.contains(&format!("&partNumber={number}&"));
    let has_it = || bucket.objects.lock().unwrap().values().any(|object| object.len() > 64 << 20);

    let (run, _) =
        pushed(|request, reply, _| if request.path.contains("partNumber=3&") { error(500, "x") } else { reply });
    run.exits(1).says(&["could not push `pieces/", "500", "what the store has is not sent again"]);
    assert!(!has_it());
    let (run, server) = pushed(|request, reply, before| {
        let is_broken = request.path.contains("partNumber=3&") && before == 0;
        if is_broken { Reply { hang_up: true, ..reply } } else { reply }
    });
    assert_silent(&workspace, &run.success());
    assert!(has_it());
    let sent = |number| server.requests().iter().filter(|request| is_part(request, number)).count();
    assert_eq!(["1", "2", "3", "4", "5", "6"].map(sent), [1, 1, 2, 1, 1, 0], "a part that failed is sent again alone");
    pull(&workspace, &server.url(), &[]).success();
    assert_same(&workspace);

    // An error may come after the status that says that all is well.
    bucket.objects.lock().unwrap().clear();
    let (run, _) = pushed(|_, reply, before| {
        let is_first = before == 0 && reply.body.starts_with(b"<CompleteMultipartUploadResult");
        if is_first { Reply::new(200, &error(500, "InternalError").body) } else { reply }
    });
    run.success().says(&["the server did not put the parts together; trying again"]);
    assert!(has_it());
    bucket.objects.lock().unwrap().clear();
    let mut bytes = workspace.read("out/small/operator/kubectl");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    workspace.write("out/small/operator/kubectl", &bytes);
    let mut bytes = workspace.read(Workspace::ARCHIVE);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    workspace.write(Workspace::ARCHIVE, &bytes);
    pushed(|_, reply, _| reply).0.exits(3).says(&["it has other bytes than its digest says"]);
    assert!(!has_it());
}

#[test]
fn what_can_be_no_name_of_a_bundle_is_refused_before_anything_is_sent() {
    let workspace = built();
    let server = Bucket::default().serve();
    for (name, says) in [
        ("s3://roc/../x", "not the path of a directory"),
        ("s3://me:secret@roc/x", "not the name of a bucket"),
        ("s3:roc", "expected `oci://HOST/REPOSITORY:TAG`, `s3://BUCKET/PREFIX`"),
    ] {
        run_as(&workspace, &server.url(), &[], &["push", "out/small", name]).exits(2).says(&[says]);
        run_as(&workspace, &server.url(), &[], &["pull", name, "-o", "pulled"]).exits(2).says(&[says]);
    }
    for more in [&["--whole-files"][..], &["--mount-from", "site/roc"]] {
        push(&workspace, &server.url(), more).exits(2).says(&["are for registries"]);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_push_killed_again_and_again_sends_little_twice_and_ends_in_the_right_bundle() {
    let workspace = Workspace::small(400_000);
    workspace.run(&["build", "--offline", "--from", "files", "-q", "--format", "tarball,deb"]).success();
    let bucket = Bucket::default();
    let server = bucket.serve();
    let (proxied, sent) = proxy(&server.url());
    workspace.run(&["export", "out/small", "exported", "-q"]).success();
    let sizes = sizes(&workspace.path("exported"));
    let (all, largest) = (sizes.iter().sum::<usize>(), *sizes.iter().max().unwrap());
    let mut kills = 0;
    for round in 0..20 {
        let mut command = workspace.command(&["push", "out/small", AT, "--include-secrets", "-q"]);
        command.env("AWS_ENDPOINT_URL", &proxied).env("AWS_ACCESS_KEY_ID", ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let before = sent.load(Ordering::SeqCst);
        // A moment that no clock has a say in: after so many bytes.
        let until = before + (round * 7919 * 31) % (largest / 2);
        while sent.load(Ordering::SeqCst) <= until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        kills += usize::from(!child.wait().unwrap().success());
        // Nobody takes what is half there for a bundle; a kill may have come when all was there.
        if round % 5 == 0 && pull(&workspace, &server.url(), &["-q"]).code == Some(0) {
            assert_same(&workspace);
            std::fs::remove_dir_all(workspace.path("pulled")).unwrap();
        } else {
            assert_nothing(&workspace);
        }
    }
    assert!(kills > 2, "no kill came in time");
    push(&workspace, &proxied, &[]).success();
    pull(&workspace, &server.url(), &[]).success();
    assert_same(&workspace);
    // Lists are sent by each run that comes so far. Questions and headers: some hundred bytes for each file and run.
    let lists: usize =
        bucket.objects.lock().unwrap().iter().filter(|it| !it.0.contains("/pieces/")).map(|it| it.1.len()).sum();
    let headers = (kills + 1) * (sizes.len() + 25) * 2 * 700;
    let total = sent.load(Ordering::SeqCst);
    assert!(
        total <= all + kills * (largest + lists) + headers,
        "{total} bytes were sent of {all}, with {kills} kills and objects up to {largest}"
    );
}

#[test]
fn a_pull_killed_again_and_again_goes_on_where_it_was() {
    let workspace = Workspace::small(400_000);
    workspace.build().success();
    let bucket = Bucket::default();
    push(&workspace, &bucket.serve().url(), &[]).success();
    let server = Server::start(move |request| Reply { drip: Some(10_000), ..bucket.reply(request) });
    kill_again_and_again(&workspace, || {
        let mut command = workspace.command(&["pull", AT, "-o", "pulled", "-q"]);
        command.env("AWS_ENDPOINT_URL", server.url()).env("AWS_ACCESS_KEY_ID", ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    });
    pull(&workspace, &server.url(), &[]).success();
    assert_same(&workspace);
    assert!(server.requests().iter().any(|request| request.headers.contains_key("range")), "nothing was resumed");
}

/// A store that somebody else has written, with the bucket `roc`.
struct Running {
    process: Child,
    url: String,
}

impl Running {
    fn start(program: &str, arguments: impl Fn(&str) -> Vec<String>) -> Self {
        let at = crate::server::dead_address();
        let mut command = Command::new(program);
        command.args(arguments(&at.port().to_string())).stdout(Stdio::null()).stderr(Stdio::null());
        let running = Self { process: command.spawn().unwrap(), url: format!("http://{at}") };
        for _ in 0..600 {
            if TcpStream::connect(at).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }

    /// Runs Amazon's own program.
    fn aws(&self, arguments: &[&str]) {
        let mut command = Command::new("aws");
        command.arg("s3").args(arguments).env("AWS_ENDPOINT_URL", &self.url).env("AWS_REGION", "us-east-1");
        let output = command.env("AWS_ACCESS_KEY_ID", ID).env("AWS_SECRET_ACCESS_KEY", SECRET).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

/// Pushes twice, and pulls. What `copy` gets of the store is a thin copy.
fn comes_back(running: &Running, workspace: &Workspace, keys: [&str; 2], copy: impl Fn()) {
    let keys = [("AWS_ACCESS_KEY_ID", keys[0]), ("AWS_SECRET_ACCESS_KEY", keys[1])];
    let push = ["push", "out/small", AT, "--include-secrets", "--json"];
    let pushed = json(&run_as(workspace, &running.url, &keys, &push).success());
    assert_eq!(pushed["sent"], pushed["blobs"]);
    run_as(workspace, &running.url, &keys, &["pull", AT, "-o", "pulled", "--trust", "trust"]).success();
    assert_same(workspace);
    let again = json(&run_as(workspace, &running.url, &keys, &push).success());
    assert!(again["sent"].as_u64().unwrap() < pushed["sent"].as_u64().unwrap() / 2, "{again}");
    copy();
    let check = "sha256sum --quiet --strict -c pieces.SHA256SUMS && sha256sum --quiet --ignore-missing -c SHA256SUMS";
    tool("sh", &["-c", &format!("cd {} && {check}", workspace.path("copy").display())]);
    std::fs::remove_dir_all(workspace.path("pulled")).unwrap();
    workspace.run(&["import", "copy", "-o", "pulled", "--trust", "trust"]).success();
    assert_same(workspace);
    let nothing = run_as(workspace, &running.url, &keys, &["pull", "s3://roc/site/2", "-o", "other"]).exits(1);
    nothing.says(&["there is nothing of that name"]);
}

#[test]
fn what_amazons_program_copies_from_moto_is_a_thin_copy_and_what_it_copies_there_is_pulled() {
    if !has_all(&["moto_server", "aws", "sha256sum", "ssh-keygen"]) {
        return;
    }
    let workspace = signed(3000);
    let moto = Running::start("moto_server", |port| ["-H", "127.0.0.1", "-p", port].map(str::to_owned).to_vec());
    moto.aws(&["mb", "s3://roc"]);
    let copy = workspace.path("copy").display().to_string();
    comes_back(&moto, &workspace, [ID, SECRET], || {
        moto.aws(&["cp", "--recursive", "--quiet", AT, &copy]);
    });
    moto.aws(&["cp", "--recursive", "--quiet", &workspace.path("out/small").display().to_string(), "s3://roc/whole"]);
    moto.aws(&["cp", "--recursive", "--quiet", &copy, "s3://roc/thin"]);
    for from in ["s3://roc/whole", "s3://roc/thin"] {
        run_as(&workspace, &moto.url, &[], &["pull", from, "-o", "pulled", "--trust", "trust"]).success();
        assert_same(&workspace);
        std::fs::remove_dir_all(workspace.path("pulled")).unwrap();
    }
}

#[test]
fn a_bundle_comes_back_from_s3rver() {
    if !has_all(&["s3rver", "sha256sum", "ssh-keygen"]) {
        return;
    }
    let workspace = signed(3000);
    let directory = workspace.path("store").display().to_string();
    std::fs::create_dir(&directory).unwrap();
    let s3rver = Running::start("s3rver", |port| {
        let arguments = ["-d", &directory, "-a", "127.0.0.1", "-p", port, "--configure-bucket", "roc"];
        arguments.map(str::to_owned).to_vec()
    });
    comes_back(&s3rver, &workspace, ["S3RVER", "S3RVER"], || {
        for (name, (_, bytes)) in files(&workspace.path(&format!("store/roc/{PREFIX}"))) {
            if let Some(name) = name.strip_suffix("._S3rver_object") {
                workspace.write(&format!("copy/{name}"), bytes);
            }
        }
    });
    let wrong = [("AWS_ACCESS_KEY_ID", "nobody")];
    let run = run_as(&workspace, &s3rver.url, &wrong, &["pull", AT, "-o", "other"]).exits(1);
    run.says(&["403 Forbidden: InvalidAccessKeyId", "hint: set AWS_ACCESS_KEY_ID"]);
}
