//! What a server wants to know of who asks: nothing, a password, or a token that another server gives.

use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::super::Fault;
use super::super::challenge::{Challenge, TokenServer};
use super::super::credentials::Credential;
use super::{Connected, TransferError, refusal, text};

/// Limit in bytes for the answer of a server that gives tokens.
const LONGEST_TOKEN: u64 = 64 << 10;

/// What proves who asks.
#[derive(Clone)]
pub(in crate::fetch) enum Authorization {
    Password(Credential),
    Token(String),
}

impl Authorization {
    pub(super) fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Password(credential) => request.basic_auth(&credential.user, Some(credential.password())),
            Self::Token(token) => request.bearer_auth(token),
        }
    }
}

/// What one registry knows of a user, and accepted last.
pub(super) struct Account {
    url: String,
    credential: Option<Credential>,
    proof: Mutex<Option<Authorization>>,
}

impl Account {
    pub(super) fn new(url: &str, credential: Option<Credential>) -> Self {
        Self { url: url.to_owned(), credential, proof: Mutex::default() }
    }

    /// Whether that is the same server: scheme, host and port.
    fn is_at(&self, url: &str) -> bool {
        let origin = |url| Url::parse(url).map(|url| url.origin()).ok();
        origin(url).is_some_and(|there| Some(there) == origin(&self.url))
    }

    fn proof(&self) -> MutexGuard<'_, Option<Authorization>> {
        self.proof.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(why: &str) -> TransferError {
    TransferError::Permanent(Fault::Denied(format!("the server {why}")))
}

/// Sends a request with a proof, if there is one.
type Send<'a> = &'a dyn Fn(Option<&Authorization>) -> Result<Response, TransferError>;

impl Connected<'_> {
    /// Sends a request to `url`, and again with what the server asks for. What a registry with an account accepted is sent
    /// along with all further requests.
    pub(super) fn authorized(&self, url: &str, send: Send<'_>) -> Result<Response, TransferError> {
        let account = self.account.filter(|account| account.is_at(url));
        let known = account.and_then(|account| account.proof().clone());
        let response = send(known.as_ref())?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        // A server that the registry redirects to is not told what is for the registry.
        let account = account.filter(|account| account.is_at(response.url().as_str()));
        let credential = account.and_then(|account| account.credential.as_ref());
        let header = text(response.headers(), &WWW_AUTHENTICATE);
        let (response, proof) = match Challenge::parse(header.as_deref(), url).map_err(|why| refused(&why))? {
            Challenge::Password(scheme) => {
                let credential = credential.filter(|_| scheme.eq_ignore_ascii_case("basic"));
                let credential = credential.ok_or_else(|| refused(&format!("wants a password ({scheme})")))?;
                let proof = Authorization::Password(credential.clone());
                let response = send(Some(&proof))?;
                if response.status() == StatusCode::UNAUTHORIZED {
                    return Err(refused(&format!(
                        "does not take the password that `{}` has for it",
                        credential.origin
                    )));
                }
                (response, proof)
            }
            Challenge::Token(server) => self.with_token(server, credential, send)?,
        };
        if let Some(account) = account {
            *account.proof() = Some(proof);
        }
        Ok(response)
    }

    fn with_token(
        &self,
        server: TokenServer,
        credential: Option<&Credential>,
        send: Send<'_>,
    ) -> Result<(Response, Authorization), TransferError> {
        let tokens = || self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tokens().get(&server).cloned();
        if let Some(token) = known {
            let proof = Authorization::Token(token);
            let response = send(Some(&proof))?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok((response, proof));
            }
        }
        let token = self.token(&server, credential)?;
        let proof = Authorization::Token(token.clone());
        let response = send(Some(&proof))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(refused(&format!("refuses the token that `{}` gave for it", server.realm())));
        }
        tokens().insert(server, token);
        Ok((response, proof))
    }

    fn token(&self, server: &TokenServer, credential: Option<&Credential>) -> Result<String, TransferError> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let realm = server.realm();
        let failed = |why: String| TransferError::Permanent(Fault::Unreachable(why));
        let url = Url::parse_with_params(realm, server.query())
            .map_err(|_| failed(format!("`{realm}`, where tokens should be, is no URL")))?;
        let mut request = self.client.get(url);
        if let Some(credential) = credential {
            request = Authorization::Password(credential.clone()).add_to(request);
        }
        let response = request.send().map_err(|why| self.unanswered(why))?;
        if !response.status().is_success() {
            let why = match refusal(response.status(), response.headers()) {
                TransferError::Permanent(Fault::Denied(why) | Fault::Absent(why) | Fault::Unreachable(why)) => why,
                transient => return Err(transient),
            };
            return Err(TransferError::Permanent(Fault::Denied(format!("`{realm}` gives no token: {why}"))));
        }
        let malformed = || failed(format!("`{realm}` gives no token"));
        let mut bytes = Vec::new();
        response.take(LONGEST_TOKEN).read_to_end(&mut bytes).map_err(|_| malformed())?;
        let answer: Token = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
        answer.token.or(answer.access_token).filter(|token| !token.is_empty()).ok_or_else(malformed)
    }
}
