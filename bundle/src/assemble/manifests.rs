//! Kubernetes objects and configurations that hold a secret.

use serde::Serialize;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use crate::pki::token::BootstrapToken;
use crate::secret::Secret;

/// One YAML document. Kubernetes reads JSON as YAML too; people prefer this.
pub(super) fn yaml(value: &impl Serialize) -> Result<Vec<u8>, String> {
    let text = serde_saphyr::to_string(value).map_err(|why| format!("values that YAML can hold ({why})"))?;
    Ok(text.into_bytes())
}

/// The Secret a bootstrap token is (its name and its type are fixed by the authenticator). Signing of
/// `cluster-info` is not allowed to it: nothing here runs the bootstrapsigner.
pub(super) fn bootstrap_token(token: &BootstrapToken) -> Result<Vec<u8>, String> {
    let expiration = token.expiration.format(&Rfc3339).map_err(|why| format!("a date ({why})"))?;
    yaml(&json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": format!("bootstrap-token-{}", token.id), "namespace": "kube-system" },
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "description": "Lets kubelets ask for their first certificate",
            "token-id": token.id,
            "token-secret": *token.secret,
            "expiration": expiration,
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "false",
        },
    }))
}

/// Encryption at rest: secrets are written with `aescbc`, and still read if they were written before it.
pub(super) fn encryption_config(key: &Secret) -> Result<Vec<u8>, String> {
    let key = key.expose_text().map_err(|_| "an encryption key in base64".to_owned())?;
    yaml(&json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{
            "resources": ["secrets"],
            "providers": [
                { "aescbc": { "keys": [{ "name": "key1", "secret": key }] } },
                { "identity": {} },
            ],
        }],
    }))
}
