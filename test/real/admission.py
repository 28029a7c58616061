"""An admission webhook, as service meshes and policies bring one: it changes what is made in the namespaces with its label, or denies it."""

import base64
import http.server
import json
import ssl
import subprocess
import threading

import kubernetes_cluster


class Webhook:
    """`answer`: takes the object that is made, gives back a JSON patch (a list), or why it is denied (a text)."""

    def __init__(self, cluster, directory, namespace, resource, group, answer):
        self.cluster, self.name = cluster, f"webhook-{namespace}"
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
                body = json.dumps(webhook.review(request, answer)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        key, certificate = directory / "webhook.key", directory / "webhook.crt"
        address = kubernetes_cluster.ADDRESS
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={address}",
             "-addext", f"subjectAltName=IP:{address}", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        cluster.kubectl("label", "namespace", namespace, f"webhook={namespace}")
        hook = {
            "name": "mesh.example.org", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
            "clientConfig": {
                "url": f"https://{address}:{self.server.server_port}/", "caBundle": base64.b64encode(certificate.read_bytes()).decode(),
            },
            "namespaceSelector": {"matchLabels": {"webhook": namespace}},
            "rules": [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}],
        }  # fmt: skip
        made = {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": self.name},
            "webhooks": [hook],
        }  # fmt: skip
        cluster.kubectl("apply", "-f", "-", input=json.dumps(made))

    def review(self, request, answer):
        said = answer(request["object"])
        response = {"uid": request["uid"], "allowed": not isinstance(said, str)}
        if isinstance(said, str):
            response["status"] = {"message": said, "code": 403}
        else:
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(said).encode()).decode()}
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}

    def stop(self):
        self.cluster.kubectl("delete", "mutatingwebhookconfiguration", self.name)
        self.server.shutdown()
        self.server.server_close()
