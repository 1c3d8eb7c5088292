//! References: texts that stand for the content of a variable or a file.

use super::environment::Environment;

/// `"env:NAME"` or `"file:/path"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference<'a> {
    Variable(&'a str),
    /// Absolute.
    File(&'a str),
}

impl<'a> Reference<'a> {
    /// The reference that a text is, if it is one.
    pub fn of(text: &'a str) -> Option<Self> {
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if let Some(name) = text.strip_prefix("env:") {
            return is_name(name).then_some(Self::Variable(name));
        }
        let path = text.strip_prefix("file:")?;
        path.starts_with('/').then_some(Self::File(path))
    }

    /// What it stands for; one trailing newline of a file is cut.
    ///
    /// # Errors
    ///
    /// The end of a sentence that begins with the reference.
    pub fn follow(self, environment: &Environment) -> Result<String, String> {
        match self {
            Self::Variable(name) => match environment.variable(name) {
                Ok(value) => Ok(value.to_owned()),
                Err(reason) => Err(reason.to_owned()),
            },
            Self::File(path) => {
                let mut text = std::fs::read_to_string(path)
                    .map_err(|error| format!("which cannot be read: {error}"))?;
                if text.ends_with('\n') {
                    text.pop();
                }
                Ok(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_a_variable_or_an_absolute_file() {
        assert_eq!(
            Reference::of("env:DATABASE_URL"),
            Some(Reference::Variable("DATABASE_URL"))
        );
        assert_eq!(
            Reference::of("file:/run/secrets/kafka"),
            Some(Reference::File("/run/secrets/kafka"))
        );
        for text in [
            "",
            "env:",
            "env:A B",
            "file:relative",
            "envy:X",
            "http://env:80",
        ] {
            assert_eq!(Reference::of(text), None, "{text}");
        }
    }

    #[test]
    fn one_trailing_newline_of_a_file_is_cut() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "s3cret\n\n").unwrap();
        let reference = format!("file:{}", file.path().display());
        let followed = Reference::of(&reference)
            .unwrap()
            .follow(&Environment::default());
        assert_eq!(followed, Ok("s3cret\n".to_owned()));
    }

    #[test]
    fn what_is_not_there_is_said_so() {
        let environment = Environment::default();
        let missing = Reference::Variable("NOPE").follow(&environment);
        assert_eq!(missing, Err("which is not set".to_owned()));
        let missing = Reference::File("/nonexistent/x")
            .follow(&environment)
            .unwrap_err();
        assert!(missing.starts_with("which cannot be read: "), "{missing}");
    }
}
