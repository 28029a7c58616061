"""Runs compilers on many small sources that include <metaflow/metaflow.h>."""

import pathlib
import subprocess


def is_clang(compiler):
    return "clang" in pathlib.Path(compiler).name


def precompile(compiler, flags, include, directory):
    """Precompiles <metaflow/metaflow.h>, which is most of the work; gives back the options that use it."""
    header = pathlib.Path(directory) / pathlib.Path(compiler).name / "metaflow" / "metaflow.h"
    header.parent.mkdir(parents=True)
    header.write_text(f'#include "{pathlib.Path(include).resolve()}/metaflow/metaflow.h"\n')
    made = header.with_suffix(".h.pch" if is_clang(compiler) else ".h.gch")
    subprocess.run([compiler, *flags, f"-I{include}", "-x", "c++-header", header, "-o", made], check=True)
    # g++ finds the precompiled header beside the header, clang needs an option.
    return ["-include-pch", made] if is_clang(compiler) else [f"-I{header.parent.parent}", "-Winvalid-pch"]
