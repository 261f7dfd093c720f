"""Imported before anything else that uses pyarrow, keeps it from taking time and memory that a function can do without.

Where pandas is installed, as it is for awswrangler in the loader's layer, pyarrow imports it at the first value it is
given, only to ask whether that is one of pandas: 0.3 s and 40 MB of a function that has no use for it. Its Cython and
its C++ each try once; a value without a type makes both try.

Arrow's own heap takes memory in pages of 2 MB, and has to be given them filled with zeros: 30 MB more than C's heap for
a loader, which keeps little but the buffers of two chunks.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(f"{name} is not for this function", name=name)


_no_pandas = _NoPandas()
sys.meta_path.insert(0, _no_pandas)
pa.scalar(0)
sys.meta_path.remove(_no_pandas)

pa.set_memory_pool(pa.system_memory_pool())
