//! Kubeconfigs as structs, in the form `kubectl config --embed-certs` writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::pki::token::BootstrapToken;
use crate::plan::files::KubeconfigPlan;
use crate::recipe::layout::Credential;
use crate::secret::Secret;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'static str,
    clusters: Vec<Named<'a, Cluster<'a>>>,
    users: [Named<'a, User>; 1],
    contexts: Vec<Named<'a, Context<'a>>>,
    current_context: &'a str,
}

/// `cluster`, `user` and `context` lists all hold a name and one other key.
#[derive(Serialize)]
struct Named<'a, T> {
    name: &'a str,
    #[serde(flatten)]
    entry: T,
}

#[derive(Serialize)]
struct Cluster<'a> {
    cluster: ClusterEntry<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterEntry<'a> {
    certificate_authority_data: String,
    server: &'a str,
}

#[derive(Serialize)]
struct User {
    user: UserEntry,
}

#[derive(Serialize)]
#[serde(untagged)]
enum UserEntry {
    #[serde(rename_all = "kebab-case")]
    Certificate {
        client_certificate_data: String,
        client_key_data: Zeroizing<String>,
    },
    Token {
        token: Zeroizing<String>,
    },
}

#[derive(Serialize)]
struct Context<'a> {
    context: ContextEntry<'a>,
}

#[derive(Serialize)]
struct ContextEntry<'a> {
    cluster: &'a str,
    user: &'a str,
}

/// The file's bytes; `pair` finds certificate and key by ID.
pub(super) fn render<'p>(
    plan: &KubeconfigPlan,
    ca: &str,
    pair: impl Fn(&str) -> Option<(&'p str, Secret)>,
    token: &BootstrapToken,
) -> Result<Vec<u8>, String> {
    let user = match &plan.credential {
        Credential::Certificate(id) => {
            let (certificate, key) = pair(id).ok_or_else(|| format!("certificate and key `{id}`"))?;
            UserEntry::Certificate {
                client_certificate_data: STANDARD.encode(certificate),
                client_key_data: Zeroizing::new(STANDARD.encode(key.expose())),
            }
        }
        Credential::BootstrapToken => UserEntry::Token { token: token.text() },
    };
    let ca = STANDARD.encode(ca);
    let cluster = |name, server| {
        let cluster = ClusterEntry { certificate_authority_data: ca.clone(), server };
        Named { name, entry: Cluster { cluster } }
    };
    let context =
        |name, cluster| Named { name, entry: Context { context: ContextEntry { cluster, user: &plan.user } } };
    let masters = || plan.masters.iter().map(|(name, server)| (name.as_str(), server.as_str()));
    super::manifests::yaml(&Kubeconfig {
        api_version: "v1",
        kind: "Config",
        clusters: std::iter::once((plan.cluster.as_str(), plan.server.as_str()))
            .chain(masters())
            .map(|(name, server)| cluster(name, server))
            .collect(),
        users: [Named { name: &plan.user, entry: User { user } }],
        contexts: std::iter::once((plan.context.as_str(), plan.cluster.as_str()))
            .chain(masters().map(|(name, _)| (name, name)))
            .map(|(name, cluster)| context(name, cluster))
            .collect(),
        current_context: &plan.context,
    })
}
