//! The border to Ruby: every entry point runs inside [`guarded`], and what goes wrong leaves as one of the errors that
//! Ruby declares.

use std::panic::{AssertUnwindSafe, catch_unwind};

use magnus::{ExceptionClass, Ruby};

use crate::{classes, gvl::Interrupt, librdkafka::KafkaError, value::Refusal};

/// Everything that can go wrong between Ruby and Kafka.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A value, the key or the whole record cannot be sent.
    #[error("{subject}: {refusal}")]
    Encode { subject: String, refusal: Refusal },
    #[error("record is larger than {0} bytes")]
    TooLarge(usize),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The caller gave what the documentation does not allow.
    #[error("{0}")]
    Misuse(String),
    #[error("closed")]
    Closed,
    #[error("{}", .0.0)]
    Interrupted(Interrupt),
    /// Ruby raised.
    #[error("{0}")]
    Ruby(magnus::Error),
    #[error("panic: {0}")]
    Panic(String),
}

impl From<Interrupt> for Failure {
    fn from(interrupt: Interrupt) -> Self {
        Self::Interrupted(interrupt)
    }
}

impl From<magnus::Error> for Failure {
    fn from(error: magnus::Error) -> Self {
        Self::Ruby(error)
    }
}

/// Runs an entry point. No panic passes into Ruby, where it would be a `fatal` that nobody can rescue.
pub fn guarded<T>(
    ruby: &Ruby,
    entry: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, magnus::Error> {
    let failure = match catch_unwind(AssertUnwindSafe(entry)) {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(failure)) => failure,
        Err(panic) => {
            Failure::Panic(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| {
                panic
                    .downcast_ref::<&str>()
                    .map_or_else(|| "without a message".to_owned(), |text| (*text).to_owned())
            }))
        }
    };
    Err(failure.into_ruby(ruby))
}

impl Failure {
    /// `subject`, a field or the key, cannot be sent. An interrupt is not the subject's fault and stays what it is.
    pub fn refused(subject: &str, refusal: Refusal) -> Self {
        match refusal {
            Refusal::Interrupted(error) => Self::Ruby(error),
            refusal => Self::Encode {
                subject: subject.to_owned(),
                refusal,
            },
        }
    }

    fn into_ruby(self, ruby: &Ruby) -> magnus::Error {
        let message = self.to_string();
        let class = match self {
            Self::Interrupted(Interrupt(error)) => return error,
            Self::Ruby(error) if is_interrupt(ruby, &error) => return error,
            Self::Encode { .. } | Self::TooLarge(_) | Self::Kafka(KafkaError::TooLarge(_)) => {
                "EncodeError"
            }
            Self::Kafka(KafkaError::Configuration(_)) => "ConfigurationError",
            Self::Kafka(_) | Self::Misuse(_) | Self::Closed | Self::Ruby(_) | Self::Panic(_) => {
                "Error"
            }
        };
        magnus::Error::new(error_class(ruby, class), message)
    }
}

/// What was sent to this thread from outside must reach its sender: `Interrupt`, `Thread#kill`, `Timeout`.
pub fn is_interrupt(ruby: &Ruby, error: &magnus::Error) -> bool {
    let is_timeout = || {
        classes::loaded_constant(ruby, &["Timeout", "Error"])
            .and_then(ExceptionClass::from_value)
            .is_some_and(|class| error.is_kind_of(class))
    };
    !error.is_kind_of(ruby.exception_standard_error()) || is_timeout()
}

/// Ruby declares the errors (`lib/replicates_to/errors.rb`); without them `RuntimeError` has to do.
fn error_class(ruby: &Ruby, name: &str) -> ExceptionClass {
    classes::loaded_constant(ruby, &["ReplicatesTo", name])
        .and_then(ExceptionClass::from_value)
        .unwrap_or_else(|| ruby.exception_runtime_error())
}

#[cfg(test)]
mod tests {
    use magnus::{Ruby, function};

    use super::guarded;
    use crate::gvl;

    /// One test for both, since a process can hold one Ruby only.
    #[test]
    fn panics_reach_ruby_as_errors_it_can_rescue() {
        Ruby::init(|ruby| {
            ruby.eval::<magnus::Value>(
                "module ReplicatesTo; class Error < StandardError; end; end",
            )?;
            ruby.define_global_function("panic", function!(panic, 0))?;
            ruby.define_global_function(
                "panic_without_the_lock",
                function!(panic_without_the_lock, 0),
            )?;
            for (call, expected) in [
                ("panic", "panic: with the lock"),
                ("panic_without_the_lock", "panic: without the lock"),
            ] {
                let message: String = ruby.eval(&format!(
                    "begin; {call}; rescue ReplicatesTo::Error => error; error.message; end"
                ))?;
                assert_eq!(message, expected);
            }
            Ok(())
        })
        .unwrap();
    }

    fn panic(ruby: &Ruby) -> Result<(), magnus::Error> {
        guarded(ruby, || panic!("with the lock"))
    }

    fn panic_without_the_lock(ruby: &Ruby) -> Result<Option<()>, magnus::Error> {
        guarded(ruby, || {
            Ok(gvl::released(ruby, || panic!("without the lock"))?)
        })
    }
}
