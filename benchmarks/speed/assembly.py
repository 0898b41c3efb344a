"""`python -m benchmarks.speed.assembly`: are the hot loops vector instructions, here and, cross-compiled, on ARM?

LLVM optimises numba's unoptimised code of a kernel for another processor, as numba on such a board would. Instructions
are counted in the text, not in the execution.
"""

import os
import re
import subprocess
import sys
import tempfile
from typing import Any

TARGETS = {
    "Raspberry Pi 4 (cortex-a72)": ("aarch64-unknown-linux-gnu", "cortex-a72", ""),
    "Raspberry Pi 5 (cortex-a76)": ("aarch64-unknown-linux-gnu", "cortex-a76", ""),
    "Jetson Orin Nano (cortex-a78)": ("aarch64-unknown-linux-gnu", "cortex-a78", ""),
    "x86-64, AVX2 (haswell)": ("x86_64-unknown-linux-gnu", "haswell", ""),
    "x86-64, AVX-512 (znver4)": ("x86_64-unknown-linux-gnu", "znver4", "+prefer-256-bit"),
}
LAYOUTS = {
    "aarch64": "e-m:e-p270:32:32-p271:32:32-p272:64:64-i8:8:32-i16:16:32-i64:64-i128:128-n32:64-S128-Fn32",
    "x86_64": "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128",
}
ADDS = {"aarch64": r"\b(add|saddw2?|saddl2?|sub)\s+v\d+\.", "x86_64": r"\bvp(add|sub)[wdq]\b"}
PRODUCTS = {"aarch64": r"\b(smlal2?|smull2?|mul|mla)\s+v\d+\.", "x86_64": r"\bvpmul(dq|udq|lq|ld)\b"}
KERNELS = {
    "count_sums": "i2[:, ::1], i2[:, ::1], i8[::1], i8, i8, i4[:, ::1]",
    "run_alone": "i4[:, ::1], i4[:, ::1], i4[::1], i8, i8, i8, i4[::1], i4[::1], i4[::1], i4[::1], i4[::1]",
    "inhibit_and_decorrelate": "i4[:, ::1], i4[::1], i4[::1], i8, i8",
    "lose": "i4[:, ::1], i4[::1], i4[::1], i8, i8, i8",
}
"""Kernel -> types of its arguments, in numba's words."""


def unoptimised(kernel: str) -> str:
    """Return numba's LLVM code of a kernel as it is before optimisation; NUMBA_OPT=0 must be set."""
    from numba.core.sigutils import normalize_signature

    from edge_app.colanet import kernels

    dispatcher = getattr(kernels, kernel)
    types, _ = normalize_signature(f"({KERNELS[kernel]},)")
    dispatcher.compile(types)
    found: dict[Any, str] = dispatcher.inspect_llvm()
    return next(iter(found.values()))


def assembly(code: str, triple: str, cpu: str, features: str) -> str:
    """Return LLVM code optimised and compiled for a processor."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=3)
    layout = LAYOUTS[triple.split("-")[0]]
    # numba wrote the code for this processor; another one has other layouts of types in memory
    code = re.sub(r'target datalayout = ".*"', f'target datalayout = "{layout}"', code)
    code = re.sub(r'target triple = ".*"', f'target triple = "{triple}"', code)
    module = llvm.parse_assembly(code)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_assembly(module)


def main() -> int:
    """Print how many vector additions and products each kernel has on each processor."""
    if os.environ.get("NUMBA_OPT") != "0":
        with tempfile.TemporaryDirectory() as folder:  # what is not optimised must not come into the cache in use
            environ = os.environ | {"NUMBA_OPT": "0", "NUMBA_CACHE_DIR": folder, "PYTHONPATH": ":".join(sys.path)}
            command = [sys.executable, "-m", "benchmarks.speed.assembly"]
            return subprocess.run(command, env=environ, check=False).returncode  # noqa: S603
    for kernel in KERNELS:
        code = unoptimised(kernel)
        for name, (triple, cpu, features) in TARGETS.items():
            text, kind = assembly(code, triple, cpu, features), triple.split("-")[0]
            adds, products = (len(re.findall(pattern, text)) for pattern in (ADDS[kind], PRODUCTS[kind]))
            sys.stdout.write(f"{kernel:26}{name:32}{adds:5} vector additions {products:5} vector products\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
