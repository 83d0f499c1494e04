"""One call of dbt, in a process of its own, on the manifest that `prepare_manifest` has parsed already.

Belongs here: what dbt's own command does not do. It parses the project in each call, which takes it as long as running
the models, because where the warehouse lies is part of what it compares; nothing that is parsed depends on that.
Started by `Dbt`, as a file: with the arguments of dbt, in the project's folder.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.parser.manifest import extended_mashumuro_decoder


def main(arguments: Sequence[str]) -> int:
    """Run dbt; its exit status: 0 for success, 1 where a model or test failed, 2 where dbt could not go on."""
    ran = dbtRunner(None if "parse" in arguments else _parsed()).invoke(list(arguments))
    if ran.exception is not None:
        print(ran.exception, file=sys.stderr)
        return 2
    return 0 if ran.success else 1


def _parsed() -> Manifest:
    parsed = Path(os.environ["QUINTET_DBT_PARSED"]).read_bytes()
    manifest: Manifest = Manifest.from_msgpack(parsed, decoder=extended_mashumuro_decoder)
    manifest.build_flat_graph()  # what macros see as `graph` is not written out
    return manifest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
