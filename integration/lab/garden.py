"""A container as Concourse makes one for a resource: runc with the user namespace, capabilities, forbidden system
calls and environment of an unprivileged worker container, the request on standard input, the result on standard output."""
import json, pathlib, shutil, subprocess, uuid

CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'NET_RAW', 'SETFCAP', 'SETGID',
                'SETPCAP', 'SETUID', 'SYS_CHROOT', 'AUDIT_WRITE']
# an allow-list forbids these; what a container engine's own setting up needs is not in it
FORBIDDEN = ['io_uring_setup', 'io_uring_enter', 'io_uring_register', 'fanotify_init', 'fsopen', 'fsconfig', 'fsmount', 'fspick',
             'open_tree', 'move_mount', 'mount_setattr', 'mount', 'umount2', 'unshare', 'setns', 'pivot_root', 'bpf', 'perf_event_open',
             'userfaultfd', 'keyctl', 'add_key', 'request_key', 'ptrace', 'open_by_handle_at', 'syslog', 'swapon', 'reboot',
             'init_module', 'kexec_load']
LAST_ID = 4294967294        # the worker's root of an unprivileged container
ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'USER=root', 'BUILD_ID=7', 'BUILD_NAME=3',
               'BUILD_JOB_NAME=job', 'BUILD_PIPELINE_NAME=pipe', 'BUILD_TEAM_NAME=main', 'ATC_EXTERNAL_URL=http://localhost:8080']


def specification(rootfs, argv, mounts, environment):
    ids = [{'containerID': 0, 'hostID': LAST_ID, 'size': 1}, {'containerID': 1, 'hostID': 1, 'size': 100000}]
    caps = ['CAP_' + name for name in CAPABILITIES]
    binds = [{'destination': to, 'source': str(source), 'type': 'bind', 'options': ['bind', mode]} for to, source, mode in mounts]
    return {
        'ociVersion': '1.0.2', 'hostname': 'garden',
        'root': {'path': str(rootfs), 'readonly': False},
        'process': {'args': argv, 'cwd': '/', 'env': ENVIRONMENT + environment, 'user': {'uid': 0, 'gid': 0}, 'terminal': False,
                    'noNewPrivileges': False,
                    'capabilities': {kind: caps for kind in ('bounding', 'effective', 'permitted', 'inheritable')}},
        'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc', 'options': ['nosuid', 'noexec', 'nodev']},
                   {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['nosuid', 'mode=755', 'size=65536k']},
                   *binds],
        'linux': {
            # the host's network: the registry under test listens on its loopback
            'namespaces': [{'type': t} for t in ('user', 'pid', 'ipc', 'uts', 'mount')],
            'uidMappings': ids, 'gidMappings': ids,
            'maskedPaths': ['/proc/kcore', '/proc/keys', '/proc/timer_list'], 'readonlyPaths': ['/proc/sys', '/proc/sysrq-trigger'],
            'seccomp': {'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64'],
                        'syscalls': [{'names': FORBIDDEN, 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 1}]},
        },
    }


class Container:
    """ROOTFS belongs to the container's root already: see own()."""

    def __init__(self, rootfs, place):
        self.rootfs, self.place = pathlib.Path(rootfs), pathlib.Path(place)

    def run(self, argv, request, mounts=(), environment=(), timeout=120):
        """(exit status, standard output, standard error)"""
        name, bundle = 'rootlet-test-' + uuid.uuid4().hex[:12], self.place / 'bundle'
        bundle.mkdir(parents=True)
        (bundle / 'config.json').write_text(json.dumps(specification(self.rootfs, argv, mounts, list(environment))))
        try:
            done = subprocess.run(['runc', '--root', self.place / 'runc', 'run', '--bundle', bundle, name],
                                  input=json.dumps(request).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
            return done.returncode, done.stdout.decode(), done.stderr.decode(errors='replace')
        finally:
            subprocess.run(['runc', '--root', self.place / 'runc', 'delete', '--force', name], stderr=subprocess.DEVNULL)
            shutil.rmtree(bundle)


def own(tree):
    """Give a tree to the container's root, as a worker's volumes are."""
    subprocess.run(['chown', '-R', '-h', '%d:%d' % (LAST_ID, LAST_ID), tree], check=True)
