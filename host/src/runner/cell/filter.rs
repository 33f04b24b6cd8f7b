//! The filter of system calls: what no program of a pack needs, and what attacks on kernels begin with.
//!
//! Calls are allowed unless they are listed, because what interpreters and compiled libraries use differs with every version and machine,
//! and a list of everything they may use breaks packs without being much shorter than the kernel's own. Two things make up for it: a
//! call with a number newer than this file is not there (`ENOSYS`), and the calls that open new parts of the kernel to users without
//! rights (namespaces, `io_uring`, `bpf`, keys, `userfaultfd`, the odd socket families) are on the list.

use std::collections::BTreeMap;

use libc::{self as sys, c_long};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::{
    Layer,
    message::{Explain as _, Outcome},
};

/// The newest call that is known here, `mseal` of Linux 6.10. The numbers from 424 on are the same on every architecture.
const NEWEST: c_long = sys::SYS_mseal;

/// Not in `libc` yet; the same everywhere.
const STATMOUNT: c_long = 457;
const LISTMOUNT: c_long = 458;

/// Refused as not permitted.
const REFUSED: &[c_long] = &[
    // Other processes' memory and files.
    sys::SYS_ptrace,
    sys::SYS_process_vm_readv,
    sys::SYS_process_vm_writev,
    sys::SYS_process_madvise,
    sys::SYS_pidfd_getfd,
    sys::SYS_kcmp,
    // Mounts, roots and namespaces.
    sys::SYS_mount,
    sys::SYS_umount2,
    sys::SYS_pivot_root,
    sys::SYS_chroot,
    sys::SYS_unshare,
    sys::SYS_setns,
    sys::SYS_open_tree,
    sys::SYS_move_mount,
    sys::SYS_fsopen,
    sys::SYS_fsconfig,
    sys::SYS_fsmount,
    sys::SYS_fspick,
    sys::SYS_mount_setattr,
    STATMOUNT,
    LISTMOUNT,
    sys::SYS_open_by_handle_at,
    sys::SYS_name_to_handle_at,
    sys::SYS_quotactl,
    sys::SYS_quotactl_fd,
    // Programs, keys, counters and rings in the kernel.
    sys::SYS_bpf,
    sys::SYS_perf_event_open,
    sys::SYS_userfaultfd,
    sys::SYS_io_uring_setup,
    sys::SYS_io_uring_enter,
    sys::SYS_io_uring_register,
    sys::SYS_add_key,
    sys::SYS_request_key,
    sys::SYS_keyctl,
    sys::SYS_fanotify_init,
    sys::SYS_fanotify_mark,
    sys::SYS_lookup_dcookie,
    sys::SYS_vhangup,
    sys::SYS_vmsplice,
    // Memory that no limit counts: it belongs to no process.
    sys::SYS_memfd_create,
    sys::SYS_memfd_secret,
    sys::SYS_shmget,
    sys::SYS_shmat,
    sys::SYS_shmctl,
    sys::SYS_semget,
    sys::SYS_msgget,
    sys::SYS_mq_open,
    // The machine itself.
    sys::SYS_reboot,
    sys::SYS_kexec_load,
    sys::SYS_kexec_file_load,
    sys::SYS_init_module,
    sys::SYS_finit_module,
    sys::SYS_delete_module,
    sys::SYS_swapon,
    sys::SYS_swapoff,
    sys::SYS_acct,
    sys::SYS_syslog,
    sys::SYS_settimeofday,
    sys::SYS_clock_settime,
    sys::SYS_clock_adjtime,
    sys::SYS_adjtimex,
    sys::SYS_sethostname,
    sys::SYS_setdomainname,
    sys::SYS_personality,
    sys::SYS_nfsservctl,
    // Where memory lies.
    sys::SYS_mbind,
    sys::SYS_migrate_pages,
    sys::SYS_move_pages,
    sys::SYS_set_mempolicy,
    #[cfg(target_arch = "x86_64")]
    sys::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    sys::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    sys::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    sys::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    sys::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    sys::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    sys::SYS__sysctl,
];

/// Its flags are in memory, where a filter does not see them. Told that there is no such call, libraries use `clone`.
const NOT_THERE: &[c_long] = &[sys::SYS_clone3];

/// Namespaces that a new process could ask for.
const NEW_NAMESPACES: i32 = sys::CLONE_NEWUSER
    | sys::CLONE_NEWNS
    | sys::CLONE_NEWPID
    | sys::CLONE_NEWNET
    | sys::CLONE_NEWIPC
    | sys::CLONE_NEWUTS
    | sys::CLONE_NEWCGROUP;

