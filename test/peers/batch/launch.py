"""Starts the server for a test."""

import configparser

from ..launch import PeerProcess
from .world import REGION


class Peer(PeerProcess):
    """A running account."""

    def __init__(self, directory, scenario=None, pace=0.05):
        super().__init__("batch", directory, ["--pace", str(pace)], scenario)

    @property
    def keys(self):
        """Access key and secret of the administrator."""
        parser = configparser.ConfigParser()
        parser.read(self.directory / "credentials")
        section = parser["default"]
        return section["aws_access_key_id"], section["aws_secret_access_key"]

    def environment(self, access=None, secret=None, token=None):
        """For programs that talk to it."""
        if access is None:
            access, secret = self.keys
        variables = {
            "AWS_ENDPOINT_URL_BATCH": self.url,
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": access,
            "AWS_SECRET_ACCESS_KEY": secret,
        }
        return {**variables, **({"AWS_SESSION_TOKEN": token} if token else {})}
