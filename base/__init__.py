"""What every folder stands on: claims, errors, options, files, plug-ins, processes, provenance.

Nothing here knows of brains or pictures, and nothing here imports another folder of this project.
"""

from base.claims import claiming, has_ended, holder_of, identity, is_claimed, taking_turns
from base.errors import RoiridgeError
from base.files import replacing, sha256_files
from base.memory import release
from base.plugins import load_plugin, plugin_names
from base.processes import end_with_parent, unheard
from base.progress import log_lines, progress, say
from base.provenance import provenance
from base.wording import decimal, plural

__all__ = [
    "RoiridgeError",
    "claiming",
    "decimal",
    "end_with_parent",
    "has_ended",
    "holder_of",
    "identity",
    "is_claimed",
    "load_plugin",
    "log_lines",
    "plugin_names",
    "plural",
    "progress",
    "provenance",
    "release",
    "replacing",
    "say",
    "sha256_files",
    "taking_turns",
    "unheard",
]
