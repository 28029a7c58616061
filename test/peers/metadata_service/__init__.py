"""A stand-in for Metaflow's metadata service, in memory: README.md."""

from .launch import MetadataService

__all__ = ["MetadataService"]
