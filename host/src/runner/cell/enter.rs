//! The second start of rig: enters the namespaces, starts the third, and stays outside until either end is gone.

use std::{
    fs,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
};

use nix::sched::CloneFlags;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, getgid, getuid, pidfd_open, set_child_subreaper},
    thread::{CapabilitySet, capabilities, configure_capability_in_ambient_set, set_capabilities},
};

use super::{
    ARGUMENT, Ended, Layer, inside,
    message::{self, Explain as _, Outcome, Plan, Report},
};

/// The argument that tells the third start from the second.
const INSIDE: &str = "inside";

/// The user and the group that a program in a cell is. No number of a person's: nothing in the cell belongs to anybody else.
pub(super) const USER: u32 = 1000;

/// Does what a rig with the argument [`ARGUMENT`] is started for. Its stdin must be a socket of the rig that started it.
#[must_use]
pub fn enter(rest: &[std::ffi::OsString]) -> ExitCode {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    if rest.iter().any(|argument| argument == INSIDE) {
        return inside::run(&socket);
    }
    let ended = match message::receive::<Plan>(&socket) {
        Ok(Some((plan, files))) => prepare(plan, &files, &socket),
        _ => return ExitCode::FAILURE,
    };
    let report = match ended {
        Ok(how) => Report::Ended { how },
        Err(report) => report,
    };
    match message::send(&socket, &report, &[]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn prepare(mut plan: Plan, files: &[OwnedFd], outer: &OwnedFd) -> Outcome<Ended> {
    for group in &plan.groups {
        // "0" is whoever writes it. What is started later is in the group from its first moment.
        fs::write(group.join("cgroup.procs"), "0").setup("entering the control group")?;
    }
    let mut listeners = Vec::new();
    if plan.layers.contains(&Layer::Namespaces) {
        namespaces()?;
        listeners = super::loopback::listen(&mut plan)?;
    } else {
        // Whatever loses its parent becomes a child of this process, which can then end it.
        set_child_subreaper(Some(rustix::process::getpid())).setup("adopting the cell's processes")?;
    }
    let (near, far) = message::pair().setup("making a pair of sockets")?;
    let mut child = Command::new("/proc/self/exe")
        .arg(ARGUMENT)
        .arg(INSIDE)
        .env_clear()
        // The allocator would take a gigabyte ahead, all of what the limit for a process may be.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .stdin(Stdio::from(far))
        .spawn()
        .lacking(Layer::Namespaces, "starting the first process")?;
    let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let running = message::send(&near, &plan, &files)
        .and_then(|()| message::receive::<Report>(&near).map_err(|error| error.to_string()))
        .setup("speaking with the first process")
        .and_then(|said| match said {
            Some((Report::Ready, _)) => Ok(()),
            Some((report, _)) => Err(report),
            None => Err(Report::Setup { why: "the first process ended before it was ready".into() }),
        });
    if let Err(report) = running {
        end(&mut child);
        return Err(report);
    }
    let listeners: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
    let told = message::send(outer, &Report::Ready, &listeners);
    let how = told.setup("reporting").map(|()| wait(&mut child, &near, outer));
    end(&mut child);
    how
}

/// Enters namespaces of its own, as a user that is nobody outside.
fn namespaces() -> Outcome<()> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    nix::sched::unshare(all).lacking(Layer::Namespaces, "entering namespaces")?;
    let write = |path: &str, text: String| fs::write(Path::new(path), text);
    write("/proc/self/setgroups", "deny".into()).lacking(Layer::Namespaces, "giving up further groups")?;
    write("/proc/self/gid_map", format!("{USER} {group} 1")).lacking(Layer::Namespaces, "setting the group")?;
    write("/proc/self/uid_map", format!("{USER} {user} 1")).lacking(Layer::Namespaces, "setting the user")?;
    rustix::system::sethostname(b"cell").lacking(Layer::Namespaces, "setting the host's name")?;

    // They hold in these namespaces only. An ordinary user's are lost with the next program, unless they are ambient.
    let mut sets = capabilities(None).lacking(Layer::Namespaces, "reading capabilities")?;
    sets.inheritable = sets.permitted;
    set_capabilities(None, sets).lacking(Layer::Namespaces, "keeping capabilities")?;
    for needed in [CapabilitySet::SYS_ADMIN, CapabilitySet::SETPCAP, CapabilitySet::DAC_OVERRIDE] {
        configure_capability_in_ambient_set(needed, true).lacking(Layer::Namespaces, "keeping capabilities")?;
    }
    Ok(())
}

/// Waits until the first process has ended, or rig is gone.
fn wait(child: &mut Child, inside: &OwnedFd, outer: &OwnedFd) -> Ended {
    let Some(pid) = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default()) else { return Ended::Killed };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return Ended::Killed };
    loop {
        let mut watched = [PollFd::new(&handle, PollFlags::IN), PollFd::new(outer, PollFlags::IN)];
        match poll(&mut watched, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return Ended::Killed,
        }
        // rig says nothing more: what can be read is its end.
        if !watched[1].revents().is_empty() {
            return Ended::Killed;
        }
        if !watched[0].revents().is_empty() {
            return match message::receive::<Report>(inside) {
                Ok(Some((Report::Ended { how }, _))) => how,
                _ => Ended::Killed,
            };
        }
    }
}

/// Ends the first process, and with it, in a namespace, all others; without one, whatever has become a child of this process.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
    loop {
        // One thread only: its children are all there are.
        let listed = fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id()));
        let orphans: Vec<Pid> = listed
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw))
            .collect();
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            let _ = rustix::process::kill_process(orphan, rustix::process::Signal::KILL);
            let _ = rustix::process::waitpid(Some(orphan), rustix::process::WaitOptions::empty());
        }
    }
}
