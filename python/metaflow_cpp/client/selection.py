"""What the client shows: the store, and the namespace, of this process."""

import os
from typing import Optional

from ..current import current
from .reader import Reader, reader, reader_of


class _Selection:
    """What metadata() and namespace() have selected in this process."""

    reader: Optional[Reader] = None
    has_namespace = False
    namespace: Optional[str] = None


def metadata(ms: str) -> str:
    """Selects where runs are looked for, in this process: "local@DIR" or DIR with a directory .metaflow, "service@URL" or URL.

    Returns what get_metadata() says then. Raises ValueError if DIR has no .metaflow.
    """
    _Selection.reader = reader_of(ms)
    return get_metadata()


def get_metadata() -> str:
    """Where runs are looked for: "local@/home/ada", "service@https://host"."""
    return selected_reader().description()


def default_metadata() -> str:
    """Undoes metadata(): the configuration selects, as for the commands of flows."""
    _Selection.reader = reader()
    return get_metadata()


def namespace(ns: Optional[str]) -> Optional[str]:
    """From now on only runs with this tag are visible; None: all. Returns it."""
    _Selection.namespace, _Selection.has_namespace = ns, True
    return ns


def get_namespace() -> Optional[str]:
    """The namespace of this process; None: all runs are visible. In a task, that of its run, else that of the user."""
    if not _Selection.has_namespace:
        _Selection.has_namespace = True
        _Selection.namespace = (current.namespace or None) if current.is_running_flow else _identity()
    return _Selection.namespace


def default_namespace() -> Optional[str]:
    """Undoes namespace(): "user:" and the name of the user, or "production:" and METAFLOW_PRODUCTION_TOKEN. Returns it."""
    return namespace(_identity())


def _identity() -> str:
    token = os.environ.get("METAFLOW_PRODUCTION_TOKEN")
    return f"production:{token}" if token else f"user:{selected_reader().user}"


def selected_reader() -> Reader:
    if _Selection.reader is None:
        _Selection.reader = reader()
    return _Selection.reader
