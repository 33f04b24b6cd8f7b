//! Control groups of version 2: one for each cell, where rig may make some. They count all processes of a cell together.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::CellLimits;

/// A group that is removed with this.
#[derive(Debug)]
pub(super) struct Group(PathBuf);

impl Group {
    /// Makes one beside or below rig's own. `None` where there is none to be had; the cell's other limits hold then.
    pub(super) fn make(limits: &CellLimits) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        Self::below(&parents(Path::new("/sys/fs/cgroup"), &own)?, limits)
    }

    fn below(parents: &[PathBuf], limits: &CellLimits) -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("rig-cell-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let parent = parents.iter().find(|parent| divides(parent))?;
        let group = Self(parent.join(name));
        fs::create_dir(&group.0).ok()?;
        group.set(limits).ok()?;
        Some(group)
    }

    fn set(&self, limits: &CellLimits) -> io::Result<()> {
        let write = |name: &str, value: String| fs::write(self.0.join(name), value);
        write("memory.max", limits.memory.to_string())?;
        // All end together: a program whose half was ended is of no use.
        write("memory.oom.group", "1".into())?;
        write("pids.max", limits.processes.to_string())?;
        // Not every kernel counts swap.
        let _ = write("memory.swap.max", "0".into());
        Ok(())
    }

    /// Whether the kernel ended processes of it for their memory.
    pub(super) fn was_full(&self) -> bool {
        let events = fs::read_to_string(self.0.join("memory.events")).unwrap_or_default();
        events.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        // It can be removed once the last process is gone, which takes the kernel a moment.
        for _ in 0..50 {
            match fs::remove_dir(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                _ => return,
            }
        }
    }
}

/// rig's own group and the one above it, from the line of version 2 in `/proc/self/cgroup`.
fn parents(mounted: &Path, own: &str) -> Option<Vec<PathBuf>> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let own = mounted.join(path);
    let above = own.parent().filter(|above| above.starts_with(mounted)).map(Path::to_path_buf);
    Some(std::iter::once(own).chain(above).collect())
}

/// Whether groups below it can be limited, and a process of this user moved there from below it.
fn divides(group: &Path) -> bool {
    if fs::OpenOptions::new().write(true).open(group.join("cgroup.procs")).is_err() {
        return false;
    }
    let has = fs::read_to_string(group.join("cgroup.subtree_control")).unwrap_or_default();
    ["memory", "pids"].iter().all(|wanted| has.split_whitespace().any(|one| one == *wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_made_where_both_limits_are() {
        let folder = tempfile::tempdir().unwrap();
        let above = folder.path().join("user.slice");
        let own = above.join("rig.scope");
        fs::create_dir_all(&own).unwrap();
        let listed = parents(folder.path(), "1:name=systemd:/x\n0::/user.slice/rig.scope\n").unwrap();
        assert_eq!(listed, [own.clone(), above.clone()]);
        assert!(parents(folder.path(), "4:memory:/x\n").is_none());
        assert_eq!(parents(folder.path(), "0::/\n").unwrap(), [folder.path().to_path_buf()]);

        let limits = CellLimits::default();
        assert!(Group::below(&listed, &limits).is_none(), "nothing divides");
        fs::write(own.join("cgroup.subtree_control"), "memory").unwrap();
        fs::write(own.join("cgroup.procs"), "").unwrap();
        fs::write(above.join("cgroup.subtree_control"), "cpu memory pids").unwrap();
        assert!(Group::below(&listed, &limits).is_none(), "nobody may be moved there");
        fs::write(above.join("cgroup.procs"), "").unwrap();
        let group = Group::below(&listed, &limits).unwrap();
        assert_eq!(group.path().parent(), Some(above.as_path()));
        assert_eq!(fs::read_to_string(group.path().join("pids.max")).unwrap(), limits.processes.to_string());
        assert_eq!(fs::read_to_string(group.path().join("memory.max")).unwrap(), limits.memory.to_string());
        for (events, full) in [("oom 0\noom_kill 0\n", false), ("oom 1\noom_kill 3\n", true)] {
            fs::write(group.path().join("memory.events"), events).unwrap();
            assert_eq!(group.was_full(), full);
        }
    }
}
