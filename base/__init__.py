"""Tools that every package uses: claims, errors, options, files, plug-ins, processes, provenance.

Nothing here is about brains or pictures, and nothing here imports another package of this project.
"""

from base.claims import claiming, taking_turns
from base.code import code_digest
from base.command_line.calls import convert_paths, make_command, run_hint
from base.command_line.targets import nearest
from base.digests import canonical, content_digests, digest, sha256_files
from base.documents import DocumentError, parse_json, read_json, read_yaml
from base.errors import RoiridgeError
from base.files import replacing
from base.memory import Batches, check_count, machine_memory
from base.plugins import choose_from, list_choices, load_plugin, plugin_names
from base.progress import progress, say
from base.provenance import provenance
from base.wording import decimal, plural

__all__ = [
    "Batches",
    "DocumentError",
    "RoiridgeError",
    "canonical",
    "check_count",
    "choose_from",
    "claiming",
    "code_digest",
    "content_digests",
    "convert_paths",
    "decimal",
    "digest",
    "list_choices",
    "load_plugin",
    "machine_memory",
    "make_command",
    "nearest",
    "parse_json",
    "plugin_names",
    "plural",
    "progress",
    "provenance",
    "read_json",
    "read_yaml",
    "replacing",
    "run_hint",
    "say",
    "sha256_files",
    "taking_turns",
]
