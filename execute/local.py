"""Work on the devices of this machine: in this process, or in a process for each device."""

from collections.abc import Callable, Sequence

from execute.work import Groups, Report, Work, device_kind


def share_here(
    devices: Sequence[str],
    begin: Callable[[str], object],
    groups: Groups,
    work: Work,
    report: Report,
) -> None:
    """Run units of work on the devices of this machine, such as "cpu" or "cuda:1".

    A single device without a number is this process; a device that is listed twice is two
    processes, with equally many processors each. `begin` is called first in each process, with the
    kind of device, "cpu" or "cuda". Units of a group have much in common, such as a subject's
    features, so a process goes on with units of its group while there are any.
    """
    if len(devices) > 1 or device_kind(devices[0]) != devices[0]:
        from execute.worker_pool import share_among_processes

        share_among_processes(devices, begin, groups, work, report)
        return
    begin(devices[0])
    for number, units in enumerate(groups):
        report(number, [work(number, iter(range(len(units))))])
