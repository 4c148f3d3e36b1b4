"""What rules cost: compiling one (once per definition or policy) and evaluating it (per write).

    python bench/cel/expressions.py [--rounds 7]

The yardstick is the same decision written by hand in Python.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

SCHEMA = {
    "type": "object",
    "properties": {
        "min": {"type": "integer"},
        "max": {"type": "integer"},
        "name": {"type": "string", "maxLength": 63},
        "ports": {
            "type": "array",
            "maxItems": 100,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "maxLength": 15},
                    "port": {"type": "integer"},
                },
            },
        },
    },
}
OBJECT = {
    "min": 1,
    "max": 5,
    "name": "web-7",
    "ports": [{"name": f"p{i}", "port": 8000 + i} for i in range(10)],
}
Decide = Callable[[dict[str, Any]], bool]
RULES: dict[str, Decide] = {
    "self.min <= self.max": lambda o: o["min"] <= o["max"],
    "!has(self.name) || self.name.startsWith('web-')": (
        lambda o: "name" not in o or o["name"].startswith("web-")
    ),
    "self.ports.all(p, p.port > 1024 && p.port < 65536)": (
        lambda o: all(1024 < p["port"] < 65536 for p in o["ports"])
    ),
    "self.ports.exists_one(p, p.name == 'p3')": (
        lambda o: sum(p["name"] == "p3" for p in o["ports"]) == 1
    ),
    "self.ports.map(p, p.port).isSorted()": (
        lambda o: sorted(p["port"] for p in o["ports"]) == [p["port"] for p in o["ports"]]
    ),
}


def microseconds(run: Callable[[], Any], rounds: int, least: float = 0.05) -> float:
    """The median of some rounds, each of at least a twentieth of a second."""
    count = 1
    found: list[float] = []
    while len(found) < rounds:
        start = time.perf_counter()
        for _ in range(count):
            run()
        spent = time.perf_counter() - start
        if spent < least:
            count *= 2
            continue
        found.append(spent / count * 1e6)
    return statistics.median(found)


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    rounds = options.parse_args().rounds
    before, start = resident_kib(), time.perf_counter()
    from tiphys.apiserver.custom_resources.rule_compiling import compile_rules
    from tiphys.cel.environment import base
    from tiphys.cel.schema_types import schema_type

    base()
    spent = (time.perf_counter() - start) * 1e3
    print(f"loaded in {spent:.0f} ms, {(resident_kib() - before) / 1024:.1f} MB")
    own = schema_type(SCHEMA, is_root=False)
    assert own is not None
    for rule, decide in RULES.items():
        schema = SCHEMA | {"x-kubernetes-validations": [{"rule": rule}]}
        program = compile_rules(schema, own).rules[0].program
        assert program is not None
        run, known = program.run, {"self": OBJECT}
        assert run(known).value is decide(OBJECT) is True
        compiling = microseconds(lambda: compile_rules(schema, own), rounds)  # noqa: B023
        evaluating = microseconds(lambda: run(known), rounds)  # noqa: B023
        by_hand = microseconds(lambda: decide(OBJECT), rounds)  # noqa: B023
        print(
            f"{rule:52} compile {compiling:6.0f} us, evaluate {evaluating:6.2f} us,"
            f" by hand {by_hand:5.2f} us"
        )


if __name__ == "__main__":
    main()
