"""The import-linter contract that keeps private modules private."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from grimp import ImportGraph


class PrivateContract(Contract):
    """Nobody imports another room's private modules.

    A module is private if a part of its name begins with an underscore. It may be imported from anywhere below the
    package that holds that part. The packages under `wings` count as one room each, whatever packages they hold.
    """

    wings: Any = fields.SetField(subfield=fields.StringField(), required=False, default=set())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - import-linter calls it so
        """Look at every import of the graph."""
        found = [
            (importer, imported)
            for importer in sorted(graph.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if (room := self._room(imported)) and not f"{importer}.".startswith(f"{room}.")
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name every import that reaches into another room."""
        for importer, imported in check.metadata["found"]:
            output.print_error(f"{importer} imports {imported}, which is private", bold=False)

    def _room(self, module: str) -> str:
        parts = module.split(".")
        private = next((index for index, part in enumerate(parts) if part.startswith("_") and part != "__main__"), 0)
        home = ".".join(parts[:private])
        return next((wing for wing in self.wings if f"{home}.".startswith(f"{wing}.")), home)
