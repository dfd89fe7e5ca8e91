"""What Docker's default seccomp profile refuses to a container without capabilities on x86-64, by reason.

The profile lists what is allowed, and answers EPERM to all else; this is that list's other side, which is shorter.
Source: moby/moby, profiles/seccomp/default.json; docs.docker.com, "Seccomp security profiles for Docker".
"""

REFUSED = {
    "namespaces": "unshare setns",
    "mounts": (
        "mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr "
        "swapon swapoff quotactl quotactl_fd nfsservctl"
    ),
    "the kernel and its modules": (
        "create_module init_module finit_module delete_module get_kernel_syms query_module kexec_load kexec_file_load "
        "bpf perf_event_open lookup_dcookie userfaultfd io_uring_setup io_uring_enter io_uring_register"
    ),
    "keys, which no namespace divides": "add_key request_key keyctl",
    "memory's place": "mbind set_mempolicy get_mempolicy set_mempolicy_home_node migrate_pages move_pages",
    "other processes": "kcmp pidfd_getfd process_madvise",
    "files by handle": "open_by_handle_at fanotify_init",
    "the machine's own": (
        "reboot settimeofday clock_settime sethostname setdomainname syslog acct iopl ioperm vhangup"
    ),
    "what nobody needs any more": ("uselib ustat sysfs _sysctl getpmsg putpmsg afs_syscall tuxcall security vserver"),
}
NAMESPACES = 0x7E020000  # all CLONE_NEW… flags that `clone` takes; with one of them it is refused
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # all that `personality` may ask for
AF_VSOCK = 40  # the one family that `socket` is refused

# /proc and /sys as Docker shows them. Source: moby/moby, oci/defaults.go
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
