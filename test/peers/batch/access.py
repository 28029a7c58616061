"""Who asks: signatures of version 4 are verified, and permissions looked up."""

import datetime
import fnmatch
import hashlib
import hmac
import re
import secrets
import urllib.parse

from .errors import ServiceError

_TOLERANCE = 300  # seconds that a signature's time may be off
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)


def _now():
    return datetime.datetime.now(datetime.timezone.utc)


class Key:
    """A pair of keys, maybe for a while only."""

    def __init__(self, name, access, secret, token=None, expires=None, actions=None):
        self.name = name
        self.access = access
        self.secret = secret
        self.token = token
        self.expires = expires
        self.actions = actions  # patterns such as batch:Describe*; nothing: all
        self.used = set()


class Access:
    """The keys that are known."""

    def __init__(self, region, account):
        self.region = region
        self._account = account
        self._keys = {}

    def issue(self, name, seconds=None, actions=None):
        """New keys; for so many seconds, they have a token."""
        temporary = seconds is not None
        expires = _now() + datetime.timedelta(seconds=seconds) if temporary else None
        access = ("ASIA" if temporary else "AKIA") + secrets.token_hex(8).upper()
        key = Key(name, access, secrets.token_urlsafe(30), secrets.token_urlsafe(40) if temporary else None, expires, actions)
        self._keys[access] = key
        return key

    def expire(self, access):
        self._keys[access].expires = _now()

    def key(self, access):
        return self._keys[access]

    def authenticate(self, request, body, service):
        """The key that signed a request."""
        match = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if not match:
            raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
        access, day, region, signed_service, names, signature = match.groups()
        key = self._keys.get(access)
        if key is None or request.headers.get("X-Amz-Security-Token") != key.token:
            raise ServiceError("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
        if key.expires is not None and key.expires <= _now():
            raise ServiceError("ExpiredTokenException", "The security token included in the request is expired", 403)
        if (region, signed_service) != (self.region, service):
            raise ServiceError("InvalidSignatureException", f"Credential should be scoped to a valid region and service: {region}/{signed_service}", 403)
        stamp = request.headers.get("X-Amz-Date", "")
        self._check_time(stamp, day)
        signed = names.split(";")
        for required in ("host", "x-amz-date", *(["x-amz-security-token"] if key.token else [])):
            if required not in signed:
                raise ServiceError("InvalidSignatureException", f"'{required}' must be a 'SignedHeader' in the AWS Authorization.", 403)
        if not hmac.compare_digest(signature, _signature(request, body, key.secret, signed, stamp, region, service)):
            raise ServiceError(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
                403,
            )
        return key

    @staticmethod
    def _check_time(stamp, day):
        try:
            time = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            raise ServiceError("IncompleteSignatureException", f"'{stamp}' is no time", 403) from None
        off = (time - _now()).total_seconds()
        if abs(off) > _TOLERANCE or not stamp.startswith(day):
            words = "Signature not yet current" if off > 0 else "Signature expired"
            raise ServiceError("InvalidSignatureException", f"{words}: {stamp}", 403)

    def authorize(self, key, action):
        """Refuses what the key may not do."""
        if key.actions is not None and not any(fnmatch.fnmatchcase(action, pattern) for pattern in key.actions):
            user = f"arn:aws:iam::{self._account}:user/{key.name}"
            raise ServiceError("AccessDeniedException", f"User: {user} is not authorized to perform: {action} because no identity-based policy allows it", 403)
        key.used.add(action)


def _signature(request, body, secret, signed, stamp, region, service):
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed)
    path = urllib.parse.quote(request.raw_path.partition("?")[0], safe="/-_.~")
    canonical = "\n".join([request.method, path, request.query_string, headers, ";".join(signed), hashlib.sha256(body).hexdigest()])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (stamp[:8], region, service, "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()
