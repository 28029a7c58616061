"""The main module of processes that multiprocessing starts anew (spawn, forkserver) from an unchanged flow: there, too,
`import metaflow` means this package. multiprocessing finds it by the name in `__spec__` of the parent's main module."""

import os
import runpy

if __name__ == "__mp_main__":
    from metaflow_cpp import _reference

    _reference.install()
    globals().update(runpy.run_path(os.environ["METAFLOW_FLOW_FILE"], run_name=__name__))
