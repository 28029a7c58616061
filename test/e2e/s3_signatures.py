"""The signatures that botocore computes for requests. `keys`: the access key and the secret key."""

import urllib.parse


def expected_signature(keys, method, url, headers, authorization):
    """What botocore computes for a request."""
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    parts = dict(part.split("=", 1) for part in authorization.removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    signed = parts["SignedHeaders"].split(";")
    _, _, region, service, _ = parts["Credential"].split("/")
    request = botocore.awsrequest.AWSRequest(method=method, url=url)
    for name in signed:
        request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    auth = botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(*keys), service, region)
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def expected_presignature(keys, method, url):
    """What botocore computes for a presigned URL."""
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    bare, _, _ = url.partition("&X-Amz-Signature=")
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(bare).query)
    _, _, region, service, _ = query["X-Amz-Credential"][0].split("/")
    request = botocore.awsrequest.AWSRequest(method=method, url=bare)
    request.context["timestamp"] = query["X-Amz-Date"][0]
    auth = botocore.auth.S3SigV4QueryAuth(botocore.credentials.Credentials(*keys), service, region)
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
