"""The stamps of flows/stamp.h, in Python."""
import resource
import time


def stamp(name):
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int((used.ru_utime + used.ru_stime) * 1e6)
    print(f"@{name} {time.monotonic_ns() // 1000} {cpu} {used.ru_maxrss}", flush=True)


def evict(path):
    import os
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
