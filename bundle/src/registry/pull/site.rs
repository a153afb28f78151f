//! The lists of a bundle in a bucket or on a web server, where `SHA256SUMS` leads to all others.

use std::collections::BTreeMap;

use super::thin::expected;
use super::{Error, Received, Receiver};
use crate::fetch::Fault;
use crate::fetch::site::Site;
use crate::hash::Sha256;
use crate::manifest::{
    IN_RELEASE, LARGEST_LIST, MANIFEST, MOST_SIGNERS, OBJECT_INDEX, PROVENANCE, PUBLIC_SUMS, SIGNATURE, SUMS,
    is_attestation, signature_files_of,
};
use crate::registry::artifact::Layer;
use crate::registry::files::Lists;
use crate::thin::export_list::EXPORT_LIST;
use crate::thin::index::Index;
use crate::thin::{ExportList, parse_sums};

impl Receiver<'_> {
    pub(super) fn find_on_site(&self, site: &Site<'_>) -> Result<Received, Error> {
        let sums = site.read(SUMS, LARGEST_LIST).map_err(|fault| self.request(SUMS, fault))?;
        let sums = sums.ok_or_else(|| Error::Nothing(self.name().into()))?;
        let digests = parse_sums(&String::from_utf8_lossy(&sums));
        let digests = digests.map_err(|why| self.not_a_bundle(format!("{SUMS}: {why}")))?;
        let texts = self.signatures(site)?;
        self.check_signatures(&sums, &texts)?;
        let export = self.export_list(site, Sha256::of(&sums))?;
        let manifest = self.listed(site, MANIFEST, &digests)?;
        let has_index = export.is_some() || digests.contains_key(OBJECT_INDEX);
        let index = has_index.then(|| self.listed(site, OBJECT_INDEX, &digests)).transpose()?;
        let lists = Lists::new(manifest, sums).map_err(|why| self.not_whole(vec![why]))?;
        let signatures = texts.iter().map(|(title, text)| self.keep(title, text.as_bytes()));
        let signatures = signatures.collect::<Result<Vec<_>, _>>()?;
        let files = match (&export, &index) {
            (Some(_), Some(text)) => {
                let index = Index::parse(text).map_err(|why| self.not_whole(vec![format!("{OBJECT_INDEX}: {why}")]))?;
                expected(&lists, &index).into_values().collect()
            }
            _ => lists.files().into_values().map(|(layer, _)| layer).collect::<Vec<_>>(),
        };
        self.keep(SUMS, &lists.sums)?;
        let layers = files.into_iter().chain(signatures.iter().cloned()).chain(export).collect();
        Ok(Received { exact: None, layers, lists, signatures, index })
    }

    /// Bytes that arrived need not be fetched again.
    fn keep(&self, title: &str, bytes: &[u8]) -> Result<Layer, Error> {
        let blob = self.store.keep(bytes).map_err(|fault| self.request(title, fault))?;
        Ok(Layer { title: title.to_owned(), sha256: blob.sha256(), size: blob.size() })
    }

    /// A file that may not be there. Some servers tell nobody which files they have not, but they give `SHA256SUMS`.
    fn optional(&self, site: &Site<'_>, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match site.read(name, LARGEST_LIST) {
            Ok(found) => Ok(found),
            Err(Fault::Denied(_)) => Ok(None),
            Err(fault) => Err(self.request(name, fault)),
        }
    }

    /// A list that `SHA256SUMS` has.
    fn listed(&self, site: &Site<'_>, name: &str, digests: &BTreeMap<String, Sha256>) -> Result<Vec<u8>, Error> {
        let expected = digests.get(name).ok_or_else(|| self.not_a_bundle(format!("{SUMS} has no {name}")))?;
        let text = site.read(name, LARGEST_LIST).map_err(|fault| self.request(name, fault))?;
        let text = text.ok_or_else(|| self.not_whole(vec![format!("{name}: missing")]))?;
        if Sha256::of(&text) != *expected {
            return Err(self.not_whole(vec![format!("{name}: not as {SUMS} says; it may be of another bundle")]));
        }
        self.keep(name, &text)?;
        Ok(text)
    }

    /// The texts of signatures, by name. Those of the first signer are there if any are.
    fn signatures(&self, site: &Site<'_>) -> Result<BTreeMap<String, String>, Error> {
        let mut texts = BTreeMap::new();
        let mut look = |name: String| -> Result<bool, Error> {
            let text = self.optional(site, &name)?.map(|text| String::from_utf8_lossy(&text).into_owned());
            let is_there = text.is_some();
            texts.extend(text.map(|text| (name, text)));
            Ok(is_there)
        };
        // The names of attestations can't be guessed. Who may not list a bucket does without, as on a web server.
        for name in
            site.list(&format!("{PUBLIC_SUMS}.")).unwrap_or_default().into_iter().filter(|it| is_attestation(it))
        {
            look(name)?;
        }
        if !look(SIGNATURE.to_owned())? {
            return Ok(texts);
        }
        for name in
            [signature_files_of(1)[1].clone(), format!("{SUMS}.asc"), IN_RELEASE.to_owned(), PROVENANCE.to_owned()]
        {
            look(name)?;
        }
        for signer in 2..=MOST_SIGNERS {
            let [first, second] = signature_files_of(signer);
            if !look(first)? {
                break;
            }
            look(second)?;
        }
        Ok(texts)
    }

    /// What says that objects are there, and no files.
    fn export_list(&self, site: &Site<'_>, bundle: Sha256) -> Result<Option<Layer>, Error> {
        let Some(text) = self.optional(site, EXPORT_LIST)? else { return Ok(None) };
        let list = ExportList::parse(&text).map_err(|why| self.not_a_bundle(format!("{EXPORT_LIST}: {why}")))?;
        if list.bundle != bundle {
            return Err(self.not_whole(vec![format!("{EXPORT_LIST}: it is of another bundle than {SUMS}")]));
        }
        if list.base.is_some() || list.part.is_some() {
            let why = format!(
                "expected a bundle or its thin copy, got this: {}; copy it, and `kube-bundle import` it with the rest",
                list.describe()
            );
            return Err(self.not_a_bundle(why));
        }
        self.keep(EXPORT_LIST, &text).map(Some)
    }
}
