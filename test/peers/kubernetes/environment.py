"""What a container gets of its pod: environment variables and volumes, resolved from secrets, configuration maps and fields."""

import base64
import os
import re
import shutil

from . import quantities
from .resources import CONFIG_MAPS, SECRETS


class ConfigError(Exception):
    """Something that a container refers to is not there: the reason it waits for."""


def _bytes(obj, resource):
    """The values of a secret or a configuration map."""
    if resource is SECRETS:
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    return {
        **{key: value.encode() for key, value in (obj.get("data") or {}).items()},
        **{key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()},
    }


def field_value(pod, path):
    """The value of metadata.name, metadata.labels['x'] and the like."""
    match = re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path)
    if match:
        return (pod["metadata"].get(match.group(1)) or {}).get(match.group(2), "")
    value = pod
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict):
        return "".join(f"{key}={text!r}\n" for key, text in sorted(value.items()))
    return "" if value is None else str(value)


def _resource_value(pod, container, reference):
    name = reference.get("containerName") or container["name"]
    spec = next(c for c in pod["spec"]["containers"] + pod["spec"].get("initContainers", []) if c["name"] == name)
    which, _, resource = reference["resource"].partition(".")
    value = quantities.amount(spec["resources"].get(which, {}).get(resource, 0)) / quantities.amount(reference.get("divisor") or 1)
    return str(-int(-value // 1))


def expand(text, known):
    """$(NAME) stands for a variable that is defined before, $$ for a dollar sign. Behind a $ the real one takes a byte for a character."""

    def one(match):
        if match["name"] is not None:
            return known.get(match["name"], match[0])
        if match["byte"] is None:
            return "$"
        first, *rest = match["byte"].encode("utf-8", "surrogateescape")
        return "$" + (chr(first).encode() + bytes(rest)).decode("utf-8", "surrogateescape")

    return re.sub(r"\$(?:\$|\((?P<name>[^)]*)\)|(?P<byte>[^\x00-\x7f]))", one, text)


class Resolver:
    """Looks things up for the containers of one pod."""

    def __init__(self, store, pod, service):
        self._store = store
        self._pod = pod
        self._service = service
        self._namespace = pod["metadata"]["namespace"]

    def _values(self, resource, name, optional):
        obj = self._store.get(resource, self._namespace, name)
        if obj is None:
            if optional:
                return {}
            raise ConfigError(f'{"secret" if resource is SECRETS else "configmap"} "{name}" not found')
        return _bytes(obj, resource)

    def environment(self, container):
        """The variables of a container."""
        known = dict(self._service)
        for source in container.get("envFrom", ()):
            for kind, resource in (("configMapRef", CONFIG_MAPS), ("secretRef", SECRETS)):
                if kind in source:
                    for key, value in self._values(resource, source[kind]["name"], source[kind].get("optional")).items():
                        known[source.get("prefix", "") + key] = value.decode("utf-8", "surrogateescape")
        for variable in container.get("env", ()):
            value = self._variable(container, variable, known)
            if value is not None:
                known[variable["name"]] = value
        return known

    def _variable(self, container, variable, known):
        source = variable.get("valueFrom")
        if source is None:
            return expand(variable.get("value", ""), known)
        if "fieldRef" in source:
            return field_value(self._pod, source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            return _resource_value(self._pod, container, source["resourceFieldRef"])
        kind, resource = ("secretKeyRef", SECRETS) if "secretKeyRef" in source else ("configMapKeyRef", CONFIG_MAPS)
        reference = source[kind]
        values = self._values(resource, reference["name"], reference.get("optional"))
        if reference["key"] not in values:
            if reference.get("optional"):
                return None
            what = "Secret" if resource is SECRETS else "ConfigMap"
            raise ConfigError(f"couldn't find key {reference['key']} in {what} {self._namespace}/{reference['name']}")
        return values[reference["key"]].decode("utf-8", "surrogateescape")

    def command(self, container, environment):
        parts = list(container.get("command", ())) + list(container.get("args", ()))
        return [expand(part, environment) for part in parts]

    # Volumes.

    def make_volumes(self, directory, token, authority):
        """Makes the directories of the pod's volumes: {name: path}. Raises ConfigError when what should be in one is not there."""
        paths = {}
        for volume in self._pod["spec"].get("volumes", ()):
            path = directory / volume["name"]
            paths[volume["name"]] = path
            if "hostPath" in volume:
                paths[volume["name"]] = volume["hostPath"]["path"]
            elif "emptyDir" in volume or "persistentVolumeClaim" in volume:
                path.mkdir(parents=True, exist_ok=True)
                path.chmod(0o777)
            else:
                try:
                    self._fill(path, self._files(volume, token, authority))
                except ConfigError as error:
                    raise ConfigError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from None
        return paths

    def _files(self, volume, token, authority):
        """The files of a volume: {path: (content, mode)}."""
        for kind, resource, key in (("secret", SECRETS, "secretName"), ("configMap", CONFIG_MAPS, "name")):
            if kind in volume:
                return self._items(resource, volume[kind], volume[kind][key], volume[kind].get("defaultMode", 420))
        if "downwardAPI" in volume:
            return self._fields(volume["downwardAPI"], volume["downwardAPI"].get("defaultMode", 420))
        files = {}
        mode = volume["projected"].get("defaultMode", 420)
        for source in volume["projected"].get("sources", ()):
            if "serviceAccountToken" in source:
                files[source["serviceAccountToken"]["path"]] = (token.encode(), mode)
            elif "downwardAPI" in source:
                files.update(self._fields(source["downwardAPI"], mode))
            elif "secret" in source:
                files.update(self._items(SECRETS, source["secret"], source["secret"]["name"], mode))
            elif source["configMap"]["name"] == "kube-root-ca.crt":
                files["ca.crt"] = (authority, mode)
            else:
                files.update(self._items(CONFIG_MAPS, source["configMap"], source["configMap"]["name"], mode))
        return files

    def _items(self, resource, source, name, mode):
        values = self._values(resource, name, source.get("optional"))
        if not source.get("items"):
            return {key: (value, mode) for key, value in values.items()}
        files = {}
        for item in source["items"]:
            if item["key"] not in values and not source.get("optional"):
                raise ConfigError(f"references non-existent {'secret' if resource is SECRETS else 'config'} key: {item['key']}")
            files[item["path"]] = (values.get(item["key"], b""), item.get("mode", mode))
        return files

    def _fields(self, source, mode):
        return {
            item["path"]: (field_value(self._pod, item["fieldRef"]["fieldPath"]).encode(), item.get("mode", mode))
            for item in source.get("items", ())
            if "fieldRef" in item
        }

    @staticmethod
    def _fill(directory, files):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for name, (content, mode) in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
                file.write(content)
            path.chmod(mode)
