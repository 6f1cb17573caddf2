"""Work on a Slurm cluster: jobs, tasks, queue."""
