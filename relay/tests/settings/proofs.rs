//! Every key of the reference has a test in which it does what it says; a key without one does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use replicates_relay::config::DEFAULTS;

/// Keys, the file below `relay/` of a test in which another value makes another thing happen, and that test.
const PROOFS: &[(&str, &str, &str)] = &[
    (
        "relay.name",
        "tests/behaviour/group.rs",
        "of_two_relays_with_one_name_the_older_says_so_and_ends",
    ),
    (
        "relay.drain_timeout",
        "tests/settings/process.rs",
        "a_drain_that_takes_longer_than_it_may_is_given_up",
    ),
    (
        "relay.buffer_max",
        "tests/behaviour/limits.rs",
        "fetching_holds_while_memory_is_full_and_everything_arrives",
    ),
    (
        "kafka.brokers",
        "tests/behaviour/misuse.rs",
        "a_broker_that_does_not_listen_is_named_and_the_relay_goes_on_trying",
    ),
    (
        "kafka.topic_prefix",
        "tests/settings/process.rs",
        "topics_and_groups_begin_as_they_are_told",
    ),
    (
        "kafka.group_prefix",
        "tests/settings/process.rs",
        "topics_and_groups_begin_as_they_are_told",
    ),
    (
        "kafka.session_timeout",
        "tests/behaviour/group.rs",
        "a_relay_that_comes_back_under_its_name_delivers_long_before_its_session_ends",
    ),
    (
        "kafka.commit_interval",
        "tests/settings/process.rs",
        "offsets_are_committed_after_the_commit_interval",
    ),
    (
        "kafka.properties",
        "tests/settings/process.rs",
        "properties_reach_the_clients_of_kafka",
    ),
    (
        "store.url",
        "tests/behaviour/misuse.rs",
        "a_database_that_does_not_exist_is_named",
    ),
    (
        "store.connections_max",
        "tests/settings/process.rs",
        "the_log_has_no_more_connections_than_it_may",
    ),
    (
        "store.partition_width",
        "tests/store_conformance/partitions.rs",
        "a_longer_retention_and_another_width_extend_what_is_there",
    ),
    (
        "store.partitions_ahead",
        "tests/store_conformance/partitions.rs",
        "a_missing_next_partition_is_reported_and_made",
    ),
    (
        "admin.listen",
        "tests/admin/health.rs",
        "an_address_that_is_taken_is_named",
    ),
    (
        "admin.tokens",
        "tests/admin/access.rs",
        "a_viewer_reads_and_an_operator_also_retries",
    ),
    (
        "log.flush_interval",
        "tests/settings/process.rs",
        "rows_are_written_after_the_flush_interval_or_when_there_are_enough",
    ),
    (
        "log.flush_rows",
        "tests/settings/process.rs",
        "rows_are_written_after_the_flush_interval_or_when_there_are_enough",
    ),
    (
        "log.compress",
        "tests/behaviour/secrets.rs",
        "no_secret_is_seen_anywhere_when_bodies_are_compressed",
    ),
    (
        "telemetry.level",
        "tests/settings/process.rs",
        "the_relay_says_as_much_as_it_is_told_in_the_format_it_is_told",
    ),
    (
        "telemetry.format",
        "tests/settings/process.rs",
        "the_relay_says_as_much_as_it_is_told_in_the_format_it_is_told",
    ),
    (
        "defaults.method",
        "tests/behaviour/requests.rs",
        "each_row_is_put_and_deleted_at_its_own_url_and_a_key_that_leads_elsewhere_is_quarantined",
    ),
    (
        "defaults.envelope",
        "tests/behaviour/requests.rs",
        "each_model_is_sent_as_its_route_says_and_what_the_body_lacks_is_quarantined_until_a_newer_version",
    ),
    (
        "defaults.body",
        "tests/behaviour/requests.rs",
        "each_model_is_sent_as_its_route_says_and_what_the_body_lacks_is_quarantined_until_a_newer_version",
    ),
    (
        "defaults.headers",
        "core/src/request/tests.rs",
        "configured_headers_travel_beside_our_own",
    ),
    (
        "defaults.auth",
        "tests/behaviour/token.rs",
        "while_no_token_is_to_be_had_the_breaker_holds_the_records_and_nothing_is_charged",
    ),
    (
        "defaults.start",
        "tests/behaviour/limits.rs",
        "a_group_that_begins_at_the_end_leaves_what_was_there_and_reads_later_topics_whole",
    ),
    (
        "defaults.timeout",
        "tests/http/failures.rs",
        "silence_is_a_timeout_and_its_connection_is_closed",
    ),
    (
        "defaults.connect_timeout",
        "tests/http/failures.rs",
        "a_server_that_does_not_accept_is_a_connect_failure_after_the_connect_timeout",
    ),
    (
        "defaults.response_max",
        "tests/http/answers.rs",
        "a_large_answer_is_cut_at_the_cap_and_its_connection_dropped",
    ),
    (
        "defaults.concurrency",
        "tests/http/limits.rs",
        "no_more_connections_than_the_concurrency",
    ),
    (
        "defaults.adaptive",
        "core/tests/promises/adaptive.rs",
        "other_settings_hold_at_once",
    ),
    (
        "defaults.rate_limit",
        "tests/behaviour/rate.rs",
        "two_replicas_together_send_no_more_than_the_limit_and_lose_nothing",
    ),
    (
        "defaults.parked_max",
        "tests/behaviour/limits.rs",
        "consumption_holds_while_too_much_is_undelivered_and_goes_on_once_it_is_retried",
    ),
    (
        "defaults.lag_target",
        "tests/admin/destinations.rs",
        "a_destination_tells_its_state_and_what_is_undelivered",
    ),
    (
        "defaults.skip_unchanged",
        "tests/behaviour/unchanged.rs",
        "only_changes_snapshots_and_retries_are_sent_also_by_a_relay_that_remembers_nothing",
    ),
    (
        "defaults.log_body",
        "core/src/request/row/tests.rs",
        "bodies_and_headers_are_kept_as_the_policy_says",
    ),
    (
        "defaults.log_body_max",
        "core/src/request/row/tests.rs",
        "bodies_are_cut_between_characters_and_headers_between_members",
    ),
    (
        "defaults.mask",
        "core/src/request/row/tests.rs",
        "nothing_sensitive_is_kept_of_an_exchange",
    ),
    (
        "defaults.egress.allow",
        "tests/http/egress.rs",
        "a_listed_address_is_reached_and_deny_beats_the_list",
    ),
    (
        "defaults.egress.deny",
        "tests/http/egress.rs",
        "a_listed_address_is_reached_and_deny_beats_the_list",
    ),
    (
        "defaults.tls.ca_file",
        "tests/http/identity.rs",
        "a_private_authority_takes_the_place_of_the_system_s",
    ),
    (
        "defaults.tls.client_cert",
        "tests/http/identity.rs",
        "a_server_that_asks_is_shown_the_relay_s_certificate",
    ),
    (
        "defaults.tls.client_key",
        "tests/http/identity.rs",
        "a_server_that_asks_is_shown_the_relay_s_certificate",
    ),
    (
        "defaults.tls.min_version",
        "tests/http/identity.rs",
        "a_server_below_the_oldest_version_is_a_tls_failure",
    ),
    (
        "defaults.retention.success",
        "tests/behaviour/retention.rs",
        "delivered_records_are_forgotten_after_a_minute_and_failed_and_undelivered_ones_stay",
    ),
    (
        "defaults.retention.failure",
        "tests/behaviour/retention.rs",
        "delivered_records_are_forgotten_after_a_minute_and_failed_and_undelivered_ones_stay",
    ),
    (
        "defaults.retry.max_retries",
        "tests/behaviour/poison_key.rs",
        "a_key_that_always_fails_is_exhausted_alone_and_a_retry_delivers_it_once_the_consumer_is_mended",
    ),
    (
        "defaults.retry.in_place",
        "core/src/engine/decision.rs",
        "a_failing_record_is_tried_in_place_then_parked_then_exhausted",
    ),
    (
        "defaults.retry.base",
        "core/src/backoff.rs",
        "delays_grow_by_the_factor_up_to_the_cap",
    ),
    (
        "defaults.retry.factor",
        "core/src/backoff.rs",
        "delays_grow_by_the_factor_up_to_the_cap",
    ),
    (
        "defaults.retry.cap",
        "core/src/backoff.rs",
        "delays_grow_by_the_factor_up_to_the_cap",
    ),
    (
        "defaults.retry.jitter",
        "core/src/backoff.rs",
        "jitter_spreads_a_delay_to_both_sides_of_it",
    ),
    (
        "defaults.retry.retry_after_max",
        "core/tests/promises/configured.rs",
        "a_shorter_hold_ends_one_that_an_endpoint_asked_for",
    ),
    (
        "defaults.retry.classify",
        "tests/behaviour/classify.rs",
        "answers_are_taken_for_what_the_route_says_they_mean",
    ),
    (
        "defaults.breaker.failure_ratio",
        "core/src/engine/breaker.rs",
        "failures_below_the_ratio_leave_it_closed",
    ),
    (
        "defaults.breaker.min_keys",
        "core/src/engine/breaker.rs",
        "distinct_failing_keys_open_it",
    ),
    (
        "defaults.breaker.window",
        "core/src/engine/breaker.rs",
        "failures_older_than_the_window_do_not_count",
    ),
    (
        "defaults.breaker.open_base",
        "core/src/engine/breaker.rs",
        "the_wait_doubles_with_each_failed_probe_up_to_the_cap",
    ),
    (
        "defaults.breaker.open_cap",
        "core/src/engine/breaker.rs",
        "the_wait_doubles_with_each_failed_probe_up_to_the_cap",
    ),
    (
        "defaults.batch.max_records",
        "core/src/request/batch/tests.rs",
        "no_more_join_than_records_max_and_bytes_max_allow",
    ),
    (
        "defaults.batch.max_wait",
        "core/tests/promises/configured.rs",
        "a_shorter_wait_for_company_holds_for_what_is_gathering",
    ),
    (
        "defaults.batch.max_bytes",
        "core/src/request/batch/tests.rs",
        "no_more_join_than_records_max_and_bytes_max_allow",
    ),
    (
        "defaults.signing.secrets",
        "core/src/request/tests.rs",
        "every_secret_signs_and_without_one_nothing_does",
    ),
    (
        "destinations.billing.url",
        "tests/behaviour/requests.rs",
        "each_row_is_put_and_deleted_at_its_own_url_and_a_key_that_leads_elsewhere_is_quarantined",
    ),
    (
        "destinations.billing.enabled",
        "tests/config/layers.rs",
        "a_disabled_destination_is_checked_and_named_but_not_delivered_to",
    ),
    (
        "destinations.billing.sources",
        "tests/behaviour/limits.rs",
        "only_the_sources_that_are_named_may_deliver",
    ),
    (
        "destinations.billing.routes.Vehicle.url",
        "tests/behaviour/requests.rs",
        "each_row_is_put_and_deleted_at_its_own_url_and_a_key_that_leads_elsewhere_is_quarantined",
    ),
    (
        "destinations.billing.routes.Vehicle.retry",
        "tests/behaviour/poison_key.rs",
        "a_route_may_have_a_smaller_budget_than_its_destination",
    ),
];

