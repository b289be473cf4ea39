//! Jobs that run: one program, because what a job is made of is compiled into each program anew.
#![cfg(feature = "runtime")]

mod common;

mod at_least_once;
mod backends;
mod broadcast;
mod builder;
mod control;
mod damage;
mod disposal;
mod failures;
mod file_faults;
mod files;
mod finished;
mod flow;
mod garbage;
mod given;
mod incremental;
mod inline;
mod keys;
mod operator_state;
mod rescale;
#[cfg(feature = "rest")]
mod rest;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod storage;
mod targets;
mod topology;
mod ttl;
mod unaligned;
mod watermarks;
mod windows;
