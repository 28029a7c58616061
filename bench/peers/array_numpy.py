"""The array of flows/array.cc with numpy.save and numpy.load. usage: array_numpy.py MIB FILE"""
import sys

import numpy
from stamp import evict, stamp

mib, path = int(sys.argv[1]), sys.argv[2]
data = numpy.random.default_rng(1).random(mib * 1024 * 1024 // 8)
stamp("made")
numpy.save(path, data)
stamp("saved")
del data
for name in ("warm", "cold", "mapped_warm", "mapped_cold"):
    if name.endswith("cold"):
        evict(path)
    stamp(name)
    read = numpy.load(path, mmap_mode="r" if name.startswith("mapped") else None)
    read[0]
    stamp(name + "_first")
    read.sum()
    stamp(name + "_total")
    del read
