"""Execution on a Slurm cluster: resources, jobs, tasks and queue."""
