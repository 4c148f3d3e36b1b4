"""argparse, whose complaints are errors like all others: an id, JSON where it was asked for."""

import argparse
from typing import NoReturn

from tiphys.cli.output import CommandError


class Parser(argparse.ArgumentParser):
    """Raises CommandError where argparse would print and end the process."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{self.prog}: {message}", fix=f"see {self.prog} --help", reason="USAGE")
