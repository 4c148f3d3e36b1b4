"""`$(NAME)` in env values, commands and arguments.

Upstream: third_party/forked/golang/expansion. `$$` stands for `$`; what is not known or not
closed stays as it is.
"""

from collections.abc import Mapping


def expand(text: str, values: Mapping[str, str]) -> str:
    if "$" not in text:
        return text
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char != "$" or at + 1 == len(text):
            out.append(char)
            at += 1
        elif text[at + 1] == "$":
            out.append("$")
            at += 2
        elif text[at + 1] == "(" and (end := text.find(")", at + 2)) >= 0:
            name = text[at + 2 : end]
            out.append(values.get(name, f"$({name})"))
            at = end + 1
        elif text[at + 1] == "(":
            out.append("$(")
            at += 2
        else:
            out.append(text[at : at + 2])
            at += 2
    return "".join(out)
