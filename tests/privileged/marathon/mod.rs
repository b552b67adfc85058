//! Marathon app definitions, run from the command line to the container, under both runtimes.

mod seed;
