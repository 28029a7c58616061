"""Pages about the public headers, one for each. Doxygen finds the entries and their signatures, and fails if one has no comment.

The text is the comment in the header: lines that are indented in it become code."""

import pathlib
import re
import subprocess
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADERS = ROOT / "include" / "metaflow"
XML = ROOT / "build" / "site" / "doxygen" / "xml"
PUBLIC = {"public-type", "public-func", "public-static-func", "public-attrib", "public-static-attrib", "user-defined"}
ORDER = ("metaflow flow parameter artifact array codec bytes inputs current decorators kubernetes batch caught parallel client s3 value "
         "error version").split()


def plain(element):
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def code(text):
    """A declaration without the blanks of Doxygen and the name of the library."""
    text = re.sub(r"< ", "<", text)
    while " >" in text:
        text = text.replace(" >", ">")
    text = re.sub(r"^constexpr detail::.*$", "constexpr auto", text)  # of a constant, only the name matters
    text = re.sub(r" ([&*]+)(?=[ )]|\w|$)", r"\1 ", text).replace("  ", " ")
    return re.sub(r"\bmetaflow::(client::)?", "", text).rstrip()


def markdown(lines):
    """The text of a comment: what is indented by two blanks or more is code."""
    result, in_code = [], False
    for line in lines:
        indented = line.startswith("  ")
        if indented != in_code:
            result += [*([""] if result and result[-1] else []), "```cpp"] if indented else ["```"]
            in_code = indented
        if not in_code:
            line = re.sub(r"(?<![\w-])([A-Za-z_:]+<[^<>\n]*>|--[a-z-]+)", r"`\1`", line) if "`" not in line else line
        result.append(line[2:] if in_code else line)
    return "\n".join(result + (["```"] if in_code else [])).strip()


class Header:
    def __init__(self, path):
        self.name = path.name
        self.lines = path.read_text().splitlines()
        self.entries = []  # (line, text)

    def introduction(self):
        comment = []
        for line in self.lines:
            if not line.startswith("//"):
                break
            comment.append(line[3:])
        return markdown(comment)

    def comment(self, number):
        """The comment of the declaration in this line: behind it, or above it."""
        line = self.lines[number - 1]
        if "///<" in line:
            texts = [line.split("///< ", 1)[1]]
            for following in self.lines[number:]:
                if not re.match(r" *///<", following):
                    break
                texts.append(following.split("///< ", 1)[1])
            return " ".join(texts)
        end = number - 1
        while end > 0 and not self.lines[end - 1].lstrip().startswith("///"):
            end -= 1
            if number - end > 8:
                return self.comment(number + 1) if "///<" in self.lines[number] else ""
        first = end
        while self.lines[first - 1].lstrip().startswith("/// ") or self.lines[first - 1].strip() == "///":
            first -= 1
        return markdown([re.sub(r"^ *///( |$)", "", line) for line in self.lines[first:end]])


def is_for_users(member):
    description = plain(member.find("briefdescription")) + plain(member.find("detaileddescription"))
    return description and not description.startswith("For the library")


def template(member):
    names = [" ".join(filter(None, (plain(p.find("type")), plain(p.find("declname"))))) for p in member.findall("templateparamlist/param")]
    return f"template <{', '.join(names)}>\n" if names else ""


def signature(member):
    """The declaration without `class::` before its name."""
    name = member.findtext("name")
    kind = member.get("kind")
    if kind == "typedef":
        return f"using {name} = {code(plain(member.find('type')))};"
    if kind == "define":
        return f"#define {name} {plain(member.find('initializer'))}"
    if kind == "enum":
        return f"enum class {name}"
    explicit = "explicit " if member.get("explicit") == "yes" else ""
    static = "static " if member.get("static") == "yes" else ""
    result = code(plain(member.find("type")))
    declaration = explicit + static + (result + " " if result else "") + name + code(member.findtext("argsstring") or "")
    return code(template(member)) + "\n" * bool(template(member)) + re.sub(r"\)(const|&)", r") \1", declaration) + ";"


def default(member):
    """The initial value of a data member, as a reader would write it."""
    value = plain(member.find("initializer")).removeprefix("=").strip()
    return code(value.removeprefix("{").removesuffix("}") if value.startswith("{") else value)


