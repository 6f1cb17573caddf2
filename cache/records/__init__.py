"""What the stages exchange: the meta of their files, as typed records.

Each record is the JSON mapping of an artifact of one kind. `load_record` reads it and checks the
type of every field, so that a file of another program or revision is an error that names the file,
the field, what was found and what was expected. Fields that older revisions lack may be absent.
"""

import lazy_loader

# A name is imported when it is used: what a command does not need costs it no time.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
