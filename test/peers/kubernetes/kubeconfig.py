"""Files for clients: where the server is, and with what to show who one is."""

import base64
import os


def _write(path, text):
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _encoded(path):
    return base64.b64encode(path.read_bytes()).decode()


def write(path, url, authority, users, namespace="default"):
    """A kubeconfig. 'users' are pairs of a name and of a token, or of two files: certificate and key. The first one is current."""
    data = f"\n    certificate-authority-data: {_encoded(authority)}" if authority else ""
    lines = ["apiVersion: v1", "kind: Config", "clusters:", "- name: test", f"  cluster:\n    server: {url}{data}", "contexts:"]
    for name, _ in users:
        lines.append(f"- name: {name}\n  context:\n    cluster: test\n    user: {name}\n    namespace: {namespace}")
    lines += [f"current-context: {users[0][0]}", "users:"]
    for name, credential in users:
        lines.append(f"- name: {name}\n  user:")
        if isinstance(credential, str):
            lines.append(f"    token: {credential}")
        else:
            lines.append(f"    client-certificate-data: {_encoded(credential[0])}\n    client-key-data: {_encoded(credential[1])}")
    _write(path, "\n".join(lines) + "\n")