#[test]
fn every_key_of_the_reference_has_a_test_that_it_does_what_it_says() {
    let proven: BTreeSet<_> = PROOFS.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(proven.len(), PROOFS.len(), "a key is listed twice");
    assert_eq!(keys_of_the_reference(), proven);
}

#[test]
fn the_tests_that_prove_keys_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = BTreeMap::new();
    for (key, file, test) in PROOFS {
        let source = sources
            .entry(file)
            .or_insert_with(|| std::fs::read_to_string(root.join(file)).unwrap());
        let place = source.find(&format!("fn {test}("));
        let place = place.unwrap_or_else(|| panic!("{key}: {file} has no {test}"));
        let before = source[..place].trim_end_matches("async ").trim_end();
        let is_test = before.ends_with("#[test]") || before.ends_with("#[tokio::test]");
        assert!(is_test, "{key}: {test} of {file} is not a test");
    }
}

/// Those that are set there, and those that are shown as comments.
fn keys_of_the_reference() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut section = String::new();
    for line in DEFAULTS.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        let header = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        if let Some((name, rest)) = header {
            // Not the words of a sentence that begins with a section's name.
            if rest.is_empty() || rest.starts_with("   ") {
                name.clone_into(&mut section);
            }
            continue;
        }
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        let is_key = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        if key.bytes().all(is_key) {
            keys.insert(format!("{section}.{key}"));
        }
    }
    keys
}
