"""Starts the server for a test."""

import ssl

from ..launch import PeerProcess


class Peer(PeerProcess):
    """A running cluster."""

    def __init__(self, directory, scenario=None, manifests=(), pace=0.05, plain=False, arguments=()):
        more = [word for manifest in manifests for word in ("--manifests", str(manifest))]
        super().__init__("kubernetes", directory, ["--pace", str(pace), *arguments, *more, *(["--plain"] if plain else [])], scenario)
        if not plain:
            self.context = ssl.create_default_context(cafile=self.directory / "pki" / "ca.crt")

    @property
    def kubeconfig(self):
        return self.directory / "kubeconfig"
