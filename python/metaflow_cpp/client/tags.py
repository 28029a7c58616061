"""The rules of tags."""

from typing import Any, List

from ..exception import MetaflowTaggingError

_MAX_TAG = 500  # characters


def checked_tags(what: str, tags: Any) -> List[str]:
    """The tags as texts. Raises MetaflowTaggingError."""
    if isinstance(tags, (str, bytes)):
        raise MetaflowTaggingError(f"tags_to_{what} may not be a string")
    try:
        found = list(tags)
    except TypeError:
        raise MetaflowTaggingError(f"tags_to_{what} must be iterable") from None
    return [_checked_tag(tag) for tag in found]


def _checked_tag(tag: Any) -> str:
    if not isinstance(tag, (str, bytes)):
        raise MetaflowTaggingError(f"Tags must be some kind of string (bytes or unicode), got {type(tag)}")
    try:
        text = tag.decode() if isinstance(tag, bytes) else tag
        text.encode()
    except UnicodeDecodeError:
        raise MetaflowTaggingError("Tags must be UTF-8 decodable") from None
    except UnicodeEncodeError:
        raise MetaflowTaggingError("Tags must be UTF-8 encodable") from None
    if not text:
        raise MetaflowTaggingError("Tags must not be empty string")
    if len(text) > _MAX_TAG:
        raise MetaflowTaggingError(f"Tag is too long {len(text)} > {_MAX_TAG}")
    return text
