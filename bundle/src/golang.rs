//! What is linked into a program that Go has made: packages, by the table of its functions, which no `strip` removes; and
//! modules with their versions, where the linker noted them.
//!
//! Packages of which all functions were inlined are not in that table, so a list of packages is never complete.

mod build_info;
mod elf;
mod functions;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek};

use serde::{Deserialize, Serialize};

use build_info::BuildInfo;
use elf::Program;

/// The module that databases of vulnerabilities have for Go's own packages.
const STANDARD: &str = "stdlib";

/// What one program consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// Version of the compiler and of the standard library: `go1.19.8`; `None` where Go did not note it (before 1.13).
    pub go: Option<String>,
    /// The module of the program itself.
    pub main: Option<String>,
    /// Version of each other module that was at hand when it was built.
    pub modules: BTreeMap<String, Module>,
    /// Import paths of packages that have functions in it, without the standard library's and `main`.
    pub packages: BTreeSet<String>,
}

/// Where the source of a module came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its own path, or that of the module that replaces it.
    pub path: String,
    pub version: String,
}

/// One library of a program, as it can be looked up in a database: a module, or a package of which no module is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Library {
    pub path: String,
    /// As the module's author gave it; `None`: nothing in the program says it.
    pub version: Option<String>,
}

impl Library {
    /// Package URL, type `golang`, which has no capital letters in names.
    pub fn purl(&self) -> String {
        let path = self.path.to_lowercase().replace('+', "%2B");
        match &self.version {
            Some(version) => format!("pkg:golang/{path}@{}", version.replace('+', "%2B")),
            None => format!("pkg:golang/{path}"),
        }
    }
}

impl Linked {
    /// Reads a program; `None` if it is none that Go has made.
    ///
    /// # Errors
    /// It can't be read. A table that makes no sense is as none.
    pub fn read(file: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let Some(mut program) = Program::open(file)? else { return Ok(None) };
        let Some(table) = program.section(&[".gopclntab", ".data.rel.ro.gopclntab"])? else { return Ok(None) };
        let Some(names) = functions::names(&table) else { return Ok(None) };
        let packages = packages(names);
        drop(table);
        let BuildInfo { go, main, modules } = build_info::read(&mut program)?;
        Ok(Some(Self { go, main, modules, packages }))
    }

    /// The libraries of a program whose own module is `own`; its own packages are not among them.
    pub fn libraries(&self, own: Option<&str>) -> Vec<Library> {
        let is_of = |package: &str, module: &str| {
            package.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_own = |package: &str| own.into_iter().chain(self.main.as_deref()).any(|module| is_of(package, module));
        let library = |package: &String| {
            // The longest path wins: a repository may have a module inside another.
            let known = self.modules.iter().filter(|(path, _)| is_of(package, path)).max_by_key(|(path, _)| path.len());
            match known {
                Some((_, module)) => Library { path: module.path.clone(), version: Some(module.version.clone()) },
                None => Library { path: package.clone(), version: None },
            }
        };
        let version = self.go.as_ref().map(|go| go.trim_start_matches("go").to_owned());
        let standard = Library { path: STANDARD.to_owned(), version };
        let mut libraries: BTreeSet<_> = self.packages.iter().filter(|package| !is_own(package)).map(library).collect();
        libraries.insert(standard);
        libraries.into_iter().collect()
    }
}

/// The import paths in names of functions.
fn packages<'n>(names: impl Iterator<Item = &'n str>) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = names.filter_map(functions::package).map(|path| unvendored(&path)).collect();
    found.retain(|path| !is_standard(path));
    let doubtful: Vec<_> = found.iter().filter(|path| is_method_value(path, &found)).cloned().collect();
    for path in doubtful {
        found.remove(&path);
    }
    found
}

/// `k8s.io/kubernetes/vendor/github.com/x/y` is the package `github.com/x/y`.
fn unvendored(path: &str) -> String {
    path.rsplit_once("/vendor/").map_or(path, |(_, path)| path).to_owned()
}

/// Only import paths of the standard library begin with a word that is no host. It has vendored packages, too.
fn is_standard(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or(path);
    !first.contains('.')
}

/// Whether `x/y.Type.host/z` is not a package but a method of `x/y`, promoted from a type of `host/z`.
fn is_method_value(path: &str, packages: &BTreeSet<String>) -> bool {
    path.match_indices('.').any(|(dot, _)| packages.contains(&path[..dot]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_those_of_libraries() {
        let names = [
            "main.main",
            "net/http.(*Client).Do",
            "vendor/golang.org/x/net/idna.init",
            "k8s.io/kubernetes/vendor/github.com/gogo/protobuf/proto.Marshal",
            "go.etcd.io/etcd/clientv3.New",
            "go.etcd.io/etcd/clientv3.(*retryOption).google.golang.org/grpc.before",
            "go.etcd.io/etcd/clientv3.retryOption.google.golang.org/grpc.before",
            "gopkg.in/yaml%2ev2.Marshal",
            "type..eq.golang.org/x/text/language.Tag",
            "go.shape.int_0",
        ];
        let found: Vec<_> = packages(names.into_iter()).into_iter().collect();
        assert_eq!(found, ["github.com/gogo/protobuf/proto", "go.etcd.io/etcd/clientv3", "gopkg.in/yaml.v2"]);
    }

    #[test]
    fn package_urls_are_canonical() {
        let library = |path: &str, version: &str| Library { path: path.to_owned(), version: Some(version.to_owned()) };
        let purl = library("github.com/NYTimes/gziphandler", "v3.5.0+incompatible").purl();
        assert_eq!(purl, "pkg:golang/github.com/nytimes/gziphandler@v3.5.0%2Bincompatible");
    }

    #[test]
    fn libraries_have_the_version_of_the_module_that_they_are_in() {
        let module = |path: &str, version: &str| Module { path: path.to_owned(), version: version.to_owned() };
        let linked = Linked {
            go: Some("go1.19.8".to_owned()),
            main: Some("example.org/main".to_owned()),
            modules: BTreeMap::from([
                ("example.org/a".to_owned(), module("example.org/a", "v1.0.0")),
                ("example.org/a/v2".to_owned(), module("example.org/fork/v2", "v2.1.0")),
            ]),
            packages: [
                "example.org/a/x",
                "example.org/a/y",
                "example.org/a/v2/x",
                "example.org/ab",
                "example.org/main/z",
            ]
            .map(str::to_owned)
            .into(),
        };
        let purls: Vec<_> = linked.libraries(None).iter().map(Library::purl).collect();
        let expected = ["example.org/a@v1.0.0", "example.org/ab", "example.org/fork/v2@v2.1.0", "stdlib@1.19.8"];
        assert_eq!(purls, expected.map(|purl| format!("pkg:golang/{purl}")));
        assert!(!linked.libraries(Some("example.org/ab")).iter().any(|library| library.path == "example.org/ab"));
    }
}
