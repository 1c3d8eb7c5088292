//! Ruby classes that values may have, found by name when they are first needed: none of them is part of Ruby's core.

use std::sync::OnceLock;

use magnus::{RClass, RString, Ruby, Value, prelude::*, value::Opaque};

pub static BIG_DECIMAL: LoadedClass = LoadedClass::named(&["BigDecimal"]);
pub static DATE: LoadedClass = LoadedClass::named(&["Date"]);
pub static DATE_TIME: LoadedClass = LoadedClass::named(&["DateTime"]);
pub static DURATION: LoadedClass = LoadedClass::named(&["ActiveSupport", "Duration"]);
pub static TIME_WITH_ZONE: LoadedClass = LoadedClass::named(&["ActiveSupport", "TimeWithZone"]);

/// A class that may or may not be loaded yet.
pub struct LoadedClass {
    path: &'static [&'static str],
    found: OnceLock<Opaque<RClass>>,
}

impl LoadedClass {
    const fn named(path: &'static [&'static str]) -> Self {
        Self {
            path,
            found: OnceLock::new(),
        }
    }

    /// Whether `value` is an instance of this class or of one below it. It asks the class, not the value:
    /// `TimeWithZone` and `Duration` pretend to be a `Time` and a number.
    pub fn includes(&self, ruby: &Ruby, value: Value) -> bool {
        self.class(ruby)
            .is_some_and(|class| value.is_kind_of(class))
    }

    fn class(&self, ruby: &Ruby) -> Option<RClass> {
        if let Some(found) = self.found.get() {
            return Some(ruby.get_inner(*found));
        }
        let class = RClass::from_value(loaded_constant(ruby, self.path)?)?;
        // Pinned, or a compacting garbage collection could move what is remembered here.
        ruby.gc_register_mark_object(class);
        Some(ruby.get_inner(*self.found.get_or_init(|| class.into())))
    }
}

/// The constant of this path if it is loaded; an autoload that is only promised is not triggered.
pub fn loaded_constant(ruby: &Ruby, path: &[&str]) -> Option<Value> {
    path.iter()
        .try_fold(ruby.class_object().as_value(), |scope, &name| {
            let promised: Option<RString> = scope.funcall("autoload?", (name,)).ok()?;
            let is_loaded =
                promised.is_none() && scope.funcall("const_defined?", (name, false)).ok()?;
            if is_loaded {
                scope.funcall("const_get", (name, false)).ok()
            } else {
                None
            }
        })
}
