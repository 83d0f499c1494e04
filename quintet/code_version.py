"""Code versions: hashes over the code that a table depends on and nothing else.

A module depends on itself, on the `quintet` modules that it imports anywhere, on the data files in its folder, and on
the versions of the packages that these modules import.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[1]

_PRODUCT = "quintet"
_DATA_SUFFIXES = (".sql", ".toml", ".typ")
_FROM = re.compile(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([\w.]+(?:[ \t]*,[ \t]*[\w.]+)*)", re.MULTILINE)
_NAME = re.compile(r"\w+")
_OTHER_NAMES = {"sklearn": "scikit-learn", "vl_convert": "vl-convert-python", "yaml": "pyyaml"}
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def code_version(*modules: str, project: Path = PROJECT) -> str:
    """Return the code version of `quintet` modules, as 16 hexadecimal digits.

    Raises FileNotFoundError for an unknown module.
    """
    return digest_of(code_files(*modules, project=project), project, _packages(modules, project))


def code_files(*modules: str, project: Path = PROJECT) -> list[Path]:
    """Return the files that `quintet` modules depend on, sorted."""
    return sorted({file for path in _closure(modules, project) for file in _files_of(path, project)})


def imported_modules(files: Iterable[Path]) -> list[str]:
    """Return the `quintet` modules that the files import, sorted."""
    return sorted({name for file in files for name in _imports(file) if name.split(".")[0] == _PRODUCT})


def digest_of(files: Iterable[Path], project: Path, versions: Iterable[str] = ()) -> str:
    """Return a hash over the names and contents of files, and over the versions of packages."""
    digest = hashlib.sha256("\n".join(sorted(versions)).encode())
    for file in files:
        digest.update(f"\0{file.relative_to(project).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def files_digest(folder: Path, patterns: Iterable[str]) -> str:
    """Return a hash over the names and contents of the files below `folder` that match any of the glob patterns."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _closure(modules: Iterable[str], project: Path) -> set[Path]:
    """Return the files of the modules and of all `quintet` modules that they import, directly or indirectly."""
    found: set[Path] = set()
    waiting = [path for name in modules for path in _paths_of(name, project)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported_files(path, project)
    return found


@cache
def _imported_files(path: Path, project: Path) -> frozenset[Path]:
    """Return the files of the `quintet` modules that a file imports."""
    names = (name for name in _imports(path) if name.split(".")[0] == _PRODUCT)
    return frozenset(file for name in names for file in _paths_of(name, project))


def _packages(modules: Iterable[str], project: Path) -> set[str]:
    """Return the locked versions of the packages that the modules need, directly or not, as `name==version`."""
    locked = locked_versions(project)
    names = {package_of(module) for path in _closure(modules, project) for module in _imports(path)}
    return {f"{name}=={locked[name]}" for name in names if name in locked}


def package_of(module: str) -> str:
    """Return the name of a module's package in the lock file."""
    top = module.split(".", maxsplit=1)[0]
    return _OTHER_NAMES.get(top, top.lower().replace("_", "-"))


@cache
def locked_versions(project: Path = PROJECT) -> dict[str, str]:
    """Return the versions that the lock file pins, by package; empty if there is no lock file."""
    lock = project / "requirements.lock"
    return dict(_LOCKED.findall(lock.read_text("utf-8"))) if lock.exists() else {}


@cache
def _imports(path: Path) -> frozenset[str]:
    """Return the names that a file imports, at its top or in a function; some may be no modules."""
    return frozenset(_imported(path.read_text("utf-8")))


def _imported(source: str) -> Iterator[str]:
    for module, names in _FROM.findall(source):
        if module.split(".")[0] == _PRODUCT:
            yield from (f"{module}.{name}" for name in _NAME.findall(names))
        else:
            yield module
    for modules in _IMPORT.findall(source):
        yield from (name.strip() for name in modules.split(","))


@cache
def _paths_of(module: str, project: Path) -> tuple[Path, ...]:
    """Return the file of a module; for a package, all files in it: who imports a package looks for modules in it."""
    path = _path_of(module, project)
    is_package = path == project.joinpath(*module.split("."), "__init__.py")
    return tuple(sorted(path.parent.rglob("*.py"))) if is_package else (path,)


@cache
def _path_of(module: str, project: Path) -> Path:
    """Return the file of a module or package; for a name in a module, the file of the module."""
    path = project.joinpath(*module.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.exists():
            return candidate
    parent = module.rpartition(".")[0]
    if not parent:
        raise FileNotFoundError(f"there is no module {module} below {project}")
    return _path_of(parent, project)


@cache
def _files_of(path: Path, project: Path) -> frozenset[Path]:
    """Return a module's file, the files of its parent packages, and the data files in its folder."""
    beside = (file for file in path.parent.iterdir() if file.suffix in _DATA_SUFFIXES)
    return frozenset({path, *beside, *(parent / "__init__.py" for parent in path.parents if project in parent.parents)})
