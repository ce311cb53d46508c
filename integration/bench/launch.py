"""
launch.py FD COMMAND...: run COMMAND and write its wall and CPU seconds and peak memory in KiB to FD.

A process of its own and a small one: the kernel counts the memory of the process that forks as the
first peak of the one that is started.
"""
import os, sys, time

os.set_inheritable(int(sys.argv[1]), False)
began = time.monotonic()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
status, used = os.wait4(child, 0)[1:]
wall = time.monotonic() - began
os.write(int(sys.argv[1]), b'%f %f %d' % (wall, used.ru_utime + used.ru_stime, used.ru_maxrss))
sys.exit(1 if status else 0)
