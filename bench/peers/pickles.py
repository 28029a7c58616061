"""The values of values_bench.cc through Python's own pickle. Prints NAME NANOSECONDS_PER_ITEM lines."""
import pickle
import time

MANY, SOME = 2_000_000, 500_000
MASK = (1 << 64) - 1


def scrambled(i):
    return i * 0x9E3779B97F4A7C15 & MASK


samples = {
    "vector<double>": lambda: [scrambled(i) * 2.0**-64 for i in range(MANY)],
    "vector<int>": lambda: [(bits >> 40) >> (bits & 15) for bits in map(scrambled, range(MANY))],
    "vector<string>": lambda: [f"symbol-{i}" for i in range(SOME)],
    "map<string,double>": lambda: {f"symbol-{i}": i / 7 for i in range(SOME)},
    "vector<struct>": lambda: [{"id": i, "price": i / 7, "symbol": f"symbol-{i % 500}"} for i in range(SOME)],
}
for name, sample in samples.items():
    values = sample()
    best = {"encode": float("inf"), "decode": float("inf")}
    for _ in range(3):
        begin = time.process_time()
        payload = pickle.dumps(values, protocol=4)
        middle = time.process_time()
        copy = pickle.loads(payload)
        end = time.process_time()
        best["encode"] = min(best["encode"], middle - begin)
        best["decode"] = min(best["decode"], end - middle)
        del copy
    for what, seconds in best.items():
        print(f"{what}/{name} {seconds / len(values) * 1e9}")
