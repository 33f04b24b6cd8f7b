//! One short file a command, each a thin layer over the library.

pub mod approvals;
pub mod audit;
pub mod build;
pub mod call;
pub mod canary;
pub mod completions;
pub mod doctor;
pub mod export;
pub mod gc;
pub mod index;
pub mod info;
pub mod init;
pub mod inspect;
pub mod install;
pub mod list;
pub mod new;
pub mod outdated;
pub mod packs;
pub mod publish;
pub mod rollback;
pub mod serve;
pub mod tenant;
pub mod test;
pub mod uninstall;
pub mod update;
pub mod verify;
