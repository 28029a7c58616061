"""What the published models of AWS's services say: which members requests and answers have, and of which types."""

import re

from botocore.loaders import Loader
from botocore.model import ServiceModel

_TYPES = {
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "structure": dict,
    "map": dict,
    "list": list,
}
_NUMBERS = ("float", "double")


class Model:
    """One service."""

    def __init__(self, name):
        self._service = ServiceModel(Loader().load_service_model(name, "service-2"), name)
        self.operations = {operation: self._service.operation_model(operation) for operation in self._service.operation_names}

    def operation_at(self, method, path):
        """The name of the operation that a path stands for; nothing if there is none."""
        for name, operation in self.operations.items():
            if (operation.http["method"], operation.http["requestUri"]) == (method, path):
                return name
        return None

    def input_problem(self, operation, body):
        """What of a request breaks the model; nothing: it is well."""
        return _problem(self.operations[operation].input_shape, body, "")

    def output_problem(self, operation, body):
        shape = self.operations[operation].output_shape
        return None if shape is None else _problem(shape, body, "")

    def documentation(self, shape, member):
        return self._service.shape_for(shape).members[member].documentation


def _problem(shape, value, where):
    """The first thing that is wrong with a value."""
    kind = shape.type_name
    fits = isinstance(value, (int, float)) if kind in _NUMBERS else isinstance(value, _TYPES[kind])
    if not fits or (isinstance(value, bool) and kind != "boolean"):
        return f"{where or 'the body'} has to be of type {kind}: {value!r}"
    if kind == "structure":
        return _structure_problem(shape, value, where)
    if kind == "list":
        return _first(_problem(shape.member, item, f"{where}[{i}]") for i, item in enumerate(value)) or _range_problem(shape, len(value), where)
    if kind == "map":
        return _first(_problem(shape.value, item, f"{where}.{key}") for key, item in value.items()) or _range_problem(shape, len(value), where)
    if kind == "string":
        if shape.enum and value not in shape.enum:
            return f"{where} has to be one of {', '.join(shape.enum)}: {value!r}"
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            return f"{where} has to look like {pattern}: {value!r}"
        return _range_problem(shape, len(value), where)
    return _range_problem(shape, value, where)


def _structure_problem(shape, value, where):
    prefix = where + "." if where else ""
    for name in shape.required_members:
        if value.get(name) is None:
            return f"{prefix}{name} is missing"
    for name, item in value.items():
        if name not in shape.members:
            return f"{prefix}{name} is no member of {shape.name}"
        if problem := _problem(shape.members[name], item, prefix + name):
            return problem
    return None


def _range_problem(shape, size, where):
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        return f"{where} has to be from {least} to {most}: {size}"
    return None


def _first(problems):
    return next((problem for problem in problems if problem), None)


def fargate_sizes(model):
    """The MiB of memory that Fargate has, with the vCPUs that go with each: from the words of the model."""
    text = model.documentation("ResourceRequirement", "value")
    sizes = {}
    for memory, cpus in re.findall(r"<dt>value = ([^<]*)</dt> <dd> <p> <code>VCPU</code> = ([^<]*)</p>", text):
        for amount in re.findall(r"\d+", memory):
            sizes[int(amount)] = {float(cpu) for cpu in re.findall(r"[\d.]+\d|\d+", cpus)}
    return sizes
