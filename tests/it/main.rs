//! All tests that need a socket or a file, in one binary; `scripts/test` starts the servers.

mod harness;

mod store;
mod rest;
mod oslo_config;
mod protocol;
mod show;
mod transport;

mod e2e_answers;
mod e2e_broker_restart;
mod e2e_database_links;
mod e2e_database_tls;
mod e2e_dead_letter_commands;
mod e2e_dead_letters;
mod e2e_deleted;
mod e2e_early;
mod e2e_faults;
mod e2e_fence;
mod e2e_heartbeats;
mod e2e_karbor;
mod e2e_logins;
mod e2e_merge;
mod e2e_notifications;
mod e2e_observed;
mod e2e_poison;
mod e2e_process;
mod e2e_python;
mod e2e_reads;
mod e2e_refusals;
mod e2e_refused;
mod e2e_replies;
mod e2e_republish;
mod e2e_requests;
mod e2e_retention;
mod e2e_secrets;
mod e2e_shutdown;
mod e2e_silent_queue;
mod e2e_sqlite_file;
mod e2e_start;
mod e2e_terminal;
mod fault_matrix;
mod karbor_flow;
mod python_package;
