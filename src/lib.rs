//! Flamewarden keeps untrusted FLAME analyses contained in Kubernetes.
//!
//! # Parts
//!
//! Pure: [`model`] (what everybody talks about), [`policy`] (profiles and where they hold), [`scan`] (Grype's reports
//! and what they lead to), [`isolation`] (network policies made and judged), [`bundle`] (the objects of one run of an
//! analysis), [`install`] (what is installed), [`facts`] (what is known), [`rules`] (the one judge), [`report`] (what audits find, in every form).
//! Edges: [`cluster`] (the API server), [`archive`] (what has ended), [`serve`] (TLS, connections, tokens, files),
//! [`keycloak`] (clients of analyses), [`hub`] (how analyses are doing), [`registry`] (Grype on images); [`remote`] is how
//! edges ask other systems.
//! Services, which never import each other: [`webhook`], [`guard`], [`scanner`], [`orchestrator`], [`registration`],
//! [`decisions`], [`history`], [`canary`], [`auditor`], [`pages`]. On top: [`app`], [`cli`]; at the side: [`telemetry`].
//! `tests/layout.rs` holds the imports to this order. `ARCHITECTURE.md` follows a request and a pod through the parts.
//!
//! # Invariants
//!
//! Each with the tests that can fail when it breaks; `tests/layout.rs` holds that they exist.
//!
//! - I1 No analysis container starts without its NetworkPolicy having existed first, and the policy outlives the process.
//!   - `tests/cluster/guard_test.rs`: `a_policy_stays_while_its_pod_runs_though_a_watch_has_missed_the_pod`,
//!     `a_pod_starts_behind_its_own_policy`, `the_policy_goes_after_the_pod`,
//!     `a_deleted_policy_is_replaced_before_it_goes`
//!   - `tests/cluster/flame_replay.rs`: `flames_orchestrator_works_as_without_and_no_pod_is_bound_before_its_policy`
//! - I2 The union of all policies that select an analysis pod reaches only its own NGINX on the NGINX's container port,
//!   and DNS where the profile says so.
//!   - `tests/isolation/property.rs`: `findings_are_exactly_what_would_let_an_analysis_reach_more_than_its_profile`,
//!     `with_other_peers_for_dns_findings_are_just_as_exact`,
//!     `our_own_policies_let_no_analysis_reach_more_than_its_profile`
//!   - `tests/isolation/union.rs`: `any_policy_that_selects_the_pod_keeps_its_gate_when_it_adds_reach`
//!   - `tests/cluster/guard_test.rs`: `a_gate_stays_while_another_network_s_policy_could_select_the_pod`
//!   - `tests/cluster/interleaved.rs`:
//!     `wide_policies_and_pods_interleaved_never_leave_a_lifted_gate_under_a_wide_union`
//! - I3 Identity labels never change, by any verb or subresource; an owner reference may go when its owner is deleted
//!   with orphans, and come only from the identity's owner.
//!   - `tests/requests/changes.rs`: `identity_labels_never_change`,
//!     `owners_come_by_controllers_and_go_by_the_garbage_collector`
//!   - `tests/requests/status.rs`: `metadata_does_not_change_by_way_of_the_status`
//!   - `tests/cluster/guard_test.rs`: `an_identity_has_one_owner_and_the_oldest_pod_s_has_it`
//! - I4 The stored pod has the allow-listed shape; an unknown field is a refusal.
//!   - `src/rules/pod/fields/tests.rs`: `unknown_and_misspelt_fields_are_refused_at_any_depth`,
//!     `every_refused_row_is_refused_by_its_rule`
//!   - `tests/cluster/attacks.rs`: `no_attack_succeeds`
//! - I5 Only images with a passing verdict for exactly those bytes run, in every place that can name an image, at create
//!   and at update, where a profile asks for verdicts. Where images come from is held too:
//!   - `src/rules/pod/image_scan.rs`: `an_image_runs_by_its_digest_s_verdict_alone`,
//!     `a_tag_is_pinned_to_what_was_scanned_as_long_as_that_is_known`, `every_place_that_can_name_an_image_is_looked_at`
//!   - `tests/scan/table.rs`: `what_is_suppressed_is_no_pass`, `what_could_not_be_found_is_no_pass`,
//!     `a_report_of_something_else_says_nothing`
//!   - `tests/grype/reports_test.rs`: `a_verdict_is_of_what_grype_found_in_exactly_those_bytes`
//!   - `tests/gate/gate_test.rs`: `an_image_runs_once_it_was_scanned_and_one_with_a_hole_never_does`,
//!     `a_tag_stands_for_what_was_scanned_and_no_longer_once_it_was_moved`,
//!     `each_platform_of_an_index_that_a_node_has_counts_and_no_other`,
//!     `an_image_that_is_put_in_place_of_another_is_judged_as_a_new_one_is`,
//!     `nobody_but_the_controller_says_what_a_scan_has_found`,
//!     `a_worker_that_speaks_for_another_image_gets_nowhere`
//!   - `tests/requests/templates.rs`: `analysis_images_need_the_label_wherever_they_are_named`
//! - I6 Any internal error, timeout, unknown, stale or oversize is a refusal with a reason.
//!   - `tests/serve/answers.rs`: `a_panic_is_a_refusal_and_the_next_call_is_answered`,
//!     `what_takes_too_long_is_refused_before_the_api_server_gives_up`,
//!     `a_review_that_is_too_large_is_turned_away_and_the_reason_is_read`
//!   - `src/webhook/answering.rs`: `a_connection_is_judged_by_the_pod_that_is_stored_and_refused_where_nobody_knows_it`
//!   - `tests/user_rules.rs`: `an_expensive_rule_is_refused_at_its_deadline_and_others_are_answered`
//! - I7 The admission path writes nothing and calls nothing that a request names; its service account may only read.
//!   - `tests/manifests.rs`: `the_webhook_may_only_read_pods_where_it_guards_and_what_scans_say`
//!   - `tests/serve/asks_nobody.rs`: `addresses_that_a_review_names_are_never_called`,
//!     `a_name_leads_to_the_object_of_that_name_or_nowhere`
//! - I8 mutate(mutate(x)) = mutate(x), and validate(mutate(x)) gives exactly the findings of x that have no remedy.
//!   - `tests/mend_property.rs`: `mending_an_analysis_leaves_exactly_what_has_no_remedy`,
//!     `mending_a_gateway_leaves_exactly_what_has_no_remedy`
//! - I9 Drift of any object we own or rely on (bundle, webhook configuration, RBAC that goes round us) is repaired or
//!   reported within one resync:
//!   - `tests/cluster/guard_test.rs`: `a_changed_policy_is_put_right`
//!   - `src/registration.rs`: `only_what_is_reached_by_service_and_trusts_otherwise_is_changed`
//!   - `tests/cluster/audited_test.rs`: `a_clean_cluster_has_no_finding_and_every_change_behind_its_back_is_found`
//! - I10 A network that does not enforce from the first packet is detected by a canary, not assumed away. The canary's
//!   pods are played in these tests; no test has a network that enforces:
//!   - `src/canary/verdict.rs`: `only_a_sealed_pod_that_never_connects_where_an_open_one_does_shows_that_the_network_enforces`
//!   - `src/facts/enforcement.rs`: `a_result_holds_as_long_as_it_is_written_and_nothing_else_is_one`
//!   - `src/guard/network.rs`: `only_a_network_that_is_known_to_enforce_lets_a_gate_open`
//!   - `tests/cluster/canary_test.rs`: `where_it_is_required_a_gate_opens_by_a_result_that_holds_and_by_nothing_else`,
//!     `a_run_tells_what_its_pods_have_found_and_leaves_nothing_and_each_pod_comes_after_its_policy`
//! - I11 Outside guarded namespaces nothing is affected, except by the optional ValidatingAdmissionPolicy, which refuses
//!   the label there. In a shared one only guarded identities, and objects that could select, reach or name one, are
//!   refused (while Flamewarden is down also CONNECT); in a dedicated one also what is no known part.
//!   - `tests/requests/main.rs`: `outside_guarded_namespaces_nothing_is_judged`
//!   - `tests/manifests.rs`: `every_configuration_is_scoped_by_namespace_name_and_fails_as_designed`
//!   - `tests/cluster/flamewarden_test.rs`: `the_same_pod_elsewhere_is_left_alone`
//!   - `tests/requests/templates.rs`: `a_dedicated_namespace_holds_known_parts_of_creators`

pub mod app;
pub mod archive;
pub mod auditor;
pub mod bundle;
pub mod canary;
pub mod cli;
pub mod cluster;
pub mod decisions;
pub mod facts;
pub mod guard;
pub mod history;
pub mod hub;
pub mod install;
pub mod isolation;
pub mod keycloak;
pub mod model;
pub mod orchestrator;
pub mod pages;
pub mod policy;
pub mod registration;
pub mod registry;
pub mod remote;
pub mod report;
pub mod rules;
pub mod scan;
pub mod scanner;
pub mod serve;
pub mod telemetry;
pub mod webhook;
