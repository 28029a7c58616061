"""Sets of numbers as a job's status writes them: 0,2-5."""


def parse_indexes(text):
    indexes = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        indexes.update(range(int(first), int(last or first) + 1))
    return indexes


def format_indexes(indexes):
    parts, numbers = [], sorted(indexes)
    position = 0
    while position < len(numbers):
        end = position
        while end + 1 < len(numbers) and numbers[end + 1] == numbers[end] + 1:
            end += 1
        first, last = numbers[position], numbers[end]
        # Two that follow each other are a list, more are a range.
        parts.append(str(first) if first == last else f"{first},{last}" if last == first + 1 else f"{first}-{last}")
        position = end + 1
    return ",".join(parts)
