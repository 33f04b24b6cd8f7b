//! `rig gc`.