def table(header, fields):
    with_default = any(default(field) for field in fields)
    rows = ["| member | type | default | |", "|---|---|---|---|"] if with_default else ["| member | type | |", "|---|---|---|"]
    for field in fields:
        text = header.comment(int(field.find("location").get("line"))).replace("\n", " ").replace("|", "\\|")
        value = default(field)
        kind = code(plain(field.find("type")))
        shown = (f"`{value}` | " if value else " | ") if with_default else ""
        rows.append(f"| `{field.findtext('name')}` | `{kind}` | {shown}{text} |")
    return "\n".join(rows)


def enumerators(header, member):
    """The values of an enumeration, as it is in the header."""
    number = int(member.find("location").get("line"))
    lines = []
    for line in header.lines[number - 1 :]:
        lines.append(line.replace("///<", "//"))
        if "}" in line:
            break
    return "```cpp\n" + "\n".join(lines) + "\n```"


def member_text(header, member):
    line = int(member.find("location").get("line"))
    if member.get("kind") == "enum":
        return f"{header.comment(line)}\n\n{enumerators(header, member)}"
    return f"```cpp\n{signature(member)}\n```\n\n{header.comment(line)}"


def class_text(header, compound, name):
    members = [m for section in compound.findall("sectiondef") if section.get("kind") in PUBLIC for m in section.findall("memberdef")]
    members = [m for m in members if is_for_users(m)]
    members.sort(key=lambda m: int(m.find("location").get("line")))
    keyword = compound.get("kind")
    base = [code(b.text) for b in compound.findall("basecompoundref") if "detail" not in b.text]
    head = code(template(compound)) + "\n" * bool(template(compound)) + f"{keyword} {name}" + (f" : {', '.join(base)}" if base else "") + ";"
    parts = [f"## {name}", f"```cpp\n{head}\n```", header.comment(int(compound.find("location").get("line")))]
    fields = [m for m in members if m.get("kind") == "variable" and m.get("static") != "yes"]
    if fields:
        parts.append(table(header, fields))
    previous = None
    for member in members:
        if member not in fields:
            title = member.findtext("name")
            if title != previous:
                parts.append(f"### {name.rpartition('::')[2]}::{title} {{ data-toc-label=\"{title}\" }}")
            previous = title
            parts.append(member_text(header, member))
    return "\n\n".join(parts)


def pages():
    """The texts of the pages by the name of the header, in the order in which a reader needs them."""
    XML.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.run(["doxygen", ROOT / "dev" / "site" / "Doxyfile"], cwd=ROOT, capture_output=True, text=True)
    if process.returncode != 0:
        raise SystemExit("Public entries without a comment:\n" + process.stderr.replace(f"{ROOT}/", ""))
    headers = {path.name: Header(path) for path in HEADERS.glob("*.h")}
    for file in XML.glob("*.xml"):
        for compound in ElementTree.parse(file).getroot().findall("compounddef"):
            location = compound.find("location")
            if compound.get("kind") in ("class", "struct") and compound.get("prot") == "public" and is_for_users(compound):
                header = headers[pathlib.Path(location.get("file")).name]
                header.entries.append((int(location.get("line")), class_text(header, compound, code(compound.findtext("compoundname")))))
            elif compound.get("kind") in ("namespace", "file"):
                for member in compound.iter("memberdef"):
                    place = member.find("location")
                    if not is_for_users(member):
                        continue
                    header = headers[pathlib.Path(place.get("file")).name]
                    text = f"## {member.findtext('name')}\n\n{member_text(header, member)}"
                    header.entries.append((int(place.get("line")), text))
    result = {}
    for name in sorted(headers, key=lambda name: (ORDER.index(name[:-2]) if name[:-2] in ORDER else len(ORDER), name)):
        header = headers[name]
        merged = "\n\n".join(text for _, text in sorted(header.entries))
        result[name] = f"# {name}\n\n`#include <metaflow/{name}>`\n\n{header.introduction()}\n\n{merged}\n"
    return result


if __name__ == "__main__":
    for page in pages().values():
        print(page)
