"""When accidents happen: what the rules of all stand-ins have in common."""

import itertools

TURNS = {"nth", "every", "first", "times"}


class Rule:
    """A kind of accident: the nth time that something matches, every kth time, the first times, at most so many times, or always."""

    def __init__(self, number, text):
        self.number = number
        self.text = text
        self.seen = 0
        self.done = 0

    def __getitem__(self, key):
        return self.text[key]

    def get(self, key, default=None):
        return self.text.get(key, default)

    def is_due(self):
        """Whether it is this one's turn. Called once for each that matches."""
        self.seen += 1
        text = self.text
        if (
            "nth" in text
            and self.seen != text["nth"]
            or "every" in text
            and self.seen % text["every"]
            or "first" in text
            and self.seen > text["first"]
        ):
            return False
        if "times" in text and self.done >= text["times"]:
            return False
        self.done += 1
        return True

    def described(self):
        return {"id": self.number, **self.text, "seen": self.seen, "done": self.done}


class Rules:
    """The rules that hold now."""

    def __init__(self, make):
        self._make = make
        self._numbers = itertools.count(1)
        self.rules = []

    def add(self, text):
        rule = self._make(next(self._numbers), text)
        self.rules.append(rule)
        return rule

    def remove(self, number=None):
        self.rules = [rule for rule in self.rules if number is not None and rule.number != number]
