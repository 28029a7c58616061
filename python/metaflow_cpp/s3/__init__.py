"""Objects in S3: `from metaflow_cpp import S3`. Needs no other package."""

from .client import S3
from .errors import (
    MetaflowS3AccessDenied,
    MetaflowS3Exception,
    MetaflowS3InsufficientDiskSpace,
    MetaflowS3InvalidObject,
    MetaflowS3InvalidRange,
    MetaflowS3NotFound,
    MetaflowS3URLException,
)
from .objects import RangeInfo, S3GetObject, S3Object, S3PutObject

__all__ = [
    "MetaflowS3AccessDenied", "MetaflowS3Exception", "MetaflowS3InsufficientDiskSpace", "MetaflowS3InvalidObject", "MetaflowS3InvalidRange",
    "MetaflowS3NotFound", "MetaflowS3URLException", "RangeInfo", "S3", "S3GetObject", "S3Object", "S3PutObject",
]  # fmt: skip
