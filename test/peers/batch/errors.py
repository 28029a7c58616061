"""Refusals, as the services word them."""


class ServiceError(Exception):
    """An answer that is no success."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def client_error(message):
    return ServiceError("ClientException", message)
