"""Containers for the stand-ins of platforms: really executed, each with namespaces and a root of its own where that is permitted."""
