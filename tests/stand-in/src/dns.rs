//! Takes the place of the cluster's DNS server: answers for Services of the cluster that it asks the API server for, over UDP, and says that
//! no other name exists. It reads the recipe's Corefile, and no more of it than it needs.

use std::net::{IpAddr, UdpSocket};

use crate::kubeconfig::Kubeconfig;
use crate::tls;

const TYPE_A: u16 = 1;

pub(crate) fn serve(corefile: &str) -> Result<(), String> {
    let word = |key: &str, at: usize| {
        let line = corefile.lines().map(str::trim).find(|line| line.starts_with(&format!("{key} ")));
        line.and_then(|line| line.split(' ').nth(at)).ok_or_else(|| format!("the Corefile has no `{key}`"))
    };
    let (address, domain) = (word("bind", 1)?, word("kubernetes", 1)?);
    let path = word("kubeconfig", 1)?;
    let text = std::fs::read_to_string(path).map_err(|why| format!("open {path}: {why}"))?;
    let kubeconfig = Kubeconfig::parse(&text)?;
    let socket = UdpSocket::bind((address, 53)).map_err(|why| format!("listen on {address}:53: {why}"))?;
    let mut buffer = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).map_err(|why| why.to_string())?;
        if let Some(answer) = answer(&buffer[..length], &kubeconfig, domain) {
            // Whoever asked will ask again.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The answer to a query (RFC 1035, 4); `None` for anything but a query with one question.
fn answer(query: &[u8], kubeconfig: &Kubeconfig, domain: &str) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let question = query.get(12..at + 4)?;
    let address = match (labels.join("."), &labels[..]) {
        (name, [service, namespace, ..]) if name.ends_with(&format!(".svc.{domain}")) => {
            cluster_ip(kubeconfig, namespace, service)
        }
        _ => None,
    };
    let record = address.filter(|_| kind == TYPE_A);
    // A response that is authoritative; 3 says that the name does not exist.
    let code = if address.is_some() { 0 } else { 3 };
    let mut bytes =
        [&query[..2], &[0x85, 0x80 | code, 0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0], question].concat();
    if let Some(IpAddr::V4(address)) = record {
        // The name of the question, class IN, 30 seconds, four bytes.
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]);
        bytes.extend(address.octets());
    }
    Some(bytes)
}

fn cluster_ip(kubeconfig: &Kubeconfig, namespace: &str, service: &str) -> Option<IpAddr> {
    let (status, text) = tls::get(kubeconfig, "/api/v1/services").ok()?;
    let list: serde_json::Value = serde_json::from_str(&text).ok().filter(|_| status == 200)?;
    let items = list["items"].as_array()?;
    let is_wanted =
        |item: &&serde_json::Value| item["metadata"]["name"] == service && item["metadata"]["namespace"] == namespace;
    items.iter().find(is_wanted)?["spec"]["clusterIP"].as_str()?.parse().ok()
}
