"""Becomes a program that runs as an unprivileged account and ends with the process that started it.

    python -I -S launch.py UID GID DEATH_SIGNAL PARENT_PID PROGRAM [ARGUMENT ...]

The program keeps this process's PID, files and environment. If it cannot be started, the reason is on
standard error and the exit status is 1.

This is a program and not a `preexec_fn`, because code between fork and exec of a process with threads may
dead-lock (Python 3.12 warns of it), and not `Popen(user=…)`, because the kernel forgets the death signal when
the uid changes: it has to be set after that, by the process itself. It costs 10 ms.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def end_with_parent(death_signal: int, parent: int) -> None:
    """Ask the kernel for `death_signal` when the thread that started this process ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl: {os.strerror(error)}")
    if os.getppid() != parent:
        raise ProcessLookupError(f"process {parent}, which started this one, is gone")


def become(uid: int, gid: int) -> None:
    """Switch to an account for good, without any further group."""
    if os.geteuid() == uid:
        return
    try:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    except OSError as error:
        sys.exit(f"root may not become uid {uid} here ({error.strerror}): start taskrpc as an unprivileged user")


def main(arguments: list[str]) -> None:
    """Carry out the command line described at the top of this file; does not return."""
    uid, gid, death_signal, parent = map(int, arguments[:4])
    command = arguments[4:]
    try:
        os.umask(0o077)
        become(uid, gid)
        end_with_parent(death_signal, parent)
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"cannot run {command[0]} as uid {uid}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
