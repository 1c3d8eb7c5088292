//! Every wrong value is told by its key, itself, what is allowed, and the nearest name.

use replicates_relay::config::Environment;

use crate::{LEAST, problems};

/// A line of a destination, and what is said about it.
const WRONG_VALUES: &[(&str, &str)] = &[
    (
        "timeout = 5",
        "timeout must be a duration from 100ms to 5m, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\", not 5",
    ),
    (
        "timeout = \"50ms\"",
        "timeout must be a duration from 100ms to 5m, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\", not \"50ms\"",
    ),
    (
        "response_max = \"1kb\"",
        "response_max must be a size from 1KiB to 16MiB, like \"64KiB\" \"1MiB\", not \"1kb\"",
    ),
    (
        "concurrency = 0",
        "concurrency must be a whole number from 1 to 4096, not 0",
    ),
    (
        "concurrency = -1",
        "concurrency must be a whole number from 1 to 4096, not -1",
    ),
    (
        "concurrency = 99999999999999999999",
        "concurrency must be a whole number from 1 to 4096, not 99999999999999999999",
    ),
    (
        "routes = { Vehicle = { url = \"/vehicles/{kye}\" } }",
        "routes.Vehicle.url has the unknown placeholder {kye} (did you mean key?)",
    ),
    (
        "routes = { Vehicle = { url = \"/vehicles/{key\" } }",
        "routes.Vehicle.url has a { or } without the other",
    ),
    (
        "routes = { Vehicle = { url = \"/../vehicles\" } }",
        "routes.Vehicle.url has a segment . or .., which servers take away",
    ),
    (
        "routes = { Vehicle = { url = \"vehicles\" } }",
        "routes.Vehicle.url must be a path that begins with /, or an absolute http or https URL without credentials or fragment, not \"vehicles\"",
    ),
    (
        "routes = { Vehicle = { url = \"/vehicles#{key}\" } }",
        "routes.Vehicle.url must be a path that begins with /, or an absolute http or https URL without credentials or fragment, not \"/vehicles#{key}\"",
    ),
    (
        "envelope = \"cloudevent\"",
        "envelope must be \"record\" or \"attributes\" or \"cloudevents\", not \"cloudevent\" (did you mean cloudevents?)",
    ),
    ("body = \"$key\"", "body must be a table, not \"$key\""),
    (
        "body = { a = { b = [1, \"$kye\"] } }",
        "body.a.b[1] wants the unknown $kye (did you mean key?)",
    ),
    (
        "body = { a = \"$attribute.plate\" }",
        "body.a wants the unknown $attribute.plate (did you mean attributes.<name>?)",
    ),
    (
        "body = { a = nan }",
        "body.a must be what JSON has: a string, a number of 64 bits, true, false, a list or a table, not NaN",
    ),
    (
        "body = { a = 2026-11-22 }",
        "body.a must be what JSON has: a string, a number of 64 bits, true, false, a list or a table, not 2026-11-22",
    ),
    (
        "body = { a = \"env:NOPE\" }",
        "body.a is \"env:NOPE\", which is not set",
    ),
    (
        "body = { a = \"$key\" }\nenvelope = \"record\"",
        "body cannot stand beside destinations.search.envelope: either says what is sent",
    ),
    (
        "routes = { Vehicle = { envelope = \"record\", body = { a = 1 } } }",
        "routes.Vehicle.body cannot stand beside destinations.search.routes.Vehicle.envelope: either says what is sent",
    ),
    (
        "batch = { max_records = 0 }",
        "batch.max_records must be a whole number from 1 to 1000, not 0",
    ),
    (
        "batch = { max_records = 2, max_wait = \"11s\" }",
        "batch.max_wait must be a duration from 0ms to 10s, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\", not \"11s\"",
    ),
    (
        "batch = { max_records = 2, max_bytes = \"1B\" }",
        "batch.max_bytes must be a size from 1KiB to 64MiB, like \"64KiB\" \"1MiB\", not \"1B\"",
    ),
    (
        "batch = { max_record = 2 }",
        "batch.max_record is unknown (did you mean max_records?)",
    ),
    (
        "batch = { max_records = 2 }\nenvelope = \"attributes\"",
        "batch.max_records must be 1 where destinations.search.envelope is \"attributes\", which do not say whose they are, not 2",
    ),
    (
        "batch = { max_records = 2 }\nroutes = { Vehicle = { url = \"/{key}\" } }",
        "batch.max_records must be 1 where destinations.search.routes.Vehicle.url has {key} or {version}, which are those of one record, not 2",
    ),
    (
        "method = \"GET\"",
        "method must be \"POST\" or \"PUT\" or \"PATCH\" or \"DELETE\", not \"GET\" (the nearest is DELETE)",
    ),
    (
        "method = 5",
        "method must be a method, or a table of the methods delete and default, not 5",
    ),
    (
        "method = { default = \"PUT\", delete = \"delete\" }",
        "method.delete must be \"POST\" or \"PUT\" or \"PATCH\" or \"DELETE\", not \"delete\" (did you mean DELETE?)",
    ),
    (
        "method = { default = \"PUT\", delete = \"DELETE\", create = \"POST\" }",
        "method.create is unknown (the nearest is delete)",
    ),
    (
        "routes = { Vehicle = { method = \"HEAD\" } }",
        "routes.Vehicle.method must be \"POST\" or \"PUT\" or \"PATCH\" or \"DELETE\", not \"HEAD\" (the nearest is DELETE)",
    ),
    (
        "enabled = \"yes\"",
        "enabled must be true or false, not \"yes\"",
    ),
    (
        "start = \"earliset\"",
        "start must be \"earliest\" or \"latest\", not \"earliset\" (did you mean earliest?)",
    ),
    (
        "start = 2026-11-22",
        "start must be \"earliest\" or \"latest\", not 2026-11-22",
    ),
    (
        "log_body = \"some\"",
        "log_body must be \"none\" or \"failures\" or \"all\", not \"some\" (the nearest is none)",
    ),
    (
        "sources = [\"Mono\"]",
        "sources[0] must be a source: [a-z][a-z0-9_-]{0,62}, not \"Mono\"",
    ),
    (
        "sources = \"monolith\"",
        "sources must be a list, not \"monolith\"",
    ),
    (
        "mask = [3]",
        "mask[0] must be the name of an attribute, not 3",
    ),
    (
        "retention = \"7d\"",
        "retention must be a table, not \"7d\"",
    ),
    (
        "retention = { sucess = \"1h\" }",
        "retention.sucess is unknown (did you mean success?)",
    ),
    (
        "retry = { max_retries = 101 }",
        "retry.max_retries must be a whole number from 0 to 100, not 101",
    ),
    (
        "retry = { base = \"2h\", cap = \"1h\" }",
        "retry.cap must be at least destinations.search.retry.base (2h), not \"1h\"",
    ),
    (
        "retry = { factor = 0.5 }",
        "retry.factor must be a number from 1 to 10, not 0.5",
    ),
    (
        "retry = { jitter = 2 }",
        "retry.jitter must be a number from 0 to 1, not 2",
    ),
    (
        "retry = { jitter = nan }",
        "retry.jitter must be a number from 0 to 1, not NaN",
    ),
    (
        "breaker = { open_base = \"2m\" }",
        "defaults.breaker.open_cap must be at least destinations.search.breaker.open_base (2m), not \"1m\"",
    ),
    (
        "headers = { \"Content-Type\" = \"x\" }",
        "headers.Content-Type is refused: the relay sends that header itself",
    ),
    (
        "headers = { \"replicates-to-key\" = \"x\" }",
        "headers.replicates-to-key is refused: the relay sends that header itself",
    ),
    (
        "headers = { \"a b\" = \"x\" }",
        "headers.a b is not a header's name",
    ),
    (
        "headers = { a = \"x\\ny\" }",
        "headers.a must be printable ASCII",
    ),
    (
        "headers = { a = \"x\", A = \"y\" }",
        "headers.a is there twice: names of headers ignore case",
    ),
    ("headers = { a = 1 }", "headers.a must be a string, not 1"),
    (
        "routes = { Vehicle = { timeout = \"6m\" } }",
        "routes.Vehicle.timeout must be a duration from 100ms to 5m, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\", not \"6m\"",
    ),
    (
        "routes = { Vehicle = { concurrency = 5 } }",
        "routes.Vehicle.concurrency is unknown (the nearest is",
    ),
    (
        "routes = { Vehicle = { retry = { retry_after_max = \"5s\" } } }",
        "routes.Vehicle.retry.retry_after_max is unknown (the nearest is",
    ),
    (
        "routes = { Vehicle = { breaker = { open_base = \"5s\" } } }",
        "routes.Vehicle.breaker.open_base is unknown (the nearest is",
    ),
    (
        "routes = { Vehicle = { retry = { base = \"7h\" } } }",
        "defaults.retry.cap must be at least destinations.search.routes.Vehicle.retry.base (7h), not \"6h\"",
    ),
    (
        "routes = { Vehicle = { headers = { host = \"x\" } } }",
        "routes.Vehicle.headers.host is refused: the relay sends that header itself",
    ),
    ("routes = { Vehicle = 5 }", "routes.Vehicle must be a table"),
    (
        "routes = { \"Ve-hicle\" = {} }",
        "routes.Ve-hicle must be named like a model: Vehicle, or Fleet::Car in quotes",
    ),
    ("auth = \"bearer\"", "auth must be a table, not \"bearer\""),
    (
        "auth = { type = \"digest\" }",
        "auth.type must be \"basic\" or \"bearer\" or \"header\" or \"oauth2\", not \"digest\" (the nearest is oauth2)",
    ),
    (
        "auth = { type = \"basic\", username = \"a:b\", password = \"file:/proc/sys/kernel/ostype\" }",
        "auth.username must be a name without a colon, not \"a:b\"",
    ),
    (
        "auth = { type = \"bearer\", token = \"hunter2\" }",
        "auth.token must be a reference (\"env:NAME\" or \"file:/path\"), not a plain value",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"login.internal\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\" }",
        "auth.token_url must be an absolute http or https URL without credentials or fragment, not \"login.internal\"",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://a:hunter2@login/\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\" }",
        "auth.token_url must be an absolute http or https URL without credentials or fragment, not \"https://a:***@login/\"",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/{key}\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\" }",
        "auth.token_url must be an absolute http or https URL without credentials or fragment, not \"https://login/{key}\"",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/\", client_id = \"\", client_secret = \"file:/proc/sys/kernel/ostype\" }",
        "auth.client_id must be the name of a client, not \"\"",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/\", client_id = \"relay\", client_secret = \"hunter2\" }",
        "auth.client_secret must be a reference (\"env:NAME\" or \"file:/path\"), not a plain value",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\", scopes = [\"a b\"] }",
        "auth.scopes[0] must be a scope: printable ASCII without spaces, \" and \\, not \"a b\"",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\", scope = \"a\" }",
        "auth.scope is unknown (did you mean scopes?)",
    ),
    (
        "auth = { type = \"oauth2\", token_url = \"https://login/\", client_id = \"relay\", client_secret = \"file:/proc/sys/kernel/ostype\" }\nheaders = { Authorization = \"x\" }",
        "auth sends authorization, which headers has as well",
    ),
    (
        "auth = { type = \"bearer\", tokn = \"hunter2\", token = \"file:/proc/sys/kernel/ostype\" }",
        "auth.tokn is unknown (did you mean token?)",
    ),
    (
        "auth = { type = \"bearer\", token = \"file:/proc/cpuinfo\" }",
        "auth.token holds what a request cannot carry, such as a line's end",
    ),
    (
        "auth = { type = \"header\", name = \"Webhook-Id\", value = \"file:/proc/sys/kernel/ostype\" }",
        "auth.name must be a header that the relay does not send itself, not \"Webhook-Id\"",
    ),
    (
        "auth = { type = \"header\", name = \"X-Key\", value = \"file:/proc/sys/kernel/ostype\" }\nheaders = { x-key = \"1\" }",
        "auth sends x-key, which headers has as well",
    ),
    (
        "auth = { type = \"bearer\", token = \"file:/proc/sys/kernel/ostype\" }\nheaders = { Authorization = \"x\" }",
        "auth sends authorization, which headers has as well",
    ),
    (
        "egress = { allow = [\"10.20.0.1/16\"] }",
        "egress.allow[0] must be a network, like \"10.20.0.0/16\" \"192.0.2.7/32\" \"2001:db8::/32\", not \"10.20.0.1/16\"",
    ),
    (
        "egress = { deny = [\"::/0\", \"billing.internal\"] }",
        "egress.deny[1] must be a network, like \"10.20.0.0/16\" \"192.0.2.7/32\" \"2001:db8::/32\", not \"billing.internal\"",
    ),
    (
        "egress = { allow = \"10.0.0.0/8\" }",
        "egress.allow must be a list, not \"10.0.0.0/8\"",
    ),
    (
        "egress = { allowed = [] }",
        "egress.allowed is unknown (did you mean allow?)",
    ),
    (
        "adaptive = \"yes\"",
        "adaptive must be true or false, not \"yes\"",
    ),
    (
        "adaptve = false",
        "adaptve is unknown (did you mean adaptive?)",
    ),
    (
        "routes = { Vehicle = { adaptive = false } }",
        "routes.Vehicle.adaptive is unknown (the nearest is",
    ),
    (
        "rate_limit = -1",
        "rate_limit must be a number from 0 to 1000000, not -1",
    ),
    (
        "rate_limit = \"5/s\"",
        "rate_limit must be a number from 0 to 1000000, not \"5/s\"",
    ),
    (
        "rate_limt = 5",
        "rate_limt is unknown (did you mean rate_limit?)",
    ),
    (
        "routes = { Vehicle = { rate_limit = 5 } }",
        "routes.Vehicle.rate_limit is unknown (the nearest is",
    ),
    (
        "skip_unchanged = \"yes\"",
        "skip_unchanged must be true or false, not \"yes\"",
    ),
    (
        "skip_unchangd = true",
        "skip_unchangd is unknown (did you mean skip_unchanged?)",
    ),
    (
        "retry = { classify = { 409 = \"retri\" } }",
        "retry.classify.409 must be \"delivered\" or \"stale\" or \"retry\" or \"reject\" or \"endpoint\" or \"suspect\", not \"retri\" (did you mean retry?)",
    ),
    (
        "retry = { classify = { dns = \"delivered\" } }",
        "retry.classify.dns must be \"retry\" or \"reject\" or \"endpoint\" or \"suspect\", not \"delivered\" (the nearest is reject)",
    ),
    (
        "retry = { classify = { timeout = 3 } }",
        "retry.classify.timeout must be \"retry\" or \"reject\" or \"endpoint\" or \"suspect\", not 3",
    ),
    (
        "retry = { classify = { 4XX = \"retry\" } }",
        "retry.classify.4XX is unknown: a status from 200 to 599, 4xx, 5xx or an error class (did you mean 4xx?)",
    ),
    (
        "retry = { classify = { timeot = \"retry\" } }",
        "retry.classify.timeot is unknown: a status from 200 to 599, 4xx, 5xx or an error class (did you mean timeout?)",
    ),
    (
        "retry = { classify = { unmappable = \"retry\" } }",
        "retry.classify.unmappable is unknown: a status from 200 to 599, 4xx, 5xx or an error class (the nearest is",
    ),
    (
        "retry = { classify = { 600 = \"retry\" } }",
        "retry.classify.600 is unknown: a status from 200 to 599, 4xx, 5xx or an error class",
    ),
    (
        "retry = { classify = \"409\" }",
        "retry.classify must be a table, not \"409\"",
    ),
];

#[test]
fn wrong_values_are_told_by_key_value_and_what_is_allowed() {
    let long = "x".repeat(64);
    for (line, message) in WRONG_VALUES {
        let text = format!("{LEAST}\n[destinations.search]\nurl = \"http://search\"\n{line}\n");
        let found = problems(&text, &Environment::default());
        assert_eq!(found.len(), 1, "{line}: {found:#?}");
        let expected = if message.starts_with("defaults.") {
            format!("relay.default.toml: {message}")
        } else {
            format!("relay.toml:11: destinations.search.{message}")
        };
        if message.ends_with("(did you mean") || message.ends_with("(the nearest is") {
            let known = expected.split(" (").next().unwrap();
            assert!(
                found[0].starts_with(known) && found[0].ends_with(')'),
                "{line}: {found:#?}"
            );
        } else {
            assert_eq!(found[0], expected, "{line}");
        }
    }
    let text = format!("{LEAST}\n[destinations.{long}]\nurl = \"http://x\"");
    assert_eq!(problems(&text, &Environment::default()).len(), 1);
}
