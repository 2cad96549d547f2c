//! What the brain may not do, enforced by the kernel: run a program, reach the network, become somebody else, leave a core.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Gives up, for this process and for ever, what deciding does not need. Called before any thread is started and before
/// anything of strangers is read.
///
/// # Errors
/// An error of a system that knows this and refuses it.
pub fn confine() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    confine_by_system()
}

#[cfg(target_os = "linux")]
fn confine_by_system() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    // A kernel without seccomp, or a processor that the library does not know: the account has no rights all the same.
    if let Err(error) = linux::apply() {
        log::warn!("the process that decides may start programs and make sockets, as its own user: {error}");
    }
    Ok(())
}

/// The account has no rights, and a process that is traced by nobody leaves no core.
#[cfg(not(target_os = "linux"))]
fn confine_by_system() -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use nix::libc;
    use seccompiler::{
        BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, TargetArch,
    };

    /// Calls that start programs, reach other processes or the network, or change what this process is.
    const FORBIDDEN: &[libc::c_long] = &[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_socket,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setgroups,
        libc::SYS_capset,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
        libc::SYS_open_by_handle_at,
    ];

    type Rules = BTreeMap<libc::c_long, Vec<SeccompRule>>;

    /// Everything else is allowed; what is forbidden fails with `EPERM`, so that a mistake of ours is an error and no
    /// death. Threads may be started, processes may not.
    pub(super) fn apply() -> Result<(), Error> {
        let mut rules: Rules = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
        let thread = u64::try_from(libc::CLONE_THREAD).unwrap_or_default();
        let makes_no_thread =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(thread), 0);
        let process =
            SeccompRule::new(vec![makes_no_thread.map_err(Error::Backend)?]).map_err(Error::Backend)?;
        rules.insert(libc::SYS_clone, vec![process]);
        // Whether sshd runs is asked with signal 0.
        let is_signal = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0);
        let signal = SeccompRule::new(vec![is_signal.map_err(Error::Backend)?]).map_err(Error::Backend)?;
        rules.insert(libc::SYS_kill, vec![signal]);
        // A filter cannot read the flags of clone3; without it the C library calls clone.
        let clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
        seccompiler::apply_filter(&filter(clone3, libc::ENOSYS)?)?;
        seccompiler::apply_filter(&filter(rules, libc::EPERM)?)
    }

    fn filter(rules: Rules, errno: libc::c_int) -> Result<BpfProgram, Error> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(Error::Backend)?;
        let refuse = SeccompAction::Errno(u32::try_from(errno).unwrap_or_default());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch);
        filter.and_then(TryInto::try_into).map_err(Error::Backend)
    }
}
