//! Promises to the user, each kept by driving the program as a user does.
//!
//! A file is one promise, not one module of the program; a test's name says what is promised.
#![expect(clippy::disallowed_methods, reason = "tests are the world outside: they read, write and run what they like")]
#![expect(clippy::case_sensitive_file_extension_comparisons, reason = "the program writes these names")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod altered;
mod bucket;
mod harness;
mod left_out;
mod machine;
mod server;
mod source;
mod summary;

mod build;
mod certificates;
mod completions;
mod consumers;
mod damaged_keys;
mod data;
mod demo;
mod diff;
mod dpkg;
mod etcd;
mod fetch;
mod given;
mod guide;
mod hostile;
mod house;
mod image_archives;
mod images;
mod init;
mod install;
mod json;
mod keeping;
mod kill;
mod mistakes;
mod needs;
mod object_stores;
mod objects;
mod origins;
mod packages;
mod pieces;
mod plan;
mod power;
mod preview;
mod push;
mod rebuild;
mod recipes;
mod recording;
mod registry;
mod repository;
mod restarts;
mod roles;
mod sbom;
mod screen;
mod seal;
mod secrets;
mod seeds;
mod serve;
mod sharing;
mod sheet;
mod slow;
mod spec;
mod status;
mod tarball;
mod thin;
mod trust;
mod verify;
mod web;
mod workers;
