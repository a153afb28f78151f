//! The one template environment: strict, nothing escaped, final newlines kept.
//!
//! A name that no value has is an error, and so is a value that is none: a unit with `--cluster-cidr=None`
//! must not be possible.

use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, syntax::SyntaxConfig};
use serde::Serialize;

use super::files::RecipeFiles;

/// What a template said no to, with file and line.
pub type Fault = String;

/// Without templates; see the module.
pub(crate) fn strict_environment<'e>() -> Result<Environment<'e>, Fault> {
    let mut environment = Environment::new();
    // No template of ours takes a hundredth of that; one that never ends has to be an error.
    environment.set_fuel(Some(1_000_000));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_syntax(
        SyntaxConfig::builder()
            .keep_trailing_newline(true)
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|why| why.to_string())?,
    );
    environment.set_formatter(|out, state, value| {
        if matches!(value.kind(), ValueKind::None | ValueKind::Undefined) {
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, "a value is missing here"));
        }
        minijinja::escape_formatter(out, state, value)
    });
    Ok(environment)
}

fn environment(files: &RecipeFiles) -> Result<Environment<'_>, Fault> {
    let mut environment = strict_environment()?;
    for (path, text) in files.iter().filter(|(path, _)| is_template(path)) {
        environment.add_template(path, text).map_err(|why| fault(path, &why))?;
    }
    Ok(environment)
}

/// Everything but the recipe's own descriptions, its tables and its explanations.
fn is_template(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_description = matches!(name, "recipe.toml" | "layout.toml" | "role.toml");
    !is_description && !matches!(name.rsplit('.').next(), Some("tsv" | "md"))
}

fn fault(path: &str, why: &minijinja::Error) -> Fault {
    let place = why.line().map_or_else(String::new, |line| format!(":{line}"));
    let detail = why.detail().map_or_else(|| why.kind().to_string(), |detail| format!("{}: {detail}", why.kind()));
    format!("template `{path}`{place}: {detail}")
}

/// Whether every template is well-formed.
pub(super) fn compile(files: &RecipeFiles) -> Result<(), Fault> {
    environment(files).map(drop)
}

/// Renders templates of one recipe.
pub struct Renderer<'a>(Environment<'a>);

impl<'a> Renderer<'a> {
    /// Compiles the recipe's templates.
    pub fn new(files: &'a RecipeFiles) -> Result<Self, Fault> {
        environment(files).map(Self)
    }

    /// One file of the recipe with the given values.
    pub fn render(&self, path: &str, values: &impl Serialize) -> Result<String, Fault> {
        let template = self.0.get_template(path).map_err(|why| fault(path, &why))?;
        template.render(Serde(values)).map_err(|why| fault(path, &why))
    }

    /// A short template that stands in `layout.toml`.
    pub fn render_inline(&self, text: &str, values: &impl Serialize) -> Result<String, Fault> {
        self.0.render_str(text, Serde(values)).map_err(|why| fault(text, &why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> Result<String, Fault> {
        let files = RecipeFiles::from_iter([("a.yaml".to_owned(), text.to_owned())]);
        Renderer::new(&files)?.render("a.yaml", &serde_json::json!({"name": "a<b", "none": null, "list": ["1", "2"]}))
    }

    #[test]
    fn nothing_is_escaped_and_the_last_newline_stays() {
        assert_eq!(render("x: {{ name }}\n").as_deref(), Ok("x: a<b\n"));
        assert_eq!(render("{{ list | join(',') }}").as_deref(), Ok("1,2"));
    }

    #[test]
    fn a_template_that_never_ends_is_an_error() {
        let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
        assert!(render(loops).is_err_and(|why| why.contains("fuel")));
    }

    #[test]
    fn a_missing_value_is_an_error_with_its_line() {
        assert!(render("a\n{{ nope }}").is_err_and(|why| why.contains("`a.yaml`:2")));
        assert!(render("{{ none }}").is_err());
    }
}
