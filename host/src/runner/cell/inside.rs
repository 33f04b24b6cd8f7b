//! The third start of rig, the first process in a cell: builds the root, confines itself, starts the program, and ends with it.
//!
//! From then on it has no right that the program lacks and no file that leads out, so it is nothing worth to take over.

use std::{
    fs,
    os::fd::{AsFd as _, OwnedFd},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    process::{
        DumpableBehavior, Pid, Signal, WaitOptions, set_dumpable_behavior, set_parent_process_death_signal, wait,
    },
    thread::set_no_new_privs,
};

use super::{
    Ended, Layer, confine, filter,
    message::{self, Explain as _, Outcome, Plan, Report},
    root,
};

/// How often the processes' memory is added up, where no control group does that. What is taken between two looks is bounded by the speed
/// of the machine's memory.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn run(socket: &OwnedFd) -> ExitCode {
    let Ok(Some((plan, files))) = message::receive::<Plan>(socket) else { return ExitCode::FAILURE };
    let Some((program, own_proc)) = (match start(&plan, files) {
        Ok(started) => {
            if message::send(socket, &Report::Ready, &[]).is_err() {
                return ExitCode::FAILURE;
            }
            started
        }
        Err(report) => {
            let _ = message::send(socket, &report, &[]);
            return ExitCode::FAILURE;
        }
    }) else {
        return ExitCode::SUCCESS;
    };
    if plan.groups.is_empty() && own_proc {
        let socket = socket.as_fd().try_clone_to_owned();
        let allowed = plan.limits.memory;
        if let Ok(socket) = socket {
            thread::spawn(move || watch_memory(allowed, &socket));
        }
    }
    let how = reap(&program);
    let _ = message::send(socket, &Report::Ended { how }, &[]);
    ExitCode::SUCCESS
}

fn start(plan: &Plan, files: Vec<OwnedFd>) -> Outcome<Option<(Child, bool)>> {
    // Where it does not share its end with the second start: that one dies, this one does.
    set_parent_process_death_signal(Some(Signal::KILL)).setup("tying the cell to rig")?;
    let place = root::build(plan)?;
    confine::limits(plan)?;
    confine::capabilities()?;
    // What is in this process's memory is nobody's business in the cell; its files in /proc are closed by that as well.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).setup("closing the first process")?;
    set_no_new_privs(true).setup("giving up new privileges")?;
    if plan.layers.contains(&Layer::Landlock) {
        confine::landlock(plan, &place)?;
    }
    if plan.layers.contains(&Layer::Seccomp) {
        filter::apply(plan.layers.contains(&Layer::Namespaces))?;
    }
    let Some(program) = &plan.program else { return Ok(None) };
    let stdin = files.into_iter().next().ok_or_else(|| Report::Setup { why: "no stdin came along".into() })?;
    let child = Command::new(program)
        .args(&plan.args)
        .env_clear()
        .envs(place.environment(plan))
        .envs(plan.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&place.scratch)
        .stdin(Stdio::from(stdin))
        .spawn()
        .map_err(|error| Report::Program { why: error.to_string() })?;
    Ok(Some((child, place.own_proc)))
}

/// Waits for the program. Whatever else ends meanwhile is taken note of, so that it goes away.
fn reap(program: &Child) -> Ended {
    let wanted = i32::try_from(program.id()).unwrap_or_default();
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == wanted => {
                return status
                    .exit_status()
                    .map_or_else(|| Ended::Signal(status.terminating_signal().unwrap_or_default()), Ended::Exit);
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Ended::Killed,
        }
    }
}

/// Ends the cell when all processes together hold more than that.
fn watch_memory(allowed: u64, socket: &OwnedFd) {
    loop {
        thread::sleep(LOOK);
        if memory_held() > allowed {
            let _ = message::send(socket, &Report::Ended { how: Ended::Memory }, &[]);
            std::process::exit(1);
        }
    }
}

/// What the processes that can be seen hold for themselves or share without a file. Pages shared after a fork count for each.
fn memory_held() -> u64 {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let processes = entries.flatten().filter(|entry| {
        entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw).is_some()
    });
    processes.filter_map(|process| fs::read_to_string(process.path().join("status")).ok()).map(|s| held(&s)).sum()
}

fn held(status: &str) -> u64 {
    let kib = |line: &str| line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    let counted = ["RssAnon:", "RssShmem:"];
    let lines = status.lines().filter_map(|line| counted.iter().find_map(|name| line.strip_prefix(name)));
    lines.filter_map(kib).sum::<u64>() << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_a_file_does_not_count() {
        let status = "Name:\tx\nVmRSS:\t  900 kB\nRssAnon:\t  100 kB\nRssFile:\t  700 kB\nRssShmem:\t  20 kB\n";
        assert_eq!(held(status), 120 << 10);
        assert_eq!(held("Name:\tkthread\n"), 0);
        assert!(memory_held() > 0);
    }
}
