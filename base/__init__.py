"""What every folder stands on: claims, errors, options, files, plug-ins, processes, provenance.

Nothing here knows of brains or pictures, and nothing here imports another folder of this project.
"""

from base.claims import claiming, has_ended, holder_of, identity, is_claimed, taking_turns
from base.code import code_digest, entry_digest
from base.command_line.calls import convert_paths, make_command, run_hint
from base.command_line.targets import nearest
from base.counts import check_count
from base.digests import canonical, content_digests, digest, sha256_files
from base.documents import DocumentError, parse_json, read_json, read_yaml
from base.errors import RoiridgeError
from base.files import replacing
from base.memory import machine_memory, release
from base.plugins import choose_from, load_plugin, one_of, plugin_names
from base.processes import end_with_parent, unheard
from base.progress import log_lines, progress, say
from base.provenance import provenance
from base.wording import decimal, plural

__all__ = [
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
    "end_with_parent",
    "entry_digest",
    "has_ended",
    "holder_of",
    "identity",
    "is_claimed",
    "load_plugin",
    "log_lines",
    "machine_memory",
    "make_command",
    "nearest",
    "one_of",
    "parse_json",
    "plugin_names",
    "plural",
    "progress",
    "provenance",
    "read_json",
    "read_yaml",
    "release",
    "replacing",
    "run_hint",
    "say",
    "sha256_files",
    "taking_turns",
    "unheard",
]
