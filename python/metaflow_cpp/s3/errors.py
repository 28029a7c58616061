"""The exceptions of S3, with Metaflow's names."""

from ..exception import MetaflowException


class MetaflowS3InvalidObject(MetaflowException):
    """The value of put() is neither a text, nor bytes, nor a binary file."""

    headline = "Not a string-like object"


class MetaflowS3URLException(MetaflowException):
    """The URL or key is not valid here."""

    headline = "Invalid address"


class MetaflowS3Exception(MetaflowException):
    """S3 cannot be reached, or refuses, after retries; or the client is closed."""

    headline = "S3 access failed"


class MetaflowS3NotFound(MetaflowException):
    """The object, the bucket or the local file does not exist."""

    headline = "S3 object not found"


class MetaflowS3AccessDenied(MetaflowException):
    """The AWS credentials do not permit it."""

    headline = "S3 access denied"


class MetaflowS3InvalidRange(MetaflowException):
    """The object ends before the range begins, or the range is empty."""

    headline = "S3 invalid range"


class MetaflowS3InsufficientDiskSpace(MetaflowException):
    """The file system of the temporary directory is full."""

    headline = "Insufficient disk space"
