//! Edge: one visit at one repository: with at most one credential, to the registry itself alone, of bounded length.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::challenge::Challenge;
use super::client::Registry;
use super::reach::registry_address;
use super::{Credential, RegistryProblem, Shown};
use crate::model::{Digest, ImageRef};
use crate::remote::{Address, Answer, Question, RemoteProblem};

/// One visit: what proves who asks is fetched once, and forgotten with it.
pub(super) struct Visit<'a> {
    registry: &'a Registry,
    credential: Option<&'a Credential>,
    host: String,
    repository: String,
    address: Address,
    proof: Option<HeaderValue>,
    /// How many bytes may be read and kept, if that is bounded.
    budget: Option<Budget>,
}

/// How many bytes a visit may keep of all that it reads.
#[derive(Clone, Copy)]
struct Budget {
    whole: usize,
    left: usize,
}

/// What is asked for.
pub(super) struct Wanted<'a> {
    /// As people name it.
    pub(super) what: String,
    /// Below the repository.
    pub(super) path: &'a [&'a str],
    /// Its media types.
    pub(super) accept: &'static str,
    /// How many bytes it may have.
    pub(super) most: usize,
}

impl<'a> Visit<'a> {
    /// A visit at an image's repository, if that is one that may be visited.
    pub(super) fn of(
        registry: &'a Registry,
        image: &ImageRef<'_>,
        credential: Option<&'a Credential>,
    ) -> Result<Self, RegistryProblem> {
        let repository = image.path();
        let not_allowed = || RegistryProblem::NotAllowed { what: format!("{}/{repository}", image.host) };
        if !registry.reach.allows(image) {
            return Err(not_allowed());
        }
        let address = registry_address(image.host, registry.transport).ok_or_else(not_allowed)?;
        let segments: Vec<&str> = std::iter::once("v2").chain(repository.split('/')).collect();
        let address = address.below(&segments);
        // A credential for another registry is none.
        let credential = credential.filter(|credential| credential.is_for(image));
        Ok(Visit { registry, credential, host: image.host.to_owned(), repository, address, proof: None, budget: None })
    }

    /// The same, which keeps at most so many bytes, as it counts them itself.
    pub(super) fn keeping_at_most(self, whole: usize) -> Self {
        Visit { budget: Some(Budget { whole, left: whole }), ..self }
    }

    /// How many bytes it may still keep.
    pub(super) fn left(&self) -> usize {
        self.budget.map_or(usize::MAX, |budget| budget.left)
    }

    /// Counts what is kept from now on.
    pub(super) fn set_left(&mut self, left: usize) {
        if let Some(budget) = &mut self.budget {
            budget.left = left;
        }
    }

    /// Host and path, as images are named.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// Content by its digest.
    pub(super) async fn blob(&mut self, digest: Digest, most: usize) -> Result<Vec<u8>, RegistryProblem> {
        let (what, digest_text) = (format!("{}@{digest}", self.name()), digest.to_string());
        let wanted = Wanted { what: what.clone(), path: &["blobs", &digest_text], accept: "*/*", most };
        let answer = self.get(&wanted).await?;
        checked(&what, answer.bytes(), Some(digest))?;
        Ok(answer.into_bytes())
    }

