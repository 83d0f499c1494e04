"""Hooks of MkDocs: what the site has besides the pages of this folder.

They add generated pages and the root's pages, turn links into the code into plain text, and move scripts and styles out
of the pages: the service allows neither in a page.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from docs import reference

_PROJECT = Path(__file__).parents[1]
_ROOT_PAGES = {name: f"project/{name.lower()}" for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")}
"""Pages at the root of the project, and their paths in the site."""

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_ALIGNED = re.compile(r' style="text-align: (left|right|center);"')


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the generated pages and those of the root."""
    for path, text in reference.pages().items():
        files.append(File.generated(config, path, content=text))
    for name, path in _ROOT_PAGES.items():
        files.append(File.generated(config, path, content=(_PROJECT / name).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links at the pages of the site; what the site does not have becomes text."""
    source = next((name for name, path in _ROOT_PAGES.items() if path == page.file.src_uri), None)
    here = source or posixpath.join("docs", page.file.src_uri)
    parts = _BLOCK.split(markdown)
    parts[::2] = [_LINK.sub(lambda link: _relinked(link, here, page.file.src_uri), part) for part in parts[::2]]
    return "".join(parts)


def on_post_page(output: str, page: Any, config: Any, **_: Any) -> str:
    """Move scripts into files and alignments into classes."""

    def moved(script: re.Match[str]) -> str:
        content = script[1].encode()
        name = f"assets/page-{hashlib.sha256(content).hexdigest()[:12]}.js"
        path = Path(config.site_dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f'<script src="{posixpath.relpath(name, page.url or ".")}"></script>'

    return _ALIGNED.sub(r' class="\1"', _SCRIPT.sub(moved, output))


def _relinked(link: re.Match[str], here: str, page: str) -> str:
    """Return a link of the page with the project's path `here` as the site's page at `page` has it."""
    mark, text, target = link.groups()
    path, _, anchor = target.partition("#")
    if not path or "://" in target or target.startswith("mailto:"):
        return link[0]
    project_path = posixpath.normpath(posixpath.join(posixpath.dirname(here), path))
    if project_path in _ROOT_PAGES:
        site_path = _ROOT_PAGES[project_path]
    elif project_path.startswith("docs/"):
        site_path = project_path.removeprefix("docs/")
    else:
        return text
    relative = posixpath.relpath(site_path, posixpath.dirname(page) or ".")
    return f"{mark}[{text}]({relative}{'#' + anchor if anchor else ''})"