/// The kinds of sockets, without the flags that are added to them.
const KIND: u64 = 0xf;

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Puts the filters before every system call of this process and of all that it starts.
pub(super) fn apply(own_network: bool) -> Outcome<()> {
    const DOING: &str = "setting the filter";
    let arch = TargetArch::try_from(std::env::consts::ARCH).lacking(Layer::Seccomp, DOING)?;
    let refused = rules(own_network).lacking(Layer::Seccomp, DOING)?;
    let known: Rules = (0..=NEWEST).filter(|number| !NOT_THERE.contains(number)).map(|n| (n, Vec::new())).collect();
    for (rules, matched, otherwise) in
        [(refused, errno(sys::EPERM), SeccompAction::Allow), (known, SeccompAction::Allow, errno(sys::ENOSYS))]
    {
        let filter = SeccompFilter::new(rules, otherwise, matched, arch).lacking(Layer::Seccomp, DOING)?;
        let program: BpfProgram = filter.try_into().lacking(Layer::Seccomp, DOING)?;
        apply_filter(&program).lacking(Layer::Seccomp, DOING)?;
    }
    Ok(())
}

fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}

fn rules(own_network: bool) -> Result<Rules, BackendError> {
    let mut rules: Rules = REFUSED.iter().map(|number| (*number, Vec::new())).collect();
    // Each bit by itself: a rule matches when all of its conditions do.
    let namespaces: Result<Vec<_>, _> = (0..i32::BITS)
        .map(|bit| 1_u64 << bit)
        .filter(|bit| NEW_NAMESPACES.unsigned_abs() & u32::try_from(*bit).unwrap_or_default() != 0)
        .map(|bit| SeccompRule::new(vec![condition(0, SeccompCmpOp::MaskedEq(bit), bit)?]))
        .collect();
    rules.insert(sys::SYS_clone, namespaces?);
    rules.insert(sys::SYS_socket, sockets(own_network)?);
    // Input as if it were typed at the terminal that rig was started from.
    let typed = SeccompRule::new(vec![condition(1, SeccompCmpOp::Eq, sys::TIOCSTI)?])?;
    let console = SeccompRule::new(vec![condition(1, SeccompCmpOp::Eq, sys::TIOCLINUX)?])?;
    rules.insert(sys::SYS_ioctl, vec![typed, console]);
    Ok(rules)
}

/// Sockets of the internet's two families, for streams, and for datagrams where those lead nowhere. Of netlink, what lists
/// interfaces. Pairs of Unix sockets are another call; to one by name nothing in a cell needs to connect.
fn sockets(own_network: bool) -> Result<Vec<SeccompRule>, BackendError> {
    use SeccompCmpOp::{Eq, Ge, MaskedEq, Ne};
    let family = |number: i32| u64::from(number.unsigned_abs());
    let (inet, inet6, netlink) = (family(sys::AF_INET), family(sys::AF_INET6), family(sys::AF_NETLINK));
    let mut refused = vec![vec![condition(0, Ne, inet)?, condition(0, Ne, inet6)?, condition(0, Ne, netlink)?]];
    refused.push(vec![condition(0, Eq, netlink)?, condition(2, Ne, u64::from(sys::NETLINK_ROUTE.unsigned_abs()))?]);
    for internet in [inet, inet6] {
        // Raw, sequenced, reliable and DCCP sockets; then anything that is not TCP or UDP, MPTCP and SCTP among it.
        refused.push(vec![condition(0, Eq, internet)?, condition(1, MaskedEq(KIND), family(sys::SOCK_RAW))?]);
        for kind in [sys::SOCK_SEQPACKET, sys::SOCK_DCCP, sys::SOCK_RDM] {
            refused.push(vec![condition(0, Eq, internet)?, condition(1, MaskedEq(KIND), family(kind))?]);
        }
        refused.push(vec![
            condition(0, Eq, internet)?,
            condition(2, Ne, 0)?,
            condition(2, Ne, family(sys::IPPROTO_TCP))?,
            condition(2, Ne, family(sys::IPPROTO_UDP))?,
        ]);
        if !own_network {
            refused.push(vec![condition(0, Eq, internet)?, condition(1, MaskedEq(KIND), family(sys::SOCK_DGRAM))?]);
        }
    }
    // A family's number is an int; what does not fit in it never compares as one of the three.
    refused.push(vec![condition(0, Ge, 1 << 16)?]);
    refused.into_iter().map(SeccompRule::new).collect()
}

fn condition(argument: u8, how: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Dword, how, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile() {
        let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
        for own_network in [true, false] {
            let filter = SeccompFilter::new(rules(own_network).unwrap(), SeccompAction::Allow, errno(1), arch).unwrap();
            let program: seccompiler::BpfProgram = filter.try_into().unwrap();
            assert!(program.len() > REFUSED.len(), "{}", program.len());
        }
        assert!(REFUSED.iter().all(|number| (0..=NEWEST).contains(number)), "a call that the second filter hides");
    }
}
