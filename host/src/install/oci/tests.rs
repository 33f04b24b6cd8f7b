//! Pulling against a registry of fixed answers.
