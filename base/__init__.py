"""What every folder stands on: claims, errors, options, files, plug-ins, processes, provenance.

Nothing here knows of brains or pictures, and nothing here imports another folder of this project.
"""

from base.calls import convert_paths, make_command, run_hint
from base.claims import claiming, has_ended, holder_of, identity, is_claimed, taking_turns
from base.errors import RoiridgeError
from base.files import replacing, sha256_files
from base.memory import release
from base.plugins import choose_from, load_plugin, one_of, plugin_names
from base.processes import end_with_parent, unheard
from base.progress import log_lines, progress, say
from base.provenance import provenance
from base.targets import nearest

__all__ = [
    "RoiridgeError",
    "choose_from",
    "claiming",
    "convert_paths",
    "end_with_parent",
    "has_ended",
    "holder_of",
    "identity",
    "is_claimed",
    "load_plugin",
    "log_lines",
    "make_command",
    "nearest",
    "one_of",
    "plugin_names",
    "progress",
    "provenance",
    "release",
    "replacing",
    "run_hint",
    "say",
    "sha256_files",
    "taking_turns",
    "unheard",
]
