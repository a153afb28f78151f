//! What a registry asks for before it serves or takes an image: a password (`WWW-Authenticate: Basic`, RFC 7617), or a token
//! of another server (`Bearer`, RFC 6750 and the token specification of the distribution project). Registries give tokens
//! for public images to everybody.

/// What a server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A name and a password, by the scheme of this name.
    Password(String),
    Token(TokenServer),
}

/// Where to get a token, and for what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TokenServer {
    realm: String,
    service: Option<String>,
    scope: Option<String>,
}

impl Challenge {
    /// Reads the header of an answer to `url`.
    ///
    /// # Errors
    /// Why there can be no token, in words that complete "the server ".
    pub(super) fn parse(header: Option<&str>, url: &str) -> Result<Self, String> {
        let header = header.ok_or("wants a password, and does not say for what")?;
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Password(scheme.to_owned()));
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        for (key, value) in parameters(rest) {
            match key.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                "scope" => scope = Some(value),
                _ => {}
            }
        }
        let realm: String = realm.ok_or("wants a token, and does not say where to get one (no `realm`)")?;
        if url.starts_with("https://") && !realm.starts_with("https://") {
            return Err(format!("wants a token from `{realm}`, which is not https"));
        }
        Ok(Self::Token(TokenServer { realm, service, scope }))
    }
}

impl TokenServer {
    pub(super) fn realm(&self) -> &str {
        &self.realm
    }

    /// The query of the request for a token.
    pub(super) fn query(&self) -> Vec<(&'static str, &str)> {
        let service = self.service.as_deref().map(|service| ("service", service));
        let scope = self.scope.as_deref().map(|scope| ("scope", scope));
        service.into_iter().chain(scope).collect()
    }
}

/// `key="value", key=value`: a comma between quotes belongs to the value.
fn parameters(mut text: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    while let Some((key, rest)) = text.split_once('=') {
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        found.push((key.trim_matches([' ', ',']), value.to_owned()));
        text = rest;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_where_to_get_a_token_and_for_what() {
        let header = r#"Bearer realm="https://auth.example/token",service="a,b",scope="repository:x/y:pull""#;
        let parse = |header: &str| Challenge::parse(Some(header), "https://r.example/v2/x");
        let Ok(Challenge::Token(server)) = parse(header) else { panic!("no token is wanted") };
        assert_eq!(server.realm(), "https://auth.example/token");
        assert_eq!(server.query(), [("service", "a,b"), ("scope", "repository:x/y:pull")]);
        assert_eq!(parse("Basic realm=\"a\""), Ok(Challenge::Password("Basic".to_owned())));
        let refused = |header: &str| parse(header).expect_err("no challenge");
        assert!(refused("Bearer service=\"a\"").contains("no `realm`"));
        assert!(refused("Bearer realm=\"http://a/\"").contains("not https"));
        assert!(refused("Bearer").contains("no `realm`"));
    }
}
