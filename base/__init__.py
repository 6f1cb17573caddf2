"""What every folder stands on: errors, options, progress, files, plug-ins and provenance.

Nothing here knows of brains or pictures, and nothing here imports another folder of this project.
"""

from base.errors import RoiridgeError
from base.files import replacing, sha256_files
from base.memory import release
from base.plugins import load_plugin, plugin_names
from base.progress import progress, say
from base.provenance import provenance

__all__ = [
    "RoiridgeError",
    "load_plugin",
    "plugin_names",
    "progress",
    "provenance",
    "release",
    "replacing",
    "say",
    "sha256_files",
]
