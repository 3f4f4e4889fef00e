"""The messages of the Functions worker, from the wheel of azure-functions-runtime-v1.

They stand there under `tests/protos`, whose __init__ wants grpc and whose name would take the place of our own tests,
so the three modules are loaded by file under a package name of ours.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import files
from pathlib import Path
from types import ModuleType

PACKAGE = "keyturn_worker_protos"
_MODULES = ("identity.ClaimsIdentityRpc_pb2", "shared.NullableTypes_pb2", "FunctionRpc_pb2")


def load() -> ModuleType:
    """The module FunctionRpc_pb2."""
    if f"{PACKAGE}.FunctionRpc_pb2" not in sys.modules:
        folder = _folder()
        for package in (PACKAGE, f"{PACKAGE}.identity", f"{PACKAGE}.shared"):
            module = ModuleType(package)
            module.__path__ = [str(folder.joinpath(*package.split(".")[1:]))]
            sys.modules[package] = module
        for name in _MODULES:
            _load(f"{PACKAGE}.{name}", folder.joinpath(*name.split(".")).with_suffix(".py"))
    return sys.modules[f"{PACKAGE}.FunctionRpc_pb2"]


def _folder() -> Path:
    for file in files("azure-functions-runtime-v1") or ():
        if file.name == "FunctionRpc_pb2.py":
            return Path(str(file.locate())).parent
    message = "azure-functions-runtime-v1 does not carry FunctionRpc_pb2.py: reinstall with make clean setup"
    raise RuntimeError(message)


def _load(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        message = f"{path} can't be loaded"
        raise RuntimeError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
