//! Private keys of the kinds that a cluster can have: made, read in every form that people keep them in, and written in
//! one.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RsaKeySize};
use zeroize::Zeroizing;

use super::pem;
use crate::secret::Secret;
use crate::spec::KeyAlgorithm;

/// A private key, wiped on drop.
pub(super) struct Key(Zeroizing<KeyPair>);

impl Key {
    pub(super) fn generate(algorithm: KeyAlgorithm) -> Result<Self, String> {
        let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size);
        let key = match algorithm {
            KeyAlgorithm::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyAlgorithm::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyAlgorithm::Rsa4096 => rsa(RsaKeySize::_4096),
            KeyAlgorithm::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        };
        key.map(|key| Self(Zeroizing::new(key))).map_err(|why| why.to_string())
    }

    /// PKCS#8, PKCS#1 or SEC1.
    pub(super) fn from_pem(bytes: &Secret) -> Result<Self, String> {
        let text = bytes.expose_text().map_err(|_| "it is no PEM".to_owned())?;
        // `openssl ecparam -genkey` puts the curve's parameters before the key.
        let key =
            *pem::blocks(text, "PRIVATE KEY").first().ok_or_else(|| "there is no private key in it".to_owned())?;
        // `from_pem` tries every curve first, and has an RSA key checked by each of them.
        KeyPair::from_pem_and_sign_algo(key, &PKCS_RSA_SHA256)
            .or_else(|_| KeyPair::from_pem(key))
            .map(|key| Self(Zeroizing::new(key)))
            .map_err(|_| "it is no private key that can be used here".to_owned())
    }

    /// PKCS#8, which every reader of v1.16 takes for a private key.
    pub(super) fn pem(&self) -> Secret {
        Secret::new(self.0.serialize_pem())
    }

    /// PKIX `PUBLIC KEY`.
    pub(super) fn public_pem(&self) -> String {
        self.0.public_key_pem()
    }

    /// For rcgen, which signs with it.
    pub(super) fn pair(&self) -> &KeyPair {
        &self.0
    }

    /// The public half as it stands in a certificate (the bits of `subjectPublicKey`).
    pub(super) fn public_bits(&self) -> &[u8] {
        self.0.public_key_raw()
    }

    /// Whether every part of Kubernetes v1.16 reads such a key (Go 1.12 has no Ed25519).
    pub(super) fn is_known_to_v1_16(&self) -> bool {
        [&PKCS_RSA_SHA256, &PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384].contains(&self.0.algorithm())
    }

    /// The kind, if it is one that the spec can ask for.
    pub(super) fn algorithm(&self) -> Option<KeyAlgorithm> {
        if self.0.algorithm() == &PKCS_ECDSA_P256_SHA256 {
            return Some(KeyAlgorithm::EcdsaP256);
        }
        // RSAPublicKey is a SEQUENCE of modulus and a short exponent: its length tells the modulus apart.
        match self.public_bits().len() {
            _ if self.0.algorithm() != &PKCS_RSA_SHA256 => None,
            260..=300 => Some(KeyAlgorithm::Rsa2048),
            390..=430 => Some(KeyAlgorithm::Rsa3072),
            515..=560 => Some(KeyAlgorithm::Rsa4096),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::CertificateParams;

    use super::super::info::CertificateInfo;
    use super::*;

    #[test]
    fn a_key_with_a_changed_bit_never_signs_what_its_public_half_refuses() {
        let whole = Key::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let der = whole.0.serialize_der();
        let mut refused = 0;
        for bit in 0..der.len() * 8 {
            let mut damaged = der.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let pem =
                format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&damaged));
            match Key::from_pem(&Secret::new(pem)) {
                Err(_) => refused += 1,
                Ok(key) if key.public_bits() != whole.public_bits() => {}
                Ok(key) => {
                    let params = CertificateParams::default().self_signed(key.pair()).unwrap();
                    let info = CertificateInfo::from_pem(&params.pem()).unwrap();
                    assert!(info.has_own_signature(), "byte {} of {}", bit / 8, der.len());
                }
            }
        }
        // The secret number alone is 256 bits, and its public point another 512.
        assert!(refused >= 700, "{refused} of {}", der.len() * 8);
    }
}
