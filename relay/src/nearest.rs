//! The nearest known name, for messages about a name that does not exist.

/// A distance up to this share of the longer name's length still reads as a slip of the pen.
const SLIP: f64 = 0.4;

/// `(did you mean timeout?)` for a likely slip, `(the nearest is timeout)` for anything else, empty without candidates.
pub fn hint<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = known
        .into_iter()
        .map(|name| {
            (
                strsim::normalized_damerau_levenshtein(&wrong.to_lowercase(), &name.to_lowercase()),
                name,
            )
        })
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        None => String::new(),
        Some((likeness, name)) if likeness >= 1.0 - SLIP => format!(" (did you mean {name}?)"),
        Some((_, name)) => format!(" (the nearest is {name})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_asked_about_and_anything_else_is_only_named() {
        let known = ["timeout", "concurrency", "mask"];
        assert_eq!(hint("timout", known), " (did you mean timeout?)");
        assert_eq!(hint("Concurency", known), " (did you mean concurrency?)");
        assert_eq!(hint("delete", ["PUT", "DELETE"]), " (did you mean DELETE?)");
        assert_eq!(hint("egress", ["url"]), " (the nearest is url)");
        assert_eq!(hint("x", []), "");
    }
}
