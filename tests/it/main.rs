//! Promises to the user, each kept by driving the program as a user does.
//!
//! A file is one promise, not one module of the program; a test's name says what is promised.
#![expect(clippy::disallowed_methods, reason = "tests are the world outside: they read, write and run what they like")]
#![expect(clippy::print_stderr, reason = "a check that is left out is said")]
#![expect(clippy::case_sensitive_file_extension_comparisons, reason = "the program writes these names")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod harness;
mod machine;
mod server;

mod build;
mod certificates;
mod consumers;
mod demo;
mod dpkg;
mod fetch;
mod given;
mod house;
mod images;
mod install;
mod keeping;
mod kill;
mod needs;
mod packages;
mod pieces;
mod plan;
mod recipes;
mod repository;
mod restarts;
mod secrets;
mod seeds;
mod spec;
mod tarball;
mod verify;
