"""What `test_cache_verbs` shares with other tests."""

from base.command_line.parser import run
from cache.__main__ import EXAMPLES, VERBS
from cache.commands.arguments import as_flags

OTHER = {"schema": 1, "weights": {"digest": "cc"}, "layers": ["x"]}


def caller(out, capsys):
    """Give what runs a verb in this process, and returns its status and all that it said."""

    def called(*words, at=out):
        arguments = [*map(str, words), "--out", str(at)]
        status = run(VERBS, "cache", EXAMPLES, as_flags(arguments))
        said = capsys.readouterr()
        return status, said.out + said.err

    return called