    /// Asks for something; shows a credential where the registry asks for one, and follows it only to itself.
    pub(super) async fn get(&mut self, wanted: &Wanted<'_>) -> Result<Answer, RegistryProblem> {
        let mut address = self.address.below(wanted.path);
        let most = wanted.most.min(self.left());
        for _ in 0..STEPS {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(wanted.accept));
            if let Some(proof) = &self.proof {
                headers.insert(AUTHORIZATION, proof.clone());
            }
            let answer = self.ask(&self.host, Question::get(address.clone(), most), headers, &wanted.what).await;
            let answer = match answer {
                Err(RegistryProblem::Large { .. }) if most < wanted.most => return Err(self.too_much()),
                answer => answer?,
            };
            match answer.status {
                200 => return Ok(answer),
                401 if self.proof.is_none() => self.proof = Some(self.prove(&answer, wanted).await?),
                401 | 403 => return Err(self.unauthorized(wanted)),
                404 => return Err(RegistryProblem::NotFound { what: wanted.what.clone() }),
                301 | 302 | 303 | 307 | 308 => address = self.led(&address, &answer, wanted)?,
                status => return Err(RegistryProblem::Status { what: wanted.what.clone(), status }),
            }
        }
        Err(self.unclear(wanted, "it leads on and on"))
    }

    /// Where a redirection leads to, if that is the registry again.
    fn led(&self, from: &Address, answer: &Answer, wanted: &Wanted<'_>) -> Result<Address, RegistryProblem> {
        let location = answer.header("location").ok_or_else(|| self.unclear(wanted, "it leads nowhere"))?;
        let to = from.led_to(location).map_err(|_| self.unclear(wanted, "it leads to what is no address"))?;
        if to.origin() == self.address.origin() {
            return Ok(to);
        }
        Err(RegistryProblem::Elsewhere { what: wanted.what.clone(), to: to.origin() })
    }

    /// What is shown to the registry from now on.
    async fn prove(&self, refusal: &Answer, wanted: &Wanted<'_>) -> Result<HeaderValue, RegistryProblem> {
        match Challenge::read(refusal.headers("www-authenticate")) {
            Some(Challenge::Basic) => {
                let credential = self.credential.ok_or_else(|| self.unauthorized(wanted))?;
                basic(credential).ok_or_else(|| self.unauthorized(wanted))
            }
            Some(Challenge::Bearer { realm, service }) => self.token(&realm, service.as_deref(), wanted).await,
            None => Err(self.unclear(wanted, "it does not say how to log in")),
        }
    }

    /// A token for reading this repository. Whoever is not known to hand out this registry's tokens is not asked.
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        wanted: &Wanted<'_>,
    ) -> Result<HeaderValue, RegistryProblem> {
        let realm = Address::parse(realm).map_err(|_| self.unclear(wanted, "its realm is no address"))?;
        if !self.registry.reach.takes_tokens_from(&self.host, &realm, self.registry.transport) {
            return Err(RegistryProblem::ForeignRealm { what: wanted.what.clone(), realm: realm.origin() });
        }
        let scope = format!("repository:{}:pull", self.repository);
        let mut query = vec![("scope", scope.as_str())];
        query.extend(service.map(|service| ("service", service)));
        let mut headers = HeaderMap::new();
        if let Some(credential) = self.credential {
            headers.insert(AUTHORIZATION, basic(credential).ok_or_else(|| self.unauthorized(wanted))?);
        }
        let question = Question::get(realm.with(&query), LONGEST_TOKEN);
        let answer = self.ask(&realm.origin(), question, headers, &wanted.what).await?;
        match answer.status {
            200 => {}
            400 | 401 | 403 => return Err(self.unauthorized(wanted)),
            status => return Err(RegistryProblem::Status { what: wanted.what.clone(), status }),
        }
        let granted: Granted = answer.json().unwrap_or_default();
        let token = granted.token.or(granted.access_token).unwrap_or_default();
        match secret_header(&format!("Bearer {token}")).filter(|_| !token.is_empty()) {
            Some(header) => Ok(header),
            None => {
                let (what, who) = (wanted.what.clone(), "who hands out its tokens");
                Err(RegistryProblem::Answer { what, who, reason: "there is no token in it" })
            }
        }
    }

    async fn ask(
        &self,
        host: &str,
        question: Question<'_>,
        headers: HeaderMap,
        what: &str,
    ) -> Result<Answer, RegistryProblem> {
        self.registry.remote.ask_with(question, headers).await.map_err(|source| match source {
            RemoteProblem::Late | RemoteProblem::Endless => RegistryProblem::Late { what: what.to_owned() },
            RemoteProblem::Large(most) => {
                RegistryProblem::Large { what: what.to_owned(), most: format!("{most} bytes") }
            }
            RemoteProblem::Tls(reason) => RegistryProblem::Tls { host: host.to_owned(), reason },
            source => RegistryProblem::Remote { host: host.to_owned(), source },
        })
    }

    /// More than it may keep.
    pub(super) fn too_much(&self) -> RegistryProblem {
        let whole = self.budget.map_or(usize::MAX, |budget| budget.whole);
        let (what, most) = (format!("what is attached in {}", self.name()), format!("{whole} bytes"));
        RegistryProblem::Large { what, most }
    }

    fn unauthorized(&self, wanted: &Wanted<'_>) -> RegistryProblem {
        let shown = if self.credential.is_some() { Shown::Credential } else { Shown::Nothing };
        RegistryProblem::Unauthorized { what: wanted.what.clone(), shown }
    }

    fn unclear(&self, wanted: &Wanted<'_>, reason: &'static str) -> RegistryProblem {
        RegistryProblem::Answer { what: wanted.what.clone(), who: "the registry", reason }
    }
}

/// The digest of what came, which is the one that was asked for.
pub(super) fn checked(what: &str, bytes: &[u8], asked: Option<Digest>) -> Result<Digest, RegistryProblem> {
    let found = Digest::of(bytes);
    match asked {
        Some(said) if said != found => {
            Err(RegistryProblem::Mismatch { what: what.to_owned(), said: said.to_string(), found })
        }
        _ => Ok(found),
    }
}

fn basic(credential: &Credential) -> Option<HeaderValue> {
    secret_header(&format!("Basic {}", STANDARD.encode(credential.pair())))
}

/// A header that nobody prints.
fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The two names that registries have for it.
#[derive(Default, Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
}

/// The question, the same with a proof, and redirections.
const STEPS: usize = 5;
const LONGEST_TOKEN: usize = 64 << 10;
