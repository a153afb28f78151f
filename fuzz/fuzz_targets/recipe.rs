//! A recipe of which one file is another: the first line is its path, the rest its text.
#![no_main]

use kube_bundle::recipe::files::RecipeFiles;
use kube_bundle::recipe::{Recipe, embedded};

libfuzzer_sys::fuzz_target!(|input: &str| {
    let Some((path, text)) = input.split_once('\n') else { return };
    let files = embedded::files("v1.16.0").expect("an embedded recipe");
    let files = files.iter().filter(|(name, _)| *name != path).map(|(name, text)| (name.to_owned(), text.to_owned()));
    let files: RecipeFiles = files.chain([(path.to_owned(), text.to_owned())]).collect();
    match files.with_base().and_then(|files| Recipe::from_files("./recipe", files)) {
        Ok(recipe) => drop(recipe.digest()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
