"""Hooks of mkdocs: pages from outside docs/, pages of the API, links between all of them, and tabs for code in two languages."""

import os
import pathlib
import posixpath
import re
import sys
import textwrap

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "dev" / "site"))

import api  # noqa: E402

OUTSIDE = ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md"]  # by the same names in the site
ASSETS = ["site.css", "site.svg", "worker.js"]
SHIM = "https://unpkg.com/iframe-worker/shim"  # of the theme; worker.js replaces it
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s]+)\)")
FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)

PAIR = re.compile(r"^(```cpp\n(?:(?!```).*\n)*```\n)\n?(```python\n(?:(?!```).*\n)*```)$", re.MULTILINE)

pages = {}


def fill(nav, made):
    for part in nav:
        for title, value in part.items() if isinstance(part, dict) else []:
            if isinstance(value, list):
                fill(value, made)
            else:
                part[title] = made.get(value, value)


def on_config(config):
    """Fills the parts of the navigation that are made."""
    pages.update(api.pages())
    decisions = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    decisions.sort(key=lambda name: name != "README.md")
    made = {"api": [f"api/{name}.md" for name in pages], "decisions": [f"decisions/{name}" for name in decisions]}
    fill(config.nav, made)
    return config


def on_files(files, config):
    for name in OUTSIDE:
        files.append(File.generated(config, name, content=(ROOT / name).read_text()))
    for name, text in pages.items():
        files.append(File.generated(config, f"api/{name}.md", content=text))
    for name in ASSETS:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / "dev" / "site" / name)))
    return files


def tabs(markdown):
    """Code in C++ that is directly followed by code in Python becomes two tabs."""

    def tab(name, fence):
        return f'=== "{name}"\n\n{textwrap.indent(fence.rstrip(), "    ")}\n'

    # A tab after the tabs of another pair would belong to them: "===!" begins anew.
    return PAIR.sub(lambda pair: tab("C++", pair[1]).replace("===", "===!", 1) + "\n" + tab("Python", pair[2]), markdown)


def on_page_markdown(markdown, page, config, files):
    """Links are those of the repository: they become links of the site, or text if the file is not in it."""
    name = page.file.src_uri
    if name.startswith("api/"):
        return markdown
    here = posixpath.dirname(name if name in OUTSIDE else f"docs/{name}")

    def link(match):
        text, target = match[1], match[2]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(here, path))
        if path == "README.md":
            path = "docs/README.md"
        if path in OUTSIDE or path.startswith("docs/"):
            site = path.removeprefix("docs/")
            if files.get_file_from_path(site) or site.endswith(".md"):
                relative = os.path.relpath(site, posixpath.dirname(name) or ".")
                return f"{text}({relative}{'#' + anchor if anchor else ''})"
        return text[1:-1]

    parts = FENCE.split(markdown)
    parts[::2] = [LINK.sub(link, part) for part in parts[::2]]
    return tabs("".join(parts))


def on_post_page(output, page, config):
    return output.replace(SHIM, posixpath.relpath("worker.js", posixpath.dirname(page.file.dest_uri) or "."))


def on_post_template(output, template_name, config):
    return output.replace(SHIM, "worker.js")


def on_post_build(config):
    """Nothing may be loaded from other servers."""
    loads = re.compile(r"""<(?:script|img)[^>]*src=["']?(https?://[^"' >]+)|<link[^>]*rel=["']?(?:stylesheet|preload|icon)[^>]*href=["']?(https?://[^"' >]+)""")
    for path in pathlib.Path(config.site_dir).rglob("*.html"):
        external = [url for match in loads.finditer(path.read_text()) for url in match.groups() if url and not url.startswith(config.site_url or " ")]
        if external:
            raise SystemExit(f"{path} loads from another server: {external[0]}")
